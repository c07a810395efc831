"""Talking to a carrier's telemetry API: profiles, the client, and records under our columns.

`load_profile` says how a carrier is asked and read, `CarrierClient` yields its pages, `map_pages` turns
their records into rows. Nothing here stores anything or judges what a value is worth.
"""
