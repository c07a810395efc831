"""One hour's tables from its current capture, or nothing where a promise would be broken. Needs no API."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from telemetria_pipeline.business_calendar import Hour
from telemetria_pipeline.contracts import Contract
from telemetria_pipeline.contracts.raw import Capture, HourManifest
from telemetria_pipeline.contracts.telemetry import CHANGES, LEDGER, QUARANTINE, TRIPS
from telemetria_pipeline.core.digests import rows_digest
from telemetria_pipeline.core.telemetry import quality
from telemetria_pipeline.core.telemetry.changes import COMPARED, NO_CHANGES, compare_trips, count_changes
from telemetria_pipeline.core.telemetry.cleaning import NOT_ASKED, CleanedHour
from telemetria_pipeline.core.telemetry.ledger import Ledger
from telemetria_pipeline.errors import PipelineError
from telemetria_pipeline.steps.day_index import FLEET_NUMBER, HourEntry, UnheardVehicle, record_hour
from telemetria_pipeline.steps.hours import last_known, update_manifest
from telemetria_pipeline.steps.people import People
from telemetria_pipeline.storage.lake import Lake, Partition, Written
from telemetria_pipeline.storage.object_store import ObjectDamaged

_Read = TypeVar("_Read")

EARLIER_DAYS = 7
_TOLD = ("situacao", "motivo", "ilegivel", "veiculo_id", "saida_utc", "chegada_utc", "id_origem")
"""What a row of the quarantine says, wherever it stood in raw."""


class TablesRefused(PipelineError):
    """Tables were not written, and `check` says which promise they would have broken."""

    def __init__(self, check: str, problem: str) -> None:
        super().__init__(f"{check}: {problem}")
        self.check, self.problem = check, problem


class NoCapture(PipelineError):
    """There is nothing to read: no capture of the hour was kept."""


@dataclass(frozen=True)
class PublishedHour:
    """What was written of an hour, for metadata and checks."""

    hour: Hour
    state: str
    ledger: Ledger
    capture: Capture
    trips: pd.DataFrame
    changes: dict[str, int]
    written: Written
    digest: str
    problems: dict[str, str | None]
    damaged: list[str]  # what could not be read of the earlier tables, in words: nobody knows what changed


def publish_hour(
    lake: Lake,
    hour: Hour,
    manifest: HourManifest,
    cleaned: CleanedHour,
    pseudonym_key: str = "",
) -> PublishedHour:
    """Replace the hour's tables by the current capture's rows; who does so holds the lock `publishing`.

    The trips are written last: until then readers see the earlier partition. The entry in the index of days
    follows them: whatever a killed publication began, the next one ends with its entry. Where the earlier
    tables are damaged, they are made again all the same, and what changed is not known. Where a later capture
    says the same as the one before, the tables stay as they are.

    Args:
        cleaned: the current capture's rows.
        pseudonym_key: see `People.configured`; the tables hold no driver's name.

    Raises:
        TablesRefused: the rows would break the contract or the ledger; nothing was replaced.
    """
    capture = manifest.current
    if capture is None:
        raise NoCapture(f"{hour.key} has no capture; materialise raw_telemetry for it first")
    _refuse_unless_sound(cleaned, capture.rows)
    # Asked before anything is replaced: it reads other hours' manifests, and that may fail.
    astray = int((cleaned.quarantine["motivo"] == NOT_ASKED).sum())
    doubts = _quality_answers(lake, cleaned.trips, cleaned.ledger, astray, hour, manifest)
    damaged: list[str] = []
    found = _readable(lake.read_written, TRIPS, hour, damaged)
    stood, people = TRIPS.frame(found[0]) if found else TRIPS.empty(), People(lake, pseudonym_key)
    # What an earlier version wrote may hold names: they are no change, and are told to nobody.
    before = people.hidden(TRIPS, stood)
    cleaned = replace(cleaned, trips=people.hidden(TRIPS, cleaned.trips))
    # Where the table is gone or damaged, it is made again, and nobody knows of a change.
    earlier = manifest.published if found else None
    digest = _digest(cleaned.trips)
    later = manifest.published not in (None, capture.id) and _digest(stood) == digest
    if found and later and _says_the_same(lake, hour, found[0], cleaned, damaged):
        changes, written, held = dict(NO_CHANGES), found[1], str(manifest.published)
    else:
        changes = _record_changes(lake, hour, before, cleaned, earlier, capture.id, damaged)
        lake.write_table(QUARANTINE.name, hour.partition, QUARANTINE.table(cleaned.quarantine))
        lake.write_table(LEDGER.name, hour.partition, _ledger_table(cleaned.ledger, capture, changes))
        written, held = lake.write_table(TRIPS.name, hour.partition, TRIPS.table(cleaned.trips)), capture.id
    entry = HourEntry(
        state=cleaned.ledger.state,
        digest=digest,
        rows=written.rows,
        capture=held,
        until=cleaned.trips["chegada_utc"].max().to_pydatetime() if written.rows else None,
        unheard=_unheard(cleaned.unheard),
        captured_at=capture.captured_at,
        settles_at=capture.settles_at,
    )
    took_back = changes["gone"] or changes["altered"]
    record_hour(lake, hour, entry, _heard(cleaned.trips, hour), None if took_back else _digest(before))

    def say(known: HourManifest) -> None:
        known.captures = known.captures or manifest.captures
        known.published, known.accepted = held, cleaned.ledger.accepted
        known.confirmed = capture.id if held != capture.id else None
        known.say_of(capture, cleaned.ledger.state)

    say(manifest)
    update_manifest(lake, hour, say)
    return PublishedHour(
        hour,
        cleaned.ledger.state,
        cleaned.ledger,
        capture,
        cleaned.trips,
        changes,
        written,
        digest,
        {"ledger_balances": None, "contract_holds": None, **doubts},
        damaged,
    )


def recheck_hour(lake: Lake, hour: Hour, manifest: HourManifest) -> dict[str, str | None]:
    """Ask every check of an hour's stored tables: check name → problem in words, or None."""
    stored, rest, counts = (lake.read_table(c.name, hour.partition) for c in (TRIPS, QUARANTINE, LEDGER))
    if stored is None or rest is None or counts is None:
        raise NoCapture(f"{hour.key} was never published; materialise {TRIPS.name} for it first")
    trips, row = People(lake).shown(TRIPS, TRIPS.frame(stored)), counts.to_pylist()[0]
    ledger = Ledger(**{field: row[field] for field in Ledger.__dataclass_fields__})
    return {
        "ledger_balances": _imbalance(ledger, len(trips), rest.num_rows),
        "contract_holds": TRIPS.broken_by(trips),
        **_quality_answers(lake, trips, ledger, rest["motivo"].to_pylist().count(NOT_ASKED), hour, manifest),
    }


def _refuse_unless_sound(cleaned: CleanedHour, kept: int) -> None:
    """The last gate before anything is replaced; `kept` is the number of rows in raw."""
    if cleaned.ledger.received != kept:
        raise TablesRefused(
            "ledger_balances", f"{kept} rows lie in raw, and {cleaned.ledger.received} were judged"
        )
    imbalance = _imbalance(cleaned.ledger, len(cleaned.trips), len(cleaned.quarantine))
    if imbalance:
        raise TablesRefused("ledger_balances", imbalance)
    for contract, frame in ((TRIPS, cleaned.trips), (QUARANTINE, cleaned.quarantine)):
        problem = contract.broken_by(frame)
        if problem:
            raise TablesRefused("contract_holds", f"{contract.name}: {problem}")


def _imbalance(ledger: Ledger, trips: int, quarantined: int) -> str | None:
    if ledger.unaccounted:
        return f"{ledger.unaccounted} of {ledger.received} rows unaccounted for"
    if (trips, quarantined) != (ledger.accepted, ledger.received - ledger.accepted):
        return f"{trips} trips and {quarantined} rows in quarantine against {ledger}"
    return None


def _unheard(vehicles: pd.DataFrame | None) -> list[UnheardVehicle]:
    if vehicles is None:
        return []
    rows = vehicles.astype(object).where(vehicles.notna(), None).to_dict("records")
    return [UnheardVehicle.model_validate(row) for row in rows]


def _heard(trips: pd.DataFrame, hour: Hour) -> set[str]:
    """The vehicles of the trips, as the index of days names them."""
    nameless = trips[trips["placa"].isna()]
    ids, fleet_numbers = nameless["veiculo_id"], nameless["equipamento"].dropna()
    return {*trips["placa"].dropna().unique(), *(hour.source + ":" + ids), *(FLEET_NUMBER + fleet_numbers)}


def _digest(trips: pd.DataFrame) -> str:
    """Of what the trips say, whatever capture they come from."""
    return rows_digest(TRIPS.only(*COMPARED), trips)


def _readable(
    read: Callable[[str, Partition], _Read | None], contract: Contract, hour: Hour, damaged: list[str]
) -> _Read | None:
    """The hour's table; None where there is none, and where it is damaged, which is noted."""
    try:
        return read(contract.name, hour.partition)
    except ObjectDamaged as error:
        damaged.append(str(error))
        return None


def _says_the_same(lake: Lake, hour: Hour, trips: pa.Table, cleaned: CleanedHour, damaged: list[str]) -> bool:
    """Whether tables of these trips, written anew, would hold what they hold, but for its place in raw."""
    rest, counts = (_readable(lake.read_table, each, hour, damaged) for each in (QUARANTINE, LEDGER))
    if rest is None or counts is None:
        return False
    if not (trips.schema.equals(TRIPS.arrow_schema) and rest.schema.equals(QUARANTINE.arrow_schema)):
        return False  # of an earlier version
    row, ledger = counts.to_pylist()[0], {"state": cleaned.ledger.state, **cleaned.ledger.counts()}
    told = QUARANTINE.only(*_TOLD)
    same = rows_digest(told, QUARANTINE.frame(rest)) == rows_digest(told, cleaned.quarantine)
    return same and {name: row[name] for name in ledger} == ledger


def _record_changes(
    lake: Lake,
    hour: Hour,
    before: pd.DataFrame,
    cleaned: CleanedHour,
    earlier: str | None,
    capture: str,
    damaged: list[str],
) -> dict[str, int]:
    if earlier is None:
        return dict(NO_CHANGES)
    found = compare_trips(before, cleaned.trips, earlier=earlier, capture=capture)
    if len(found):
        known = _readable(lake.read_table, CHANGES, hour, damaged)
        if known is not None and earlier != capture:
            # A try that was killed before its trips were written has told the same changes.
            told = pc.and_(
                pc.equal(known["captura_anterior"], earlier), pc.not_equal(known["captura"], earlier)
            )
            known = known.filter(pc.invert(told))
        table = CHANGES.table(found)
        lake.write_table(
            CHANGES.name, hour.partition, pa.concat_tables([known, table]) if known is not None else table
        )
    return count_changes(found)


def _ledger_table(ledger: Ledger, capture: Capture, changes: Mapping[str, int]) -> pa.Table:
    row = {
        "state": ledger.state,
        **ledger.counts(),
        "requests": capture.requests,
        "retries": capture.retries,
        "raw_bytes": capture.bytes,
        **changes,
        "capture": capture.id,
        "captured_at_utc": capture.captured_at,
        "profile": capture.profile,
    }
    return pa.Table.from_pylist([row], schema=LEDGER.arrow_schema)


def _quality_answers(
    lake: Lake, trips: pd.DataFrame, ledger: Ledger, astray: int, hour: Hour, manifest: HourManifest
) -> dict[str, str | None]:
    days = (hour.days_before(n) for n in range(1, EARLIER_DAYS + 1))
    known = [m for day in days if (m := last_known(lake, day)) and m.current]
    before = [*manifest.captures[:-1][-1:], *(m.current for m in known)]
    return {
        "nulls_and_formats": quality.nulls_and_formats(
            trips, received=ledger.received, rejected=ledger.rejected
        ),
        "rows_as_asked": quality.rows_as_asked(astray),
        "all_vehicles_heard": quality.all_vehicles_heard(
            [v.stamp.get("placa_recebida", v.id) for v in manifest.captures[-1].skipped]
        ),
        "ids_well_formed": quality.ids_well_formed(trips),
        "plausible_movement": quality.plausible_movement(trips),
        "volume_like_earlier_days": quality.volume_like_earlier_days(
            len(trips), [m.accepted for m in known if m.accepted is not None]
        ),
        "schema_drift": quality.schema_drift(
            manifest.captures[-1].fields, next((c.fields for c in before if c and c.fields), [])
        ),
    }
