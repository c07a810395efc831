"""The pipeline as Dagster sees it. Thin: load, call one core function, return the result with metadata."""
