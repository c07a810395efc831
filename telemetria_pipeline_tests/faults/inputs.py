"""What may be wrong with what people send."""

import sys
from pathlib import Path

import orjson

from telemetria_pipeline.contracts.boletim import BOLETIM_TRIPS
from telemetria_pipeline.core.boletim.settings import Reference, RuleSettings
from telemetria_pipeline.steps.boletim_files import partition_of
from telemetria_pipeline.steps.intake import landed_files, take_files
from telemetria_pipeline.steps.reference import read_tables
from telemetria_pipeline.storage import Lake, ObjectStore
from telemetria_pipeline_tests.core.boletim.rows import csv_of, trips
from telemetria_pipeline_tests.faults.office import ROOT, manifests, office
from telemetria_pipeline_tests.faults.world import NotSurvived, Try
from telemetria_pipeline_tests.fuzz.meanings import spoilt

_BROKEN = 3


def fuzzed_boletins(t: Try) -> None:
    """A sound boletim among broken and misleading ones: each has its answer, and it alone is all there."""
    lake, inbox = (Lake.open(f"file:{t.folder}/lake"), ObjectStore.open(f"file:{t.folder}/inbox"))
    sound = [{**trip, "PLACA": "QQQ9Z99"} for trip in trips(5)]
    files = {"sound.csv": csv_of(*sound), **_broken_files(t.seed)}
    for name, data in files.items():
        inbox.put(name, data)
    names = [file.file_id for file in landed_files(inbox)]
    for outcome in take_files(lake, inbox, names, RuleSettings(), Reference()):
        if outcome.error:
            raise NotSurvived(f"{outcome.file} has no verdict: {outcome.error!r}")
    if left := landed_files(inbox):
        raise NotSurvived(f"the inbox holds {left}")
    known = {m.name: m for m in manifests(lake)}
    if known.keys() != files.keys():
        raise NotSurvived(f"kept are {sorted(known)} of {sorted(files)}")
    for name, data in files.items():
        manifest = known[name]
        answer = orjson.loads(inbox.get(manifest.answer or ""))
        kept = lake.get_raw(manifest.original, manifest.sha256), inbox.get(manifest.archived or "")
        if kept != (data, data):
            raise NotSurvived(f"{name} was not kept as it came")
        if manifest.verdict == "rejected" and not all(p["message"] for p in answer["problems"]):
            raise NotSurvived(f"{name} was sent back without a word: {answer}")
    table = lake.read_table(BOLETIM_TRIPS.name, partition_of(known["sound.csv"].file))
    if known["sound.csv"].verdict != "accepted" or table is None or table.num_rows != len(sound):
        raise NotSurvived(f"the sound file: {known['sound.csv'].verdict}, {table and table.num_rows} rows")


def _broken_files(seed: int) -> dict[str, bytes]:
    if (folder := str(ROOT / "benchmarks")) not in sys.path:
        sys.path.append(folder)
    from fuzz_boletins import broken_file

    found = [broken_file(seed, _BROKEN * seed + n) for n in range(_BROKEN)]
    misleading = [spoilt(seed, _BROKEN * seed + n) for n in range(_BROKEN)]
    found += [(f"enganoso{Path(file.name).suffix.lower()}", file.data) for file in misleading]
    return {f"{n:02d} {name}": data for n, (name, data) in enumerate(found)}


_SOUND = {
    "vehicles": ["PLACA;FROTA;FUSO", *(f"ABC{n}C0{n};;" for n in range(9))],
    "contracts": [
        "CONTRATO;CLÁUSULA;TIPO;TARIFA;CUSTO FIXO;DE;ATÉ", "4600123;4.1;Ônibus;2,73;R$ 40.314,14;16/10/2026;",
    ],
}  # fmt: skip
_ADDED = {"vehicles": "XYZ9J87;3899;", "contracts": "4600123;4.2;Van;1,99;R$ 10.000,00;16/10/2026;"}
_BROKEN_REGISTERS = (
    b"",
    bytes(4096),
    b"<html><body>Sign in</body></html>",
    b"PK\x03\x04",
    b"PLACA\n",
    b"QQQ;?;\n",
)


def reference_file_breaks_overnight(t: Try) -> None:
    """A register is saved over by something else, or gets a row that is none: it is refused, and yesterday's
    goes on; once it is mended it is read, by nobody's hand."""
    with office(t) as here:
        name, folder = here.world.dice.choice(list(_SOUND)), here.world.folder / "reference"
        folder.mkdir()
        for each, rows in _SOUND.items():
            (folder / f"{each}.csv").write_text("\n".join(rows) + "\n", "utf-8")
        here.turn()
        before = _registers(here.lake)
        if before.keys() != _SOUND.keys():
            raise NotSurvived(f"the registers were not read: {before}")
        broken = here.world.dice.choice(_BROKEN_REGISTERS)
        with (folder / f"{name}.csv").open("ab" if broken.startswith(b"QQQ") else "wb") as file:
            file.write(broken)
        here.drop(2)
        here.turn()
        if _registers(here.lake) != before:
            raise NotSurvived(f"{name} is no longer yesterday's: {broken!r}")
        mended = [*_SOUND[name], _ADDED[name]]
        (folder / f"{name}.csv").write_text("\n".join(mended) + "\n", "utf-8")
        here.settle()
        if _registers(here.lake)[name] != before[name] + 1:
            raise NotSurvived(f"{name} was mended, and not read: {_registers(here.lake)}")
        told = here.failures("reference_job")
        if len(told) != 1 or f"{name}.csv was refused" not in told[0]:
            raise NotSurvived(f"nobody was told of {name}, or more than once: {told}")


def _registers(lake: Lake) -> dict[str, int]:
    tables = read_tables(lake)
    return {name: len(frame) for name in _SOUND if (frame := getattr(tables, name)) is not None}
