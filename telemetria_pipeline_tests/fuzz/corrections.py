"""Boletins sent again, in part, under other names, withdrawn and judged again, against a plain model.

    python -m telemetria_pipeline_tests.fuzz.corrections --count 200

After every file the lake must hold, of each file, the trips that the last word per vehicle and day leaves it.
Every story follows from the seed and its number.
"""

import argparse
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from time import perf_counter

from telemetria_pipeline.contracts.boletim import BOLETIM_DECLARATIONS, BOLETIM_TRIPS
from telemetria_pipeline.core.boletim.inbox import Landed
from telemetria_pipeline.core.boletim.settings import SAO_PAULO, Reference, RuleSettings
from telemetria_pipeline.steps.boletim_files import partition_of, read_file_manifest
from telemetria_pipeline.steps.day_index import files_declaring
from telemetria_pipeline.steps.intake import (
    Received,
    archive_file,
    judge_file,
    look_into_inbox,
    receive_file,
    withdraw,
)
from telemetria_pipeline.storage import Lake, ObjectStore
from telemetria_pipeline_tests.core.boletim.plain_words import File, Pair, tell
from telemetria_pipeline_tests.core.boletim.rows import csv_of, trip

NAMES = ("novembro.csv", "NOVEMBRO.CSV", "depot 7/novembro.csv", "turno b.csv", "março [1].csv")
ODD_NAMES = (b"a\nb.csv", b"mar\xe7o.csv", b"\x7f.csv")
PLATES, DAYS, SLOTS = ("ABC1A23", "XYZ9J87", "GDP4J68"), range(16, 21), range(3)
STEPS = 9


def row(plate: str, day: int, slot: int, more: int) -> dict[str, str]:
    """A sound trip; `more` kilometres tell versions of it apart."""
    out = 10_000 + 200 * day + 50 * slot
    return trip(
        PLACA=plate, DATA=f"{day:02d}/11/2026", HORÁRIO_SAÍDA=f"{7 + 3 * slot:02d}:00",
        HORÁRIO_CHEGADA=f"{8 + 3 * slot:02d}:00", KM_SAÍDA=str(out), KM_CHEGADA=str(out + 30 + more),
        KM_ROTA=str(30 + more),
    )  # fmt: skip


@dataclass
class Sent(File):
    """A file as the model knows it, and its partition."""

    file: str = ""
    content: bytes = b""
    sound: bool = True
    accepted: bool = True


@dataclass
class Story:
    """A lake and an inbox, and what should be in them."""

    folder: Path
    dice: random.Random
    sent: list[Sent] = field(default_factory=list)
    fates: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.lake, self.inbox = (ObjectStore.open(f"file:{self.folder}/{n}") for n in ("lake", "inbox"))
        self.lake = Lake(self.lake)

    @property
    def words(self) -> list[Sent]:
        return [s for s in self.sent if s.accepted]

    def go(self) -> None:
        """Some steps, each with its outcome held against the model."""
        for _ in range(STEPS):
            step = self.dice.choices(
                [
                    self.send_rows,
                    self.send_again,
                    self.send_bad,
                    self.withdraw,
                    self.judge_again,
                    self.drop_odd,
                ],
                [8, 2, 2, 1, 2, 1],
            )[0]
            step()
            tell(self.words)
            self.compare()

    def send_rows(self) -> None:
        pairs = [(p, d) for p in PLATES for d in DAYS if self.dice.random() < 0.3] or [("ABC1A23", 16)]
        rows: dict[Pair, list[dict[str, str]]] = {}
        for plate, day in pairs:
            slots = [slot for slot in SLOTS if self.dice.random() < 0.6] or [0]
            rows[plate, f"2026-11-{day}"] = [row(plate, day, s, self.dice.choice((0, 0, 1))) for s in slots]
        self.send(self.dice.choice(NAMES), rows)

    def send_again(self) -> None:
        """The content of an earlier file, under its own name or another."""
        if self.sent:
            old = self.dice.choice(self.sent)
            self.take(self.dice.choice([old.name, *NAMES]), old.content, old.trips, old.sound)

    def send_bad(self) -> None:
        """A correction with one plate that cannot be: it goes back whole."""
        rows = {("ABC1A23", "2026-11-16"): [row("ABC1A23", 16, 0, 1), row("ABCO234", 16, 1, 0)]}
        self.send(self.dice.choice(NAMES), rows, sound=False)

    def send(self, name: str, rows: dict[Pair, list[dict[str, str]]], sound: bool = True) -> None:
        every = [r for of_pair in rows.values() for r in of_pair]
        self.dice.shuffle(every)
        trips = {
            pair: [(*pair, r["HORÁRIO SAÍDA"], float(r["KM CHEGADA"])) for r in of_pair]
            for pair, of_pair in rows.items()
        }
        self.take(name, csv_of(*every), trips, sound)

    def take(self, name: str, content: bytes, trips: dict[Pair, list], sound: bool) -> None:
        self.inbox.put(name, content)
        (landed,) = self.landed()
        received = receive_file(self.lake, self.inbox, landed.file_id)
        duplicate = self.repeats(content)
        manifest = self.judge(received)
        expected = "duplicate" if duplicate else "accepted" if sound else "rejected"
        assert manifest.verdict == expected, (manifest.verdict, expected)
        self.fates[expected] += 1
        self.sent.append(Sent(name.casefold(), trips, file=landed.file_id, content=content,
                              accepted=expected == "accepted"))  # fmt: skip

    def repeats(self, content: bytes) -> bool:
        """Whether this content's trips count already, as another file's."""
        return any(s.content == content and not (s.was_replaced or s.withdrawn) for s in self.words)

    def judge(self, received: Received):
        judged = judge_file(self.lake, received, RuleSettings(), Reference())
        return archive_file(self.lake, self.inbox, judged, received.data)

    def judge_again(self) -> None:
        """Somebody materialises a file's partition again: nothing changes.

        (Where it repeats a file that was withdrawn since, it would count from now on.)
        """
        withdrawn = [s.content for s in self.words if s.withdrawn]
        if again := [s for s in self.sent if s.accepted or s.content not in withdrawn]:
            self.judge(receive_file(self.lake, self.inbox, self.dice.choice(again).file))

    def withdraw(self) -> None:
        """Take back a name, or one of its files."""
        if counting := [s for s in self.words if s.counts]:
            file = self.dice.choice(counting)
            by_name = self.dice.random() < 0.5
            withdraw(self.lake, file.name if by_name else file.file, "a mistake", SAO_PAULO)
            for other in counting:
                if other is file or (by_name and other.name == file.name):
                    other.withdrawn = True
            self.fates["withdrawn"] += 1

    def drop_odd(self) -> None:
        """A file whose name cannot be taken lies in the inbox from now on."""
        self.inbox.folder.mkdir(parents=True, exist_ok=True)
        name = self.dice.choice(ODD_NAMES).decode("utf-8", "surrogateescape")
        (self.inbox.folder / name).write_bytes(csv_of(row("ABC1A23", 16, 0, 0)))

    def files_of(self, day: str) -> list[str]:
        return files_declaring(self.lake, [date.fromisoformat(day)])

    def landed(self) -> list[Landed]:
        return look_into_inbox(self.inbox)[0]

    def compare(self) -> None:
        """The lake against the model: trips, index, manifests, and nothing left in the inbox."""
        assert not self.landed()
        for sent in self.sent:
            table = self.lake.read_table(BOLETIM_TRIPS.name, partition_of(sent.file)).to_pylist()
            found = [(r["placa"], r["data"], r["horario_saida"][:5], r["km_chegada"]) for r in table]
            assert sorted(found) == sorted(sent.counts if sent.accepted else []), (sent.name, sent.file)
            manifest = read_file_manifest(self.lake, sent.file)
            assert manifest.counted == len(found)
            days = {r["data"] for r in table}
            indexed = {
                f"2026-11-{d}" for d in DAYS if sent.file in files_declaring(self.lake, [f"2026-11-{d}"])
            }
            assert indexed == days
        declared = {p["arquivo"] for p in self.lake.partitions(BOLETIM_DECLARATIONS.name)}
        assert declared == {s.file for s in self.words}


def told(seed: int, number: int) -> tuple[Counter[str], str | None]:
    """What became of the files of a story, and what is wrong."""
    folder = Path(tempfile.mkdtemp(prefix="corrections"))
    story = Story(folder, random.Random(f"{seed}/{number}"))
    try:
        story.go()
    except AssertionError as error:
        return story.fates, f"story {number}, file {len(story.sent)}: {str(error)[:800]}"
    finally:
        shutil.rmtree(folder)
    return story.fates, None


def stories(seed: int, numbers: range, workers: int) -> Iterator[tuple[Counter[str], str | None]]:
    """The stories of these numbers, in processes of their own."""
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(partial(told, seed), numbers, chunksize=4)


def main() -> None:
    """The command line."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--count", type=int, default=200)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--workers", type=int, default=2)
    given = options.parse_args()
    started, fates, failures = perf_counter(), Counter[str](), []
    for fate, failure in stories(given.seed, range(given.count), given.workers):
        fates += fate
        failures += [failure] if failure else []
    print(*failures, sep="\n", file=sys.stderr)
    print(f"{given.count} stories in {perf_counter() - started:.0f} s: {dict(fates)}, {len(failures)} differ")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
