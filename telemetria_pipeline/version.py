"""The version of the rules."""

CODE_VERSION = "6"
"""Raised whenever a rule changes what a table holds: assets show it, and days are audited again for it."""
