"""`make faults`: each fault many times with other seeds; prints survived of tried, and the longest try.

    python -m telemetria_pipeline_tests.faults [--rounds 20] [--seed 1] [--fault NAME]

A try survives where, with nobody's hand on it, the lake ends up as the truth, each trip once, every ledger
balanced, and every failure on the way was a sentence without a secret.
"""

import argparse
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

from telemetria_pipeline_tests.faults.servers import s3_with_bucket
from telemetria_pipeline_tests.faults.table import FAULTS, Try


def main() -> int:
    """Try all, and count."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault", help="only this one")
    options = parser.parse_args()
    lost = 0
    with s3_with_bucket() as s3:
        print(f"{'where':<8} {'fault':<26} {'survived / tried':>17} {'longest':>9}")
        for where, faults in FAULTS.items():
            for fault in (f for f in faults if options.fault in (None, f.__name__)):
                survived, longest = 0, 0.0
                for number in range(options.rounds):
                    folder, began = Path(tempfile.mkdtemp(prefix="telemetria-faults-")), time.monotonic()
                    try:
                        fault(Try(folder, options.seed + number, s3))
                        survived += 1
                    except Exception:
                        print(f"seed {options.seed + number}:\n{traceback.format_exc()}", file=sys.stderr)
                    s3.server.calm()
                    longest = max(longest, time.monotonic() - began)
                    shutil.rmtree(folder, ignore_errors=True)
                lost += options.rounds - survived
                counted = f"{survived} / {options.rounds}"
                print(f"{where:<8} {fault.__name__:<26} {counted:>17} {longest:>7.1f} s", flush=True)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
