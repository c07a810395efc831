"""What is said to people by itself: what an alert is, what was said already, and the channels it leaves by.

Knows no Dagster: `defs/alerts` looks at runs, ticks and the lake, and says here what it found.
"""
