"""`make golden`: a month and a half of three carriers, 40 vehicles, in every order, held against its truth.

    python -m telemetria_pipeline_tests.golden

Two processes share the orders. Ends with 1 where a single verdict or cent differs.
"""

import multiprocessing
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from decimal import Decimal
from pathlib import Path
from time import perf_counter

import pandas as pd

from telemetria_pipeline.simulator.golden import GoldenMonth
from telemetria_pipeline_tests.golden.pipeline import GoldenPipeline
from telemetria_pipeline_tests.golden.story import ORDERS, Step, whole_story

_COUNTED = ("hours", "trips", "divergences", "bill lines", "patterns", "adjustments", "objects")


def main() -> None:
    began = perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder, month = Path(temporary), GoldenMonth()
        print(
            f"{len(month.cast)} vehicles, {len(month.days)} days, {len(month.boletins())} boletins",
            flush=True,
        )
        GoldenPipeline(month, folder / "captured").capture_month()
        print(f"  captured: {perf_counter() - began:.0f} s", flush=True)
        found = list[Step]()
        with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
            for done in as_completed([pool.submit(whole_story, folder, order) for order in ORDERS]):
                found += done.result()
                print(f"  {done.result()[0][0]}: {sum(s for *_, s in done.result()):.0f} s", flush=True)
    print(f"\n{_table(found)}\n")
    wrong = [(name, compared) for name, compared, _ in found if compared.differences]
    for name, compared in wrong:
        print(f"{name}\n{compared.told()}\n")
    print(f"{perf_counter() - began:.0f} s; {'DIFFERENT' if wrong else 'every value as it must be'}")
    sys.exit(bool(wrong))


def _table(found: list[Step]) -> str:
    rows = {
        name: {
            **{what: compared.rows[what] for what in _COUNTED},
            "bill, R$": f"{Decimal(compared.cents['bill lines']).scaleb(-2):,}",
            "adjusted, R$": f"{Decimal(compared.cents['adjustments']).scaleb(-2):,}",
            "different": len(compared.differences),
            "s": round(seconds),
        }
        for name, compared, seconds in found
    }
    return pd.DataFrame.from_dict(rows, orient="index").to_string()


if __name__ == "__main__":
    main()
