"""A week with the real daemon, played in minutes: `make week`."""
