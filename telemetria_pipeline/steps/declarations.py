"""What files declare, and the trips that count of it.

A file's declaration is kept as it was made, day by day; `boletim_trips` follows from the declarations of
all files by the rule of `core.boletim.last_word`, and is made again, as far as a file reaches, whenever one
comes, is judged again, or is withdrawn. So nothing depends on the order in which runs end, and what was cut
short is made whole by whoever comes next. All of it is done under the lake's lock `intake`.

    boletim_declarations/dia=2026-11-22/arquivo=<file>/part-0.parquet
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from telemetria_pipeline.contracts.boletim import BOLETIM_DECLARATIONS, BOLETIM_TRIPS, BOLETIM_VERSIONS
from telemetria_pipeline.contracts.raw import FileManifest
from telemetria_pipeline.core.boletim.last_word import last_word, same_trips
from telemetria_pipeline.steps.boletim_files import (
    READERS,
    manifests_of,
    name_of,
    partition_of,
    read_file_manifest,
    write_file_manifest,
)
from telemetria_pipeline.steps.day_index import days_of, record_file
from telemetria_pipeline.steps.small_tables import read_small
from telemetria_pipeline.storage.lake import Lake, Partition, Written
from telemetria_pipeline.storage.object_store import ObjectDamaged, ObjectInfo

_DAY = timedelta(days=1)


def declare(lake: Lake, manifest: FileManifest, trips: pd.DataFrame) -> None:
    """Write the file's declaration (contract BOLETIM_TRIPS) in place of the one that may be there.

    `manifest.declared` names every day that either holds, and is stored.
    """
    said = trips.assign(
        nome=name_of(manifest.key),
        recebido_utc=pd.Timestamp(manifest.received_at).as_unit("us"),
        retirada=manifest.withdrawn is not None,
    )
    by_day = dict(list(said.groupby("data")))
    for day in manifest.declared:
        where = {"dia": day, **partition_of(manifest.file)}
        if day in by_day:
            rows = BOLETIM_DECLARATIONS.table(by_day[day])
            lake.write_table(BOLETIM_DECLARATIONS.name, where, rows)
        else:
            lake.store.delete(lake.table_key(BOLETIM_DECLARATIONS.name, where))


def declared_on(lake: Lake, days: Iterable[str]) -> pd.DataFrame:
    """All declarations of these days: contract BOLETIM_DECLARATIONS, and the file in `arquivo_id`."""

    with ThreadPoolExecutor(READERS) as readers:
        found = readers.map(lambda day: list(lake.store.list(f"{BOLETIM_DECLARATIONS.name}/dia={day}")), days)
        listed = [info for of_day in found for info in of_day]
    return _rows(lake, [_place(info.key) for info in listed], listed)


def declared_by(lake: Lake, file: str, days: Iterable[str]) -> pd.DataFrame:
    """What one file declares of these days, like `declared_on`."""
    return _rows(lake, [{"dia": day, **partition_of(file)} for day in sorted(days)])


def counted_before(declared: pd.DataFrame, manifest: FileManifest) -> pd.DataFrame:
    """What counted of these declarations when the file came."""
    came, file = manifest.place
    earlier = (declared["recebido_utc"] < came) | (
        (declared["recebido_utc"] == came) & (declared["arquivo_id"] < file)
    )
    declared = declared[earlier]
    return declared[last_word(declared).counts]


def around(days: Iterable[str], reach: int) -> list[str]:
    """These days and so many before and after each."""
    each = [date.fromisoformat(day) for day in days]
    return sorted({str(day + n * _DAY) for day in each for n in range(-reach, reach + 1)})


def settle(lake: Lake, manifest: FileManifest, zone: ZoneInfo) -> Written:
    """Make the trips that count of the days that the file declares, or did, of each file that it touches.

    A trip may be declared under two days (24:00 and 00:00), so that a day's neighbours are made with it. The
    manifests of other files that changed are stored; `manifest` is brought up to date, and stored by the
    caller. Returns what was written of the file itself.
    """
    days, near = around(manifest.declared, 2), around(manifest.declared, 1)
    declared = declared_on(lake, days)
    word, ours = last_word(declared), declared["nome"] == name_of(manifest.key)
    touched = set(declared.loc[ours | same_trips(declared, declared[ours]), "arquivo_id"])

    def trips_of(of: FileManifest) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The trips that the file's table holds, and those that it should hold."""
        had = _stored(lake, of.file)
        if len(had) == of.counted:
            here, said, last = near, declared, word
        else:  # rows of it were lost, on whatever days
            here, said = around(of.declared, 1), declared_on(lake, around(of.declared, 2))
            last = last_word(said)
        mine = last.counts & (said["arquivo_id"] == of.file) & said["data"].isin(here)
        now = pd.concat([had[~had["data"].isin(here)], said.loc[mine, BOLETIM_TRIPS.names]])
        return had, now.sort_values("linha", ignore_index=True).astype(had.dtypes)

    def replaced_by(of: FileManifest) -> str | None:
        last = word.by[declared["arquivo_id"] == of.file].max(initial=-1)
        return of.replaced_by if last < 0 else word.files[last]

    def store(of: FileManifest, trips: pd.DataFrame) -> Written:
        by_day = days_of(trips, zone)
        if new := set(map(str, by_day)) - set(of.indexed):
            of.indexed = sorted({*of.indexed, *new})
            # Said before the index is written: what a killed try began is found by the next one.
            stored = read_file_manifest(lake, of.file) or of
            write_file_manifest(lake, stored.model_copy(update={"indexed": of.indexed}))
        written = lake.write_table(BOLETIM_TRIPS.name, partition_of(of.file), BOLETIM_TRIPS.table(trips))
        record_file(lake, of.file, by_day, map(date.fromisoformat, of.indexed))
        elsewhere = declared_by(lake, of.file, set(of.declared) - set(days))
        said = pd.concat([elsewhere, declared[declared["arquivo_id"] == of.file]])
        keep_version(lake, of, said[~said["linha"].isin(trips["linha"])])
        of.replaced_by, of.counted = replaced_by(of), len(trips)
        return written

    for other in manifests_of(lake, sorted(touched - {manifest.file})):
        had, trips = trips_of(other)
        # The manifest is written last: where it says otherwise, a try was cut short before it.
        if not trips.equals(had) or (other.replaced_by, other.counted) != (replaced_by(other), len(trips)):
            store(other, trips)
            write_file_manifest(lake, other)
    return store(manifest, trips_of(manifest)[1])


def _stored(lake: Lake, file: str) -> pd.DataFrame:
    """The trips of the file's table; none where it is gone or damaged: they follow from what was declared."""
    try:
        stored = lake.read_table(BOLETIM_TRIPS.name, partition_of(file))
    except ObjectDamaged:
        stored = None
    return BOLETIM_TRIPS.empty() if stored is None else BOLETIM_TRIPS.frame(stored)


def keep_version(lake: Lake, manifest: FileManifest, trips: pd.DataFrame) -> None:
    """Keep what the file declared and what does not count of it, in place of what was kept before."""
    # Whoever looks for a cycle's trips passes earlier ones by.
    until = max([*manifest.declared, *trips["data"]], default="")
    where = {"ate": until, **partition_of(manifest.file)}
    if len(trips):
        rows = trips.assign(recebido_utc=pd.Timestamp(manifest.received_at).as_unit("us"))
        lake.write_table(BOLETIM_VERSIONS.name, where, BOLETIM_VERSIONS.table(rows[BOLETIM_VERSIONS.names]))
    elif until:
        lake.store.delete(lake.table_key(BOLETIM_VERSIONS.name, where))


def _place(key: str) -> Partition:
    _, day, file, _ = key.split("/")
    return {"dia": day.removeprefix("dia="), **partition_of(file.removeprefix("arquivo="))}


def _rows(lake: Lake, places: list[Partition], listed: list[ObjectInfo] | None = None) -> pd.DataFrame:
    rows, number = read_small(lake, BOLETIM_DECLARATIONS, places, listed)
    files = np.array([place["arquivo"] for place in places], dtype=object)
    return rows.assign(arquivo_id=pd.Series(files[number], rows.index, dtype="str"))
