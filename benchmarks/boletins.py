"""Boletins: what the largest one costs beside the floor and beside a peer, and how long a sender waits."""

import contextlib
import importlib.util
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from datetime import time as clock
from pathlib import Path
from statistics import median

import psutil
from boletim_files import HEADERS
from measure import ENVIRON, HERE, Timing, best, expect, process, rows_in

AIM_CSV, AIM_XLSX, AIM_PEER = 3.0, 2.0, 10.0
FLEET, SLOTS = 1_000, 33  # vehicles; trips that each makes a day
SLOT_MIN, TRIP_MIN = 43, 40
FIRST_DAY = date(2025, 3, 16)
_PATIENCE_S = 180


@dataclass(frozen=True)
class Size:
    """Rows of the CSV, of the workbook and of the peer's sample; boletins dropped into the inbox."""

    csv: int
    xlsx: int
    peer: int
    dropped: int
    repeats: int


FULL = Size(csv=50_000, xlsx=50_000, peer=50_000, dropped=8, repeats=3)  # the most that the limits let in
SMALL = Size(csv=5_000, xlsx=500, peer=500, dropped=0, repeats=1)


@dataclass(frozen=True)
class Boletins:
    """The best timing of each contender, and the seconds from landing to archive of each dropped file."""

    size: Size
    timings: dict[str, Timing]
    waits: list[float]

    @property
    def peer_ratio(self) -> float | None:
        """frictionless over ours, seconds of work for as many rows; None without frictionless."""
        peer = self.timings.get("frictionless_csv")
        if peer is None:
            return None
        return peer.work_seconds * self.size.csv / self.size.peer / self.timings["ours csv"].work_seconds

    def ratio(self, kind: str) -> float:
        """Ours over the bare script, from the process's start to its exit."""
        return self.timings[f"ours {kind}"].seconds / self.timings[f"bare_{kind}"].seconds


def boletins(folder: Path, size: Size) -> Boletins:
    """Measure everything; raises when a contender wrote other rows than the file has."""
    folder.mkdir(parents=True)
    csv, xlsx, sample = folder / "boletim.csv", folder / "boletim.xlsx", folder / "sample.csv"
    write_csv(csv, trips(size.csv))
    write_csv(sample, trips(size.peer))
    write_xlsx(xlsx, trips(size.xlsx))
    # Label, script's function, file, rows.
    contenders = [
        ("bare_csv", "bare_csv", csv, size.csv),
        ("ours csv", "ours", csv, size.csv),
        ("bare_xlsx", "bare_xlsx", xlsx, size.xlsx),
        ("ours xlsx", "ours", xlsx, size.xlsx),
    ]
    if importlib.util.find_spec("frictionless"):
        contenders.append(("frictionless_csv", "frictionless_csv", sample, size.peer))
    found: dict[str, list[Timing]] = {label: [] for label, *_ in contenders}
    for repeat in range(size.repeats):
        for label, function, file, rows in contenders:
            out = folder / f"{label}-{repeat}"
            timing = process([str(HERE / "boletim_contenders.py"), function, str(file), str(out)], out)
            peer = function == "frictionless_csv"
            expect(f"rows of {label}", int((out / "rows").read_text()) if peer else rows_in(out)[1], rows)
            found[label].append(timing)
            print(f"  {label}: {timing.seconds:.1f} s", flush=True)
            shutil.rmtree(out)
    waits = _waits(folder, size) if size.dropped else []  # the sensor itself has tests of its own
    return Boletins(size, {label: best(timings) for label, timings in found.items()}, waits)


def print_boletins(found: Boletins) -> None:
    """The table, and the ratios under it."""
    size = found.size
    print(
        f"\nBoletins of {len(HEADERS)} columns, read, validated and written: {size.csv:,} rows of CSV and "
        f"{size.xlsx:,} of XLSX;\nbest of {size.repeats} in turn.\n"
        f"\n{'':18}{'all, s':>10}{'work, s':>10}{'peak, MB':>10}"
    )
    for label, t in found.timings.items():
        print(f"{label:18}{t.seconds:10.2f}{t.work_seconds:10.2f}{t.peak_mb:10.0f}")
    for kind in ("csv", "xlsx"):
        ours, bare = found.timings[f"ours {kind}"], found.timings[f"bare_{kind}"]
        print(
            f"ours / bare, {kind:5}{found.ratio(kind):10.2f}{ours.work_seconds / bare.work_seconds:10.2f}"
            f"{ours.peak_mb / bare.peak_mb:10.2f}"
        )
    if found.peer_ratio:
        print(
            f"frictionless / ours, work: {found.peer_ratio:.1f} (its {size.peer:,} rows scaled to "
            f"{size.csv:,}; it only validates)"
        )
    if found.waits:
        print(
            f"From landing to archive, the sensor on, {len(found.waits)} boletins one by one: median "
            f"{median(found.waits):.1f} s, longest {max(found.waits):.1f} s (5 s of it the file has to rest)"
        )


def aims(found: Boletins) -> Iterator[tuple[str, float, float, bool]]:
    """What is aimed at: what, the figure, the aim, and whether the aim is a maximum."""
    yield "ours / bare, boletim CSV", found.ratio("csv"), AIM_CSV, True
    yield "ours / bare, boletim XLSX", found.ratio("xlsx"), AIM_XLSX, True
    if found.peer_ratio:
        yield "frictionless / ours", found.peer_ratio, AIM_PEER, False


# --- the files ------------------------------------------------------------------------------------------


def trips(rows: int, first: int = 0) -> Iterator[tuple]:
    """Sound trips in the order of a boletim's columns, clocks in minutes.

    No two of a vehicle overlap, and its odometer goes on from trip to trip.
    """
    letters = "ABCDEFGHIJ"
    for i in range(first, first + rows):
        vehicle, done = i % FLEET, i // FLEET
        day, slot = divmod(done, SLOTS)
        left, km = slot * SLOT_MIN + vehicle % 3, 20_000 + 37 * vehicle + 25.5 * done
        yield (
            str(100_000 + i),
            f"{letters[vehicle % 10]}BC{vehicle // 100}{letters[vehicle // 10 % 10]}{vehicle % 100:02d}",
            str(3_000 + vehicle),
            FIRST_DAY + timedelta(days=day),
            f"FAZENDA SÃO JOÃO {vehicle % 97}",
            f"FRENTE {done % 41}",
            left,
            left + TRIP_MIN,
            "ABC"[slot // 11],
            km,
            km + 25.5,
            25.5,
            i % 44,
            f"JOSÉ DA CONCEIÇÃO {vehicle + slot // 11 * FLEET}",
            "VIAÇÃO EXEMPLO",
        )


def write_csv(path: Path, rows: Iterable[tuple]) -> None:
    """A boletim as Excel saves it in Brazil: `;`, decimal comma, dd/mm/yyyy."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(";".join(HEADERS) + "\r\n")
        for row in rows:
            texts = [str(value) for value in row]
            texts[3] = f"{row[3]:%d/%m/%Y}"
            texts[6:8] = [f"{minute // 60:02d}:{minute % 60:02d}" for minute in row[6:8]]
            texts[9:12] = [f"{km:.1f}".replace(".", ",") for km in row[9:12]]
            file.write(";".join(texts) + "\r\n")


def write_xlsx(path: Path, rows: Iterable[tuple]) -> None:
    """The same as a workbook: dates and clocks of their own types, numbers as numbers."""
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    page = book.create_sheet("Boletim")
    page.append(HEADERS)
    for row in rows:
        values = list(row)
        values[6:8] = [clock(*divmod(minute, 60)) for minute in row[6:8]]
        page.append(values)
    book.save(path)


# --- the wait for a verdict -----------------------------------------------------------------------------


def _waits(folder: Path, size: Size) -> list[float]:
    """Seconds from landing to archive of `size.dropped` boletins of 500 rows, dropped one by one.

    Dagster's own daemon runs, with the repository's `dagster.yaml`, and its sensor as it is shipped.
    """
    inbox, chance, waits = folder / "inbox", random.Random(1), []
    inbox.mkdir()
    with _daemon(folder, inbox):
        for number in range(size.dropped + 1):
            file = inbox / f"garagem-{number}.csv"
            write_csv(folder / file.name, trips(500, first=500 * number))
            began = time.perf_counter()
            shutil.move(folder / file.name, file)
            while file.exists():
                if time.perf_counter() - began > _PATIENCE_S:
                    raise RuntimeError(f"{file.name} has no verdict after {_PATIENCE_S} s")
                time.sleep(0.05)
            waits.append(time.perf_counter() - began)
            expect(f"verdict of {file.name}", len(list(inbox.glob(f"archive/accepted/{file.stem}.*.csv"))), 1)
            time.sleep(chance.uniform(0, 5))  # files do not wait for the sensor's ticks
    return waits[1:]  # the first one waited for the daemon to start


@contextlib.contextmanager
def _daemon(folder: Path, inbox: Path) -> Iterator[None]:
    home = folder / "home"
    home.mkdir()
    shutil.copy(HERE.parent / "dagster.yaml", home)
    environ = {
        **ENVIRON,
        "DAGSTER_HOME": str(home),
        "TELEMETRIA_LAKE": f"file:{folder / 'lake'}",
        "TELEMETRIA_INBOX": f"file:{inbox}",
    }
    command = [sys.executable, "-m", "dagster._daemon", "run", "-m", "telemetria_pipeline.definitions"]
    with (folder / "daemon.txt").open("w") as log:
        daemon = subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{(folder / 'daemon.txt').read_text()[-3000:]}") from None
        finally:
            started = psutil.Process(daemon.pid).children(recursive=True) if daemon.poll() is None else []
            daemon.terminate()
            daemon.wait(30)
            for child in started:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.terminate()
            psutil.wait_procs(started, 30)
