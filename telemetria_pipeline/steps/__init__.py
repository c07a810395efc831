"""What an asset does, without Dagster: capture, publish, take in, audit, bill, close, and say what is stale.

The assets and the command line call the same functions. Nothing here imports Dagster; a test holds it.
"""
