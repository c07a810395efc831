"""`make production`: every fault, on both brokers, again and again; prints what survived of what was tried.

    python -m telemetria_pipeline_tests.workers [--rounds 2] [--broker redis] [--fault NAME] [--silence 13.5]

Each round is a run of 18 hours at a slow carrier that is struck in the middle. It survives where the hours
end up equal to the truth, with no hand laid on it, and no two runs ever asked the carrier at once.
"""

import argparse
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import cycle
from pathlib import Path

import boto3

from telemetria_pipeline_tests.conftest import REGION, SECRET, s3_server
from telemetria_pipeline_tests.workers import faults, production
from telemetria_pipeline_tests.workers.production import (
    BROKERS,
    Production,
    Witness,
    absent_services,
    hours_of,
)

SCENARIOS = {fault.__name__: partial(faults.strike, fault=fault) for fault in (*faults.FATAL, *faults.LIVING)}
SCENARIOS |= {
    fault.__name__: fault
    for fault in (faults.launched_without_broker, faults.handed_back, faults.launched_without_code)
}
_WINDOWS = cycle(hours_of(day, 5, 22) for day in range(2, 12))


@contextmanager
def _logs_bucket() -> Iterator[dict[str, str]]:
    with s3_server() as server:
        env = {
            "AWS_ENDPOINT_URL_S3": server.url,
            "AWS_ACCESS_KEY_ID": "AKIDTESTE",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "DAGSTER_LOGS_BUCKET": "logs",
        }
        os.environ.update(env)
        boto3.client("s3", region_name=REGION).create_bucket(
            Bucket="logs", CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        yield env


def _seconds(values: list[float]) -> str:
    return f"{min(values):.0f} to {max(values):.0f} s" if values else "–"


def _rounds(production: Production, carrier: Witness, name: str, rounds: int) -> list[faults.Survived]:
    """What it took each round that survived; why the others did not goes to stderr."""
    survived = []
    with production.instance() as instance:
        for _ in range(rounds):
            try:
                survived.append(SCENARIOS[name](production, instance, carrier, "alfa", next(_WINDOWS)))
            except Exception:
                print(f"{name} (logs in {production.folder}):\n{traceback.format_exc()}", file=sys.stderr)
                production.mend()
    return survived


def _tried(broker: str, s3: dict[str, str], options: argparse.Namespace) -> int:
    """Try every fault on one broker, and say so line by line; how many rounds did not survive."""
    lost = 0
    folder = Path(tempfile.mkdtemp(prefix="telemetria-production-"))
    with Witness(1) as carrier:
        tried = Production(folder, broker, s3, options.silence, slots=2)
        try:
            tried.sources(alfa=carrier)
            tried.worker("one")
            tried.worker("two")
            tried.begin()
            for name in options.fault or SCENARIOS:
                survived = _rounds(tried, carrier, name, options.rounds)
                lost += options.rounds - len(survived)
                counted = f"{len(survived)}/{options.rounds}"
                found = _seconds([s.found_s for s in survived if s.found_s is not None])
                done = _seconds([s.done_s for s in survived])
                print(f"{broker:<9} {name:<24} {counted:>8}   {found:<17} {done}", flush=True)
        finally:
            tried.close()
    return lost


def main() -> int:
    """Try what the arguments say; the exit code is 1 where something did not survive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--broker", choices=BROKERS, action="append")
    parser.add_argument("--fault", choices=SCENARIOS, action="append")
    parser.add_argument("--silence", type=float, default=13.5)
    options = parser.parse_args()
    if absent := absent_services():
        sys.exit(f"This needs {', '.join(absent)}: install and start it, then try again")
    production.PATIENCE_S = 300  # nobody waits for it, and a busy machine is slow
    lost = 0
    print(f"silence {options.silence:g} s; seconds are from the fault on\n")
    print(f"{'broker':<9} {'fault':<24} {'survived':>8}   {'found dead after':<17} hours done after")
    with _logs_bucket() as s3:
        for broker in options.broker or BROKERS:
            lost += _tried(broker, s3, options)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
