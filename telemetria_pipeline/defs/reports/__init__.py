"""The workbooks and pages that people open."""
