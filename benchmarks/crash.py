"""Kill Dagster without warning while boletins are on their way, again and again; then count.

    python benchmarks/crash.py [--kills 20] [--files 40] [--seed 7]

`make dev` as it is, with an instance, inbox and lake of its own in a temporary folder. Each kill is a
SIGKILL of Dagster and everything that it started, at a random moment between landing and archive. In
the end every file must have one verdict and every accepted row must be there once.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEADERS = "PLACA;DATA;HORÁRIO SAÍDA;HORÁRIO CHEGADA;KM SAÍDA;KM CHEGADA"
PATIENCE_S = 600


def boletim(number: int, rows: int, bad: bool) -> bytes:
    """A file of `rows` trips of a vehicle of its own; a bad one has a plate that is none."""
    plate = "ABCO234" if bad else f"ABC{number % 10}C{number % 100:02d}"
    lines = [HEADERS]
    for i in range(rows):
        hour, minute, km = i // 4, i % 4 * 15, 1000 + 10 * i
        lines.append(
            f"{plate};22/11/2026;{hour:02d}:{minute:02d};{hour:02d}:{minute + 10:02d};{km};{km + 10}"
        )
    return "\n".join(lines).encode()


def dagster(env: dict[str, str], log: Path) -> subprocess.Popen:
    """What `make dev` starts, in a process group of its own."""
    command = "from telemetria_pipeline.cli import main; main(['dev', '--port', '3999'])"
    with log.open("a") as out:
        return subprocess.Popen(
            [sys.executable, "-c", command],
            cwd=ROOT,
            env=env,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )


def kill(process: subprocess.Popen) -> None:
    """SIGKILL for the whole group."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--files", type=int, default=40)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="telemetria-crash-"))
    home, inbox = folder / "home", folder / "inbox"
    log = folder / "dagster.log"
    home.mkdir()
    inbox.mkdir()
    shutil.copy(ROOT / "dagster.yaml", home)
    env = os.environ | {
        "DAGSTER_HOME": str(home),
        "TELEMETRIA_INBOX": f"file:{inbox}",
        "TELEMETRIA_LAKE": f"file:{folder / 'lake'}",
        "TELEMETRIA_INBOX_SETTLE_S": "0",
        "TELEMETRIA_API_URL": "http://127.0.0.1:9",  # no carrier is asked
    }
    expected = {f"b{n:02d}.csv": (1 + n % 20, n % 6 == 5) for n in range(options.files)}
    for n, (name, (rows, bad)) in enumerate(expected.items()):
        (inbox / name).write_bytes(boletim(n, rows, bad))
    (inbox / "copy.csv").write_bytes((inbox / "b00.csv").read_bytes())

    def waiting() -> int:
        return sum(1 for file in inbox.iterdir() if file.is_file())

    dice, kills = random.Random(options.seed), 0
    while kills < options.kills and waiting():
        left, process = waiting(), dagster(env, log)
        deadline = time.monotonic() + PATIENCE_S
        while waiting() == left and time.monotonic() < deadline:  # so that each kill strikes a run
            time.sleep(0.05)
        time.sleep(dice.uniform(0, 4))
        kill(process)
        kills += 1
        print(f"kill {kills}: {waiting()} of {len(expected) + 1} files wait", flush=True)
    process = dagster(env, log)
    deadline = time.monotonic() + PATIENCE_S
    while waiting() and time.monotonic() < deadline:
        time.sleep(0.5)
    kill(process)

    from telemetria_pipeline.contracts.boletim import BOLETIM_TRIPS
    from telemetria_pipeline.contracts.raw import FileManifest
    from telemetria_pipeline.storage.lake import Lake

    lake = Lake.open(f"file:{folder / 'lake'}")
    manifests = [
        FileManifest.model_validate(lake.read_json(info.key))
        for info in lake.store.list("raw_boletins")
        if info.key.endswith("/manifest.json")
    ]
    verdicts = {m.name: m.verdict for m in manifests}
    stored = {
        m.name: table.num_rows
        for m in manifests
        if (table := lake.read_table(BOLETIM_TRIPS.name, {"arquivo": m.file})) is not None
    }
    assert len(manifests) == len(expected) + 1, f"{len(manifests)} files have a manifest"
    assert waiting() == 0, f"{waiting()} files still wait; see {log}"
    duplicates = sorted(verdicts[name] == "duplicate" for name in ("b00.csv", "copy.csv"))
    assert duplicates == [False, True], "the repeat must be a duplicate, once"
    total = 0
    for name, (rows, bad) in expected.items():
        if verdicts[name] != "duplicate":
            assert verdicts[name] == ("rejected" if bad else "accepted"), f"{name}: {verdicts[name]}"
            assert stored[name] == (0 if bad else rows), f"{name}: {stored[name]} of {rows} rows"
        total += 0 if bad else rows
    assert sum(stored.values()) == total
    print(f"{kills} kills, {len(manifests)} files, one verdict each, {total} rows, each there once")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
