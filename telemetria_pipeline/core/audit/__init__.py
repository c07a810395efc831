"""The audit: declared trips meet measured ones, and kilometres become money. Pure functions on frames."""
