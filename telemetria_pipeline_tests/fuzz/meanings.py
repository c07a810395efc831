"""Sound boletins whose meaning was spoilt on the way: nothing is misread in silence.

    python -m telemetria_pipeline_tests.fuzz.meanings --count 2000

Day and month change places, as they do in an American Excel; separators of thousands are lost, taken for
decimals or put in; a year or a month is mistyped; the file gets a strange name. What is accepted without
a word about the spoilt column must be the truth. Every file follows from the seed and its number.
"""

import argparse
import random
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, time, timedelta
from time import perf_counter

from telemetria_pipeline.core.boletim.validation import FileVerdict, validate_file
from telemetria_pipeline_tests.core.boletim.rows import csv_of, trip, xlsx_of

Row = dict[str, object]
NAMES = (
    "boletim.{x}", "Boletim março [1].{x}", "BOLETIM  (2).{X}", "ônibus-ÇÃ_№7.{x}", "boletim.final.{x}.{x}",
    "a" * 180 + ".{x}", "-rf.{x}", "=1+1.{x}", "com espaço .{x}", "..{x}", "\u202eboletim.{x}",
)  # fmt: skip


@dataclass(frozen=True)
class Spoilt:
    """A file, how it was spoilt, which columns that is about, and the truth of its rows."""

    name: str
    data: bytes
    how: str
    columns: tuple[str, ...]
    received: date
    truth: list[tuple[str, str, float, float]]  # plate, day, both odometers


def sound_rows(dice: random.Random, step: float) -> tuple[list[Row], date]:
    """Trips of one or two vehicles on some days in a row, and the day on which they are sent; odometers move
    by whole steps (km)."""
    first = date(2026, dice.randint(2, 11), dice.randint(1, 28))
    days = [first + timedelta(days=n) for n in range(dice.choice((3, 5, 8, 15, 30)))]
    rows: list[Row] = []
    for vehicle in range(dice.randint(1, 2)):
        odometer = float(dice.choice((1_200, 45_230, 187_450, 612_301))) + vehicle * 1_000
        for day in days:
            for hour in (6, 10, 15):
                km = dice.randint(12, 45) + dice.choice((0.0, step))
                rows.append(
                    {
                        **trip(PLACA=f"ABC1D2{vehicle}"), "DATA": day, "HORÁRIO SAÍDA": time(hour, 0),
                        "HORÁRIO CHEGADA": time(hour + 1, 0), "KM SAÍDA": odometer,
                        "KM CHEGADA": odometer + km, "KM ROTA": km,
                    }
                )  # fmt: skip
                odometer += km
    return rows, days[-1] + timedelta(days=dice.randint(1, 3))


def exchanged(day: date) -> date | str:
    """What an American Excel makes of a Brazilian day: another day, or text where there is no such month."""
    return date(day.year, day.day, day.month) if day.day <= 12 else f"{day:%d/%m/%Y}"


def _all(rows: list[Row], column: str, change: Callable[[object], object]) -> None:
    for row in rows:
        row[column] = change(row[column])


def _dates_exchanged(rows: list[Row], dice: random.Random) -> tuple[str, ...]:
    _all(rows, "DATA", lambda day: exchanged(day))  # type: ignore[arg-type]
    return ("DATA",)


def _some_dates_exchanged(rows: list[Row], dice: random.Random) -> tuple[str, ...]:
    open_ = [r for r in rows if r["DATA"].day <= 12 and r["DATA"].day != r["DATA"].month]  # type: ignore[attr-defined]
    for row in dice.sample(open_, min(len(open_), dice.randint(1, 3))):
        row["DATA"] = exchanged(row["DATA"])  # type: ignore[arg-type]
    return ("DATA",)


def _year_off(rows: list[Row], dice: random.Random) -> tuple[str, ...]:
    by = dice.choice((1, 20))
    for row in rows if dice.random() < 0.5 else [dice.choice(rows)]:
        day = row["DATA"]
        row["DATA"] = day.replace(year=day.year - by, day=min(day.day, 28))  # type: ignore[attr-defined]
    return ("DATA",)


def _month_off(rows: list[Row], dice: random.Random) -> tuple[str, ...]:
    row = dice.choice(rows)
    day = row["DATA"]
    row["DATA"] = day.replace(month=day.month - 1, day=min(day.day, 28))  # type: ignore[attr-defined]
    return ("DATA",)


ODOMETERS = ("KM SAÍDA", "KM CHEGADA")


def _point_eaten(rows: list[Row], dice: random.Random) -> tuple[str, ...]:
    """45.230 became 45.23."""
    for column in ODOMETERS:
        _all(rows, column, lambda km: round(km / 1_000, 3))  # type: ignore[operator]
    _all(rows, "KM ROTA", lambda km: "")
    return ODOMETERS


def _thousands_as_decimals(rows: list[Row], dice: random.Random) -> tuple[str, ...]:
    """45,230 as an English sheet writes it."""
    for column in ODOMETERS:
        _all(rows, column, lambda km: f"{int(km):,}")  # type: ignore[call-overload]
    _all(rows, "KM ROTA", lambda km: "")
    return ODOMETERS


def _points_in_thousands(rows: list[Row], dice: random.Random) -> tuple[str, ...]:
    for column in ODOMETERS:
        _all(rows, column, lambda km: f"{int(km):,}".replace(",", "."))  # type: ignore[call-overload]
    _all(rows, "KM ROTA", lambda km: "")
    return ODOMETERS


def _digit_lost(rows: list[Row], dice: random.Random) -> tuple[str, ...]:
    # Of an odometer of four digits 1,000 km go, which a bus may drive in a day.
    row = dice.choice([r for r in rows if r["KM SAÍDA"] >= 10_000] or [{**rows[0]}])  # type: ignore[operator]
    for column in ODOMETERS:
        row[column] = float(str(int(row[column]))[1:])  # type: ignore[call-overload]
    row["KM ROTA"] = row["KM CHEGADA"] - row["KM SAÍDA"]  # type: ignore[operator]
    return ODOMETERS


def _untouched(rows: list[Row], dice: random.Random) -> tuple[str, ...]:
    return ()


WAYS: tuple[Callable[[list[Row], random.Random], tuple[str, ...]], ...] = (
    _untouched, _dates_exchanged, _some_dates_exchanged, _year_off, _month_off, _point_eaten,
    _thousands_as_decimals, _points_in_thousands, _digit_lost,
)  # fmt: skip
WHOLE = (_thousands_as_decimals, _points_in_thousands)


def spoilt(seed: int, number: int) -> Spoilt:
    """The file of this number."""
    dice = random.Random(f"{seed}/{number}")
    way = WAYS[number % len(WAYS)]
    rows, received = sound_rows(dice, 1.0 if way in WHOLE else 0.5)
    truth = [(r["PLACA"], str(r["DATA"]), r["KM SAÍDA"], r["KM CHEGADA"]) for r in rows]
    columns = way(rows, dice)
    excel = dice.random() < 0.5
    name = dice.choice(NAMES).format(x="xlsx" if excel else "csv", X="XLSX" if excel else "CSV")
    if excel:
        data = xlsx_of(*[list(row.values()) for row in rows])
    else:
        data = csv_of(*[{title: _typed(value) for title, value in row.items()} for row in rows])
    return Spoilt(name, data, way.__name__, columns, received, truth)  # type: ignore[arg-type]


def _typed(value: object) -> str:
    match value:
        case date():
            return f"{value:%d/%m/%Y}"
        case time():
            return f"{value:%H:%M}"
        case float():
            return f"{value:.3f}".rstrip("0").rstrip(".").replace(".", ",")
    return str(value)


def judge(file: Spoilt) -> tuple[str, str | None]:
    """What became of the file, and what is wrong with that."""
    verdict = validate_file(file.data, file.name, received_on=file.received)
    said = {p.column for p in (*verdict.problems, *verdict.warnings)}
    if verdict.verdict == "rejected":
        wrong = None if file.columns else f"sound, and returned: {[p.code for p in verdict.problems][:5]}"
        return "returned", wrong
    asked = bool(said & set(file.columns))
    right = _trips(verdict) == sorted(file.truth)
    if right:
        return "right, asked about" if asked else "right", None
    return ("wrong, asked about", None) if asked else ("wrong in silence", f"{file.how}: {file.name[:40]}")


def _trips(verdict: FileVerdict) -> list[tuple[str, str, float, float]]:
    rows = verdict.accepted
    return sorted(zip(rows["placa"], rows["data"], rows["km_saida"], rows["km_chegada"], strict=True))


def run(seed: int, count: int) -> tuple[Counter[tuple[str, str]], list[str]]:
    """The fates of so many files by how they were spoilt, and all that was misread in silence."""
    fates: Counter[tuple[str, str]] = Counter()
    failures = []
    for number in range(count):
        file = spoilt(seed, number)
        fate, wrong = judge(file)
        fates[file.how.strip("_"), fate] += 1
        if wrong:
            failures.append(f"file {number}: {wrong}")
    return fates, failures


def main() -> None:
    """The command line."""
    as_written = argparse.RawDescriptionHelpFormatter
    options = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    options.add_argument("--count", type=int, default=2_000)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    began = perf_counter()
    fates, failures = run(given.seed, given.count)
    for (how, fate), files in sorted(fates.items()):
        print(f"{files:7d}  {how.replace('_', ' '):24} {fate}")
    print(*failures[:20], sep="\n", file=sys.stderr)
    print(f"{given.count} files in {perf_counter() - began:.0f} s, {len(failures)} misread in silence")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
