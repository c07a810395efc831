"""Fleet telemetry, ingested and audited: every kilometre paid can be traced to evidence."""

import gc

# A run is a process of its own, and what it imports stays. Looking through all of it for garbage, time and
# again and once more at its end, takes a quarter of its processor time.
gc.freeze()
gc.set_threshold(20_000)
