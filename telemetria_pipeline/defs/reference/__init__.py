"""Vehicles, drivers and contracts, read from files that people keep."""
