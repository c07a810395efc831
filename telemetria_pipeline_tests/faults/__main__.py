"""`make faults`: each fault many times with other seeds; prints survived of tried, and the longest try.

    python -m telemetria_pipeline_tests.faults [--rounds N] [--seed 1] [--fault NAME]

A try survives where, with nobody's hand on it, the lake ends up as the truth, each trip once, every ledger
balanced, and every failure on the way was a sentence without a secret. What this machine cannot try (a file
system takes the superuser, a clock that jumps takes gcc) is said to be so, and counted as nothing.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from telemetria_pipeline_tests.clock import NoCompiler
from telemetria_pipeline_tests.faults.servers import Shared, s3_with_bucket
from telemetria_pipeline_tests.faults.table import FAULTS, ROUNDS, ROUNDS_OF
from telemetria_pipeline_tests.faults.world import NotTried, Try


def main() -> int:
    """Try all, and count."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, help=f"instead of {ROUNDS}, of some faults fewer")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault", action="append", help="only this one; may be said again")
    options = parser.parse_args()
    lost = 0
    with s3_with_bucket() as s3, Shared() as shared:
        print(f"{'where':<8} {'fault':<31} {'survived / tried':>17} {'longest':>9}")
        for where, faults in FAULTS.items():
            for fault in (f for f in faults if not options.fault or f.__name__ in options.fault):
                rounds = options.rounds or ROUNDS_OF.get(fault, ROUNDS)
                survived, tried, longest, absent = 0, 0, 0.0, ""
                for seed in range(options.seed, options.seed + rounds):
                    folder, began = Path(tempfile.mkdtemp(prefix="telemetria-faults-")), time.monotonic()
                    try:
                        fault(Try(folder, seed, s3, shared.daemon, shared.house))
                        survived += 1
                    except (NotTried, NoCompiler) as error:
                        absent = str(error)
                        break
                    except Exception:
                        print(f"seed {seed}:\n{traceback.format_exc()}", file=sys.stderr)
                    finally:
                        s3.server.calm()
                        shutil.rmtree(folder, ignore_errors=True)
                    tried += 1
                    longest = max(longest, time.monotonic() - began)
                lost += tried - survived
                counted = f"{f'{survived} / {tried}':>17} {longest:>7.1f} s"
                said = f"could not be tried: {absent}" if absent else counted
                print(f"{where:<8} {fault.__name__:<31} {said}", flush=True)
    return 1 if lost else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what runs for it is ended as well
    sys.exit(main())
