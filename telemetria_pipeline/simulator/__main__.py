"""`python -m telemetria_pipeline.simulator`: serve a simulated carrier until Ctrl-C."""

import argparse
import os
import signal
import threading
from datetime import datetime
from pathlib import Path

from telemetria_pipeline.simulator import Fleet, Simulator, demo_faults
from telemetria_pipeline.simulator.dialects import DIALECTS


def _instant(text: str) -> datetime:
    value = datetime.fromisoformat(text)
    if value.tzinfo is None:
        raise argparse.ArgumentTypeError("write an instant with its zone, e.g. 2026-03-11T12:00:00Z")
    return value


def main() -> None:
    """Read the options, serve, and stop cleanly on Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(
        prog="python -m telemetria_pipeline.simulator", description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--port", type=int, default=8765, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--seed", type=int, default=7, help="fleet and faults follow from it")
    parser.add_argument("--vehicles", type=int, default=40)
    parser.add_argument("--dialect", choices=tuple(DIALECTS), default="simulator",
                        help="which carrier's API it looks like")  # fmt: skip
    parser.add_argument("--as-of", type=_instant, metavar="ISO", help="instant, e.g. 2026-03-11T12:00:00Z; "
                        "without it the carrier lives at the real clock")  # fmt: skip
    parser.add_argument("--faults", choices=("none", "demo"), default="demo")
    parser.add_argument("--token-env", default="TELEMETRIA_API_TOKEN", metavar="NAME",
                        help="variable that holds the token; demo-token where it is not set")  # fmt: skip
    parser.add_argument("--truth", type=Path, metavar="DIR",
                        help="write there what a perfect ingest of each window asked for holds")  # fmt: skip
    options = parser.parse_args()

    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        simulator = Simulator(
            Fleet(options.seed, options.vehicles),
            token=os.environ.get(options.token_env) or "demo-token",
            faults=demo_faults(options.seed) if options.faults == "demo" else None,
            as_of=options.as_of,
            port=options.port,
            truth_dir=options.truth,
            dialect=options.dialect,
        )
    except (OSError, OverflowError, ValueError) as error:
        parser.error(f"cannot serve on port {options.port}: {error}")
    with simulator:
        print(
            f"{simulator.fleet.carrier}: {options.vehicles} vehicles, seed {options.seed}, faults "
            f"{options.faults}, dialect {options.dialect}, at {simulator.url} (Ctrl-C stops)",
            flush=True,
        )
        stopped.wait()


if __name__ == "__main__":
    main()
