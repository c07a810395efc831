"""Faults of API, store, process, input and Dagster: `make faults` tries each many times, the tests once."""
