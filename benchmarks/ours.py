"""Ours: the real job on a real Dagster instance, as a backfill runs it, over a range of hours.

    python benchmarks/ours.py --url URL --out FOLDER --start 2026-03-10T03:00:00Z --hours 24 [--hours-a-run 1]

Raw pages kept, rows validated and accounted for, Parquet, ledger and manifests written, every event in the
instance's database. Settings come from the environment as everywhere; the instance is the repository's own
`dagster.yaml` in FOLDER/home. One run takes all the hours, or `--hours-a-run` of them, run after run.
"""

import argparse
import os
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from server import TOKEN


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=datetime.fromisoformat, required=True)
    parser.add_argument("--hours", type=int, required=True)
    parser.add_argument("--hours-a-run", type=int)
    parser.add_argument("--source", default="main", help="another: one of OUT/sources.yaml")
    args = parser.parse_args()
    os.environ |= {
        "TELEMETRIA_LAKE": f"file:{(args.out / 'lake').resolve()}",
        "TELEMETRIA_API_URL": args.url,
        "TELEMETRIA_API_TOKEN": TOKEN,
        "TELEMETRIA_API_PROFILE": "simulator",
        "TELEMETRIA_TIMEZONE": "America/Sao_Paulo",
        "TELEMETRIA_START": "2025-01-01",
        "BENCH_TOKEN": TOKEN,
    }
    if args.source != "main":
        os.environ["TELEMETRIA_SOURCES"] = str((args.out / "sources.yaml").resolve())
    # The definitions read the settings when they are loaded.
    import dagster as dg
    from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

    from telemetria_pipeline.definitions import build_definitions
    from telemetria_pipeline.defs.partitions import HOURLY

    home = args.out / "home"
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(__file__).parents[1] / "dagster.yaml", home)
    start = args.start.astimezone(UTC)
    keys = HOURLY.get_partition_keys_in_time_window(dg.TimeWindow(start, start + timedelta(hours=args.hours)))
    job = build_definitions().resolve_job_def(f"telemetry_job_{args.source}")
    with dg.DagsterInstance.from_config(str(home.resolve())) as instance:
        began = time.perf_counter()  # a new instance makes its database once, not once a run
        step = args.hours_a_run or len(keys)
        for first in range(0, len(keys), step):
            run = keys[first : first + step]
            job.execute_in_process(
                instance=instance,
                # What the backfill daemon gives a run of a range.
                tags={ASSET_PARTITION_RANGE_START_TAG: run[0], ASSET_PARTITION_RANGE_END_TAG: run[-1]},
            )
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main()
