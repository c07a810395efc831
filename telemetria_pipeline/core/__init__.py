"""The thinking: pure functions from DataFrame to DataFrame. Knows no Dagster, no file, no network."""
