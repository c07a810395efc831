"""Fleet telemetry, ingested and audited: every kilometre paid can be traced to evidence."""
