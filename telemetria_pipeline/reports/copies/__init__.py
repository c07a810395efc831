"""The sender's own workbook, handed back with marks: all else stays as they made it."""
