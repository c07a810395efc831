"""Faults of API, store and process, tried and counted: `make faults`, and a few of each in the tests."""
