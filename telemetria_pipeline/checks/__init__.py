"""Asset checks: what is asked of every materialisation, and how the answers are told.

They are evaluated in the step that writes, hour by hour: a range that loses an hour still has its other
hours checked, and no check reads a partition again.
"""
