"""Thousands of broken boletins: each must end with a verdict, none with a traceback, a crash or a hang.

    python benchmarks/fuzz_boletins.py --count 10000

Every file follows from the seed and its number; `--only NUMBER` writes that file and judges it alone.
"""

import argparse
import faulthandler
import io
import random
import re
import resource
import sys
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import date
from functools import cache
from pathlib import Path
from time import perf_counter

import openpyxl

sys.path.insert(0, str(Path(__file__).parent))
from boletim_files import HEADERS, Error, Formula, Serial, csv_text, sheet_xml, trip, typed_trip, xlsx

from telemetria_pipeline.core.boletim.validation import validate_file
from telemetria_pipeline.reports.answer import answer_json, answer_workbook

SLOW_S = 15.0  # hundreds of times what a file of this size takes
MEMORY = 6 << 30
CHUNK = 100
WORKBOOK_EVERY = 10  # an answer workbook costs more than everything before it
ROWS = 40

_TOKENS = (
    *(
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\r",
        b"\n",
        b"\r\n",
        b'"',
        b'""',
        b";",
        b";" * 300,
        b",",
        b"\t",
        b"sep=|\n",
    ),
    *(
        b"NaN",
        b"inf",
        b"-1e999",
        b"=1+1",
        b"@SUM(A1)",
        b"31/02/2026",
        b"9" * 400,
        b"\xc3",
        b"\xe3\xf5",
        b"24:61",
    ),
    *(
        "\u202e\U0001f68c".encode(),
        "ａ１".encode(),
        b"\x1b[31m",
        b"Total Geral;;;",
        "PLACA".encode("utf-16-le"),
    ),
    *(b"<!DOCTYPE x [<!ENTITY a 'b'>]>", b"&a;", b"&#0;", b"&#x1;", b"<![CDATA[", b"-->", b"</c>", b"</row>"),
    *(b'<c r="XFD1048576"><v>1</v></c>', b'<row r="1048576">', b'<c r="A0"><v>1</v></c>', b'<c r=""/>'),
    *(
        b'<c r="B3" t="e"><v>#REF!</v></c>',
        b'<c r="B3"><f>A1</f></c>',
        b'<c t="s"><v>99999</v></c>',
        b' s="999999"',
    ),
    *(
        b'<c r="B3" s="3"><v>1e300</v></c>',
        b'<c r="B3" s="1"><v>-1e9</v></c>',
        b' t="d"',
        b' r="-1"',
        b' hidden="1"',
    ),
)


@cache
def good_files() -> tuple[tuple[str, bytes], ...]:
    """Sound boletins of every kind that is read, as (name, bytes)."""
    rows = [HEADERS, *map(trip, range(ROWS))]
    text = csv_text(rows)
    banner = ["VIAÇÃO TESTE", "", "BOLETIM"] + [""] * 12
    pages = [banner, *rows[:20], banner, HEADERS, *rows[20:], ["Total Geral"] + [""] * 14]
    broken = [t if i % 9 != 1 else f'{t[:4]}\n"{t}"' for i, t in enumerate(r[13] for r in rows)]
    quoted = [[*row[:13], name, row[14]] for row, name in zip(rows, broken, strict=True)]
    typed = [list(HEADERS), *map(typed_trip, range(ROWS))]
    odd = [list(row) for row in typed]
    odd[5][9], odd[6][11], odd[7][11] = Error("#REF!"), Formula("K7-J7", 25.0), Formula("K8-J8", None)
    mac = [
        [Serial(v.value - 1462, 1) if v == row[3] and i else v for v in row] for i, row in enumerate(typed)
    ]
    book = openpyxl.Workbook()
    page = book.active
    for row in rows:
        page.append(row)
    saved = io.BytesIO()
    book.save(saved)
    far = b'<row r="1048576"><c r="A1048576" t="inlineStr"><is><t> </t></is></c></row></sheetData>'
    far = sheet_xml(typed).replace(b"</sheetData>", far)
    several = {"RESUMO": sheet_xml([["Rótulos", "Soma"], ["ABC", 1.0]]), "LISTAS": sheet_xml([["A"]])}
    return (
        ("utf8.csv", text.encode()),
        ("bom.csv", text.encode("utf-8-sig")),
        ("cp1252.csv", text.encode("cp1252")),
        ("utf16.csv", text.encode("utf-16")),
        ("sep.csv", b"sep=|\r\n" + csv_text(rows, "|").encode()),
        ("virgula.csv", csv_text(rows, ",", "\n").encode()),
        ("paginas.csv", csv_text(pages).encode("cp1252")),
        ("aspas.csv", csv_text(quoted).encode()),
        (
            "embrulhado.csv",
            "".join(f'"{line.replace(chr(34), chr(34) * 2)}"\r\n' for line in text.splitlines()).encode(),
        ),
        ("tipos.xlsx", xlsx({"BOLETIM": sheet_xml(typed)})),
        ("openpyxl.xlsx", saved.getvalue()),
        (
            "estranho.xlsx",
            xlsx(
                {**several, "BOLETIM": sheet_xml(odd, at=(3, 2), hidden_rows=[9], merged=["C10:C12"])},
                states={"LISTAS": "hidden"},
            ),
        ),
        ("longe.xlsx", xlsx({"BOLETIM": far}, more={"[trash]/0000.dat": bytes(100)})),
        ("mac.xlsx", xlsx({"BOLETIM": sheet_xml(mac)}, from_1904=True)),
    )


def broken_file(seed: int, number: int) -> tuple[str, bytes]:
    """The broken file of this number."""
    rng = random.Random(f"{seed}/{number}")
    name, data = good_files()[number % len(good_files())]
    if name.endswith(".xlsx") and rng.random() < 0.85:
        return name, _broken_package(rng, data)
    return name, _broken(rng, data)


def _broken(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        _break_once(rng, changed)
    return bytes(changed)


def _break_once(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data) + 1)
    end = min(len(data), at + rng.choice((1, 2, 8, 64, 512)))
    match rng.randrange(11):
        case 0 | 1:
            data[at:end] = bytes(b ^ (1 << rng.randrange(8)) for b in data[at:end])
        case 2:
            del data[at:end]
        case 3:
            data[at:at] = data[at:end] * rng.choice((1, 2, 50))
        case 4 | 5 | 6:
            data[at:at] = rng.choice(_TOKENS)
        case 7 | 8:
            numbers = [m.span() for m in re.finditer(rb"[0-9]+", data)]
            if numbers:
                start, stop = rng.choice(numbers)
                data[start:stop] = rng.choice((b"0", b"-1", b"4294967295", b"18446744073709551615", b"1e308"))
        case 9:
            data[at:end] = rng.randbytes(end - at)
        case _:
            del data[at if rng.random() < 0.3 else len(data) :]


def _broken_package(rng: random.Random, data: bytes) -> bytes:
    """The workbook with some of its parts broken, and sound as an archive: the checksums fit."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        names = old.namelist()
        sheets = [n for n in names if "sheet" in n]
        chosen = {rng.choice(sheets if rng.random() < 0.7 else names)}
        for name in names:
            part = old.read(name)
            if name in chosen:
                if rng.random() < 0.05:
                    continue
                part = _broken(rng, part)
            new.writestr(name, part)
    return packed.getvalue()


def judge(name: str, data: bytes, with_workbook: bool) -> str:
    """The verdict on one file, after everything that a sender would see of it has been made."""
    verdict = validate_file(data, name, received_on=date(2026, 11, 23))
    answer_json(verdict)
    if with_workbook:
        answer_workbook(verdict, data)
    for problem in (*verdict.problems, *verdict.warnings):
        problem.as_json()
    if verdict.sheet is not None:
        cells = verdict.sheet.cells
        assert set(cells.dtypes.astype(str)) == {"str"}, cells.dtypes
        assert cells.index.is_monotonic_increasing and cells.index.is_unique
        assert not cells.isna().to_numpy().any()
        assert list(cells.columns) == list(verdict.sheet.headers)
    codes = sorted({p.code for p in verdict.problems})
    return verdict.verdict if verdict.sheet is not None or not codes else codes[0]


def judged(seed: int, numbers: range) -> tuple[Counter[str], list[str]]:
    """What became of these files, and a report for each that ended with an exception or too late."""
    faulthandler.dump_traceback_later(20 * SLOW_S, exit=True)
    fates: Counter[str] = Counter()
    failures = []
    for number in numbers:
        name, data = broken_file(seed, number)
        started = perf_counter()
        try:
            fates[judge(name, data, number % WORKBOOK_EVERY == 0)] += 1
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            failures.append(f"file {number} ({name}): {traceback.format_exc(limit=-6)}")
        if (took := perf_counter() - started) > SLOW_S:
            failures.append(f"file {number} ({name}): took {took:.1f} s")
    faulthandler.cancel_dump_traceback_later()
    return fates, failures


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def run(seed: int, count: int, workers: int, tell: Callable[[str], object]) -> list[str]:
    """Judge `count` broken files in processes of their own; the reports of those that failed."""
    fates: Counter[str] = Counter()
    failures: list[str] = []
    chunks = [range(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
    with ProcessPoolExecutor(workers, initializer=_limit_memory) as pool:
        for chunk, future in [(chunk, pool.submit(judged, seed, chunk)) for chunk in chunks]:
            try:
                found, failed = future.result()
            except BrokenProcessPool:
                failures.append(f"a process died at or after file {chunk.start}")
                break
            fates += found
            failures += failed
    for fate, files in fates.most_common():
        tell(f"{files:7d}  {fate}")
    return failures


def main() -> None:
    """The command line."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--count", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--only", type=int, metavar="NUMBER", help="write this file here and judge it alone")
    given = options.parse_args()
    if given.only is not None:
        name, data = broken_file(given.seed, given.only)
        Path(f"fuzz-{given.only}-{name}").write_bytes(data)
        print(judge(name, data, True))
        return
    started = perf_counter()
    failures = run(given.seed, given.count, given.workers, print)
    # One fault shows in many files: the first of each is enough.
    for failure in {f.rsplit("  File ", 1)[-1]: f for f in reversed(failures)}.values():
        print(failure, file=sys.stderr)
    print(
        f"{given.count} broken files in {perf_counter() - started:.0f} s, {len(failures)} without a verdict"
    )
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
