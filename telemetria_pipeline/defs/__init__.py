"""What Dagster sees, a folder a domain: its assets, checks, schedules and sensors together.

Thin: an asset opens the lake, calls one function of `steps`, and returns the result with its metadata.
"""
