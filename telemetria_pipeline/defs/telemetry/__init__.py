"""The hours of each telemetry source, as received and as trips."""
