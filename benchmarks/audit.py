"""The audit of a month beside DuckDB's bare join of the same Parquet: time, memory, growth."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
from measure import HERE, Timing, best, expect, process

AIM_DUCKDB, AIM_GROWTH = 3.0, 1.3
SIZES = (10_000, 100_000, 1_000_000)
SMALL_SIZES = (2_000, 10_000)
REPEATS = 3


@dataclass(frozen=True)
class Audit:
    """The best timing of each contender at each size, in trips a side."""

    ours: dict[int, Timing]
    duckdb: dict[int, Timing]

    @property
    def ratio(self) -> float:
        """Ours over DuckDB's at the greatest size, without imports."""
        most = max(self.ours)
        return self.ours[most].work_seconds / self.duckdb[most].work_seconds

    @property
    def growth(self) -> float:
        """Seconds a row at the greatest size over those at the least; below 1 it grows less than the rows."""
        least, most = min(self.ours), max(self.ours)
        return self.ours[most].work_seconds / self.ours[least].work_seconds / (most / least)


def audit(folder: Path, sizes: tuple[int, ...], repeats: int = REPEATS) -> Audit:
    """Make the data of each size, then let both read it in turn; what they count must agree."""
    found: dict[str, dict[int, Timing]] = {"audit_ours": {}, "audit_duckdb": {}}
    for rows in sizes:
        data = folder / f"{rows}"
        process([str(HERE / "audit_data.py"), "--rows", str(rows), "--out", str(data)], data / "made")
        timings: dict[str, list[Timing]] = {name: [] for name in found}
        for _ in range(repeats):
            for name in found:
                arguments = [str(HERE / f"{name}.py"), "--data", str(data), "--out", str(data / name)]
                timings[name].append(process(arguments, data / name))
        ours, theirs = (pq.read_table(data / name / "bill.parquet") for name in found)
        expect("vehicles billed", len(set(ours["placa"].to_pylist())), len(theirs))
        for name, of_size in found.items():
            of_size[rows] = best(timings[name])
    return Audit(found["audit_ours"], found["audit_duckdb"])


def print_audit(found: Audit) -> None:
    """A table of both at each size."""
    print(f"\nA month of trips, declared and measured, to its bill\n{'trips a side':>14}", end="")
    print(f"{'ours, s':>10}{'DuckDB, s':>11}{'ratio':>8}{'ours, MB':>10}{'DuckDB, MB':>12}")
    for rows, ours in found.ours.items():
        theirs = found.duckdb[rows]
        print(
            f"{rows:14,}{ours.work_seconds:10.2f}{theirs.work_seconds:11.2f}"
            f"{ours.work_seconds / theirs.work_seconds:8.2f}{ours.peak_mb:10.0f}{theirs.peak_mb:12.0f}"
        )


def audit_aims(found: Audit) -> list[tuple[str, float, float, bool]]:
    """What is asked of the audit: name, figure, aim, and whether the aim is the most allowed."""
    return [
        ("a month's audit / DuckDB's bare join", found.ratio, AIM_DUCKDB, True),
        ("growth of the audit per row, least to most", found.growth, AIM_GROWTH, True),
    ]
