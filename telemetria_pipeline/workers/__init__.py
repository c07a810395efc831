"""Runs on many machines: a launcher that hands them to Celery, workers that take them, and their lease."""
