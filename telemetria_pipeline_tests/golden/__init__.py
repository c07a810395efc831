"""The pipeline against a month and a half of three carriers whose truth is known.

`pipeline` takes a `GoldenMonth` through the real steps, in whatever order it arrives; `comparison` holds what
came out against the truth; `python -m telemetria_pipeline_tests.golden` does it for the whole month.
"""
