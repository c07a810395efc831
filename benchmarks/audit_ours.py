"""A month of trips from Parquet to its bill: matched, judged, divergences told, tariffs applied, billed.

python benchmarks/audit_ours.py --data FOLDER --out FOLDER
"""

import argparse
from datetime import date, datetime, time
from pathlib import Path
from time import perf_counter
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow.parquet as pq

from telemetria_pipeline.business_calendar import Cycle
from telemetria_pipeline.contracts.base import TEXT, Column, Contract
from telemetria_pipeline.contracts.billing import BILLING
from telemetria_pipeline.contracts.reference import CONTRACTS, VEHICLES
from telemetria_pipeline.core.audit.divergences import find_divergences
from telemetria_pipeline.core.audit.rules import AuditRules
from telemetria_pipeline.core.audit.trips import DECLARED, SEGMENTS, AuditInputs, validate_trips
from telemetria_pipeline.core.billing.bill import make_bill
from telemetria_pipeline.storage.lake import Lake

ZONE = ZoneInfo("America/Sao_Paulo")


def read(folder: Path, name: str, contract: Contract, *more: str) -> pd.DataFrame:
    """A table under its contract, with some text columns beside it."""
    wider = Contract(name, "", (*contract.columns, *(Column(c, TEXT, "") for c in more)))
    table = Lake.open(f"file:{folder}").read_table(name, {}, wider.names)
    assert table is not None
    return wider.frame(table)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    began = perf_counter()
    rules, cycle = AuditRules(), Cycle.of(date(2026, 2, 16))
    start, end = (datetime.combine(d, time(), tzinfo=ZONE) for d in (cycle.first, cycle.after.first))
    declared = read(asked.data, "declared", DECLARED, "arquivo_id")
    segments = read(asked.data, "segments", SEGMENTS, "fonte", "raw_key", "raw_sha256")
    names = {name: name for side in (declared, segments) for name in side["motorista"].dropna().unique()}
    inputs = AuditInputs(
        declared=declared,
        segments=segments,
        names=names,
        hours=pd.read_parquet(asked.data / "hours" / "part-0.parquet"),
        vehicles=read(asked.data, "vehicles", VEHICLES),
        drivers=None,
        contracts=read(asked.data, "contracts", CONTRACTS),
    )
    laps = {"read": perf_counter()}
    audited = validate_trips(inputs, start, end, rules, ZONE)
    laps["matched and judged"] = perf_counter()
    divergences = find_divergences(audited.trips, audited.segments, inputs.sources, rules, cycle.first, ZONE)
    laps["divergences told"] = perf_counter()
    days = audited.trips["saida_utc"].dt.tz_convert(ZONE).dt.floor("D")
    codes, different = pd.factorize(days)
    texts = pd.Series(different.strftime("%Y-%m-%d"), dtype="str")
    trips = audited.trips.assign(data=texts.take(codes).array)
    bill = make_bill(trips, inputs.vehicles, inputs.contracts, cycle, rules)
    pq.write_table(BILLING.table(bill.billing), asked.out / "bill.parquet")
    laps["billed"] = perf_counter()
    at = began
    for name, until in laps.items():
        print(f"{name}: {until - at:.2f} s")
        at = until
    print(f"{len(audited.trips)} {len(audited.segments)} {len(divergences)} {len(bill.billing)}")
    print(perf_counter() - began)


if __name__ == "__main__":
    main()
