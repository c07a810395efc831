"""A billing cycle, from audited days to a bill, and from a bill to a closed one. Without Dagster.

The bill of an open cycle is made anew each time, with what earlier closed cycles still owe. That of a closed
cycle is what was frozen (see `closed_cycles`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pandas as pd

from telemetria_pipeline.business_calendar import Cycle
from telemetria_pipeline.contracts.audit import DAILY_KM, VALIDATED_TRIPS
from telemetria_pipeline.contracts.billing import (
    ADJUSTMENTS,
    BILLING,
    ODOMETER_RECONCILIATION,
    PATTERNS,
    PRICED_TRIPS,
)
from telemetria_pipeline.contracts.closing import Closing
from telemetria_pipeline.contracts.reference import CONTRACTS, VEHICLES
from telemetria_pipeline.core.audit.acceptances import idle
from telemetria_pipeline.core.audit.rules import AuditRules
from telemetria_pipeline.core.audit.tolerances import replace_defaults
from telemetria_pipeline.core.audit.verdicts import judge
from telemetria_pipeline.core.billing.bill import Bill, left_out, make_bill, totals
from telemetria_pipeline.core.billing.closing import FROZEN, content_hash, find_adjustments
from telemetria_pipeline.core.billing.devices import biased_devices, disbelieve
from telemetria_pipeline.core.billing.gaps import held, undeclared_days
from telemetria_pipeline.core.billing.patterns import find_patterns
from telemetria_pipeline.core.billing.reconciliation import reconcile
from telemetria_pipeline.core.billing.seal import chain_problems
from telemetria_pipeline.core.billing.tariffs import price_trips, tariffs_version
from telemetria_pipeline.core.boletim.inbox import is_passing
from telemetria_pipeline.core.exact import units
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.steps.audited_days import read_days
from telemetria_pipeline.steps.beside import Beside, frame_of, read_beside
from telemetria_pipeline.steps.boletim_files import returned_files, undecided_files
from telemetria_pipeline.steps.closed_cycles import (
    ClosingLog,
    CycleRefused,
    Tables,
    altered,
    changed_files,
    closing_key,
    finish,
    freeze,
    frozen_table,
    frozen_tables,
    look_into_log,
    read_log,
    refuse,
)
from telemetria_pipeline.steps.intake import landed_files
from telemetria_pipeline.steps.reference import ReferenceTables, read_tables
from telemetria_pipeline.steps.staleness import STATES, read_states, stale_days
from telemetria_pipeline.steps.versions import earlier_versions
from telemetria_pipeline.storage.lake import Lake, Written
from telemetria_pipeline.storage.object_store import ObjectStore

_CHANGED = "A conta do ciclo {} mudou desde que foi feita pela última vez."
_AT_ONCE = 31  # days
_SENT_LATE = timedelta(days=7)  # a cycle's boletins come until then
_BILL_FIRST = "Materialize `billing` para {}, confira a medição e tente de novo"


class TariffsMissing(CycleRefused):
    """A vehicle was in use on days without terms in force."""


@dataclass(frozen=True)
class BilledCycle:
    """What a cycle's tables hold now, and where; `days_missing` are days that are not audited yet."""

    cycle: Cycle
    tables: Tables
    written: Mapping[str, Written]
    days_missing: list[date]
    closing: Closing | None


@dataclass(frozen=True)
class WhatIf:
    """A cycle's bill under its own rules and tariffs, and under others; its closing, if it has one."""

    now: Bill
    then: Bill
    closing: Closing | None


@dataclass(frozen=True)
class CycleLook:
    """A cycle as it stands: its last bill, and what is `missing` of it, or its closing."""

    cycle: Cycle
    tables: Tables
    missing: list[str]
    closing: Closing | None


@dataclass(frozen=True)
class _Read:
    """A cycle as the lake tells it: its trips with their day in `data`, and what they were read from.

    `rules` are its own, by which the days beside it were looked for.
    """

    cycle: Cycle
    trips: pd.DataFrame
    beside: Beside
    days_missing: list[date]
    digests: dict[date, str]
    rules: AuditRules
    zone: ZoneInfo


def bill_cycle(lake: Lake, cycle: Cycle, settings: Settings) -> BilledCycle:
    """Make the cycle's tables again; those of a closed cycle are what was frozen.

    Raises:
        TariffsMissing, CycleRefused: nothing was written. A closed cycle, or a day, that is not what was
            written is refused with the names of its objects.
    """
    log = _proven(lake, settings)
    closing = log.closing(cycle)
    read = _read(lake, cycle, closing, settings)
    tables = dict(
        frozen_tables(lake, closing)
        if closing
        else _make(lake, read, read_tables(lake), log.before(cycle), settings)
    )
    tables[PATTERNS] = find_patterns(_judged(read.trips, read.rules), earlier_versions(lake, read.trips))
    for contract, frame in tables.items():
        if problem := contract.broken_by(frame):
            raise CycleRefused([f"{contract.name}: {problem}"])
    written = _write(lake, cycle, tables)
    # It may have been closed meanwhile, with what somebody saw before.
    if not closing and lake.store.exists(closing_key(cycle)):
        return bill_cycle(lake, cycle, settings)
    return BilledCycle(cycle, tables, written, read.days_missing, closing)


def close_cycle(
    lake: Lake, cycle: Cycle, settings: Settings, now: datetime | None = None, despite: str = ""
) -> Closing:
    """Freeze the cycle's bill as it was last made and looked at.

    Args:
        now: when it is closed; None: now.
        despite: why it is closed although days, hours, files or vehicles are missing; these and the reason
            are named in the closing.

    Raises:
        CycleRefused: it is closed already (then its `closing.json` is written where it was not), not over,
            not the next one, or not whole; or its bill would be another one by now.
    """
    now = now or datetime.now(UTC)
    finish(lake, cycle, settings)
    log = _proven(lake, settings)
    refuse(_not_closable(lake, log, cycle, settings, now))
    stored = _stored(lake, cycle)
    if stored is None:
        raise CycleRefused([_never_billed(cycle)])
    gaps = [*gaps_of(lake, cycle, settings), *left_out(stored[PRICED_TRIPS])]
    if not despite.strip():
        refuse([*gaps, *(['Para fechar mesmo assim, diga por quê: --despite "motivo".'] if gaps else [])])
    read, reference = _read(lake, cycle, None, settings), read_tables(lake)
    tables = _make(lake, read, reference, log.before(cycle), settings)
    digest = content_hash(tables)
    if content_hash(stored) != digest:
        first = _BILL_FIRST.format(cycle.key)
        raise CycleRefused([f"{_CHANGED.format(cycle.key)} {first}: fecha-se o que foi visto."])
    sums = totals(tables[BILLING]).astype("str").to_dict("records")
    closing = Closing(
        cycle=cycle.key,
        closed_at=now,
        hash=digest,
        rules=read.rules.as_json(),
        rules_version=read.rules.version,
        tariffs_version=tariffs_version(_contracts(reference)),
        totals=[{str(name): said for name, said in row.items()} for row in sums],
        adjustments_brl=f"{Decimal(int(units(tables[ADJUSTMENTS]['ajuste_brl']).sum())).scaleb(-2)}",
        rows={c.name: len(frame) for c, frame in tables.items()},
        days=read.digests,
        beside=read.beside.digests,
        reference=_digest_of(reference),
        accepted=gaps,
        reason=despite.strip() if gaps else "",
    )
    closing = freeze(lake, log, closing, tables, settings)
    _write(lake, cycle, tables)  # a bill may have been made since the stored one was compared
    return closing


def look_at(lake: Lake, cycle: Cycle, settings: Settings) -> CycleLook:
    """The cycle as it stands, without making anything.

    Raises `CycleRefused` where it was never billed, or where a closed cycle is not what was frozen.
    """
    log = _proven(lake, settings)
    if closing := log.closing(cycle):
        return CycleLook(cycle, frozen_tables(lake, closing), [], closing)
    tables = _stored(lake, cycle)
    if tables is None:
        raise CycleRefused([_never_billed(cycle)])
    missing = [*gaps_of(lake, cycle, settings), *left_out(tables[PRICED_TRIPS])]
    try:
        read = _read(lake, cycle, None, settings)
        now = _make(lake, read, read_tables(lake), log.before(cycle), settings)
    except CycleRefused as error:
        missing += error.reasons
    else:
        if content_hash(now) != content_hash(tables):
            missing.append(f"{_CHANGED.format(cycle.key)} Materialize `billing` de novo.")
    return CycleLook(cycle, tables, missing, None)


def what_if(
    lake: Lake,
    cycle: Cycle,
    settings: Settings,
    changed: Mapping[str, Decimal],
    contracts: pd.DataFrame | None = None,
) -> WhatIf:
    """Price the cycle again without touching it.

    Args:
        changed: other tolerances of `AuditRules`; they count for every trip, whatever its contract says.
        contracts: other terms, contract CONTRACTS; None: the ones in the lake.

    Raises:
        TariffsMissing: a vehicle would be in use without terms.
        CycleRefused: the log of closings, or a day, is not what was written.
    """
    closing = read_log(lake, settings).closing(cycle)
    read, reference = _read(lake, cycle, closing, settings), read_tables(lake)
    others, otherwise = reference.contracts if contracts is None else contracts, read.rules.but(**changed)

    def then(trips: pd.DataFrame) -> pd.DataFrame:
        priced = trips if contracts is None else price_trips(trips, contracts, trips["data"], read.rules)
        return _judged_again(replace_defaults(priced, otherwise, everywhere=changed), otherwise)

    beside = replace(read.beside, trips=then(read.beside.trips))
    changed_read = replace(read, trips=then(read.trips), beside=beside, rules=otherwise)
    return WhatIf(
        _bill(read, reference.vehicles, reference.contracts)[0],
        _bill(changed_read, reference.vehicles, others)[0],
        closing,
    )


def verify(lake: Lake, settings: Settings) -> tuple[ClosingLog, list[date], list[str]]:
    """The log of closings, the days that were audited, and what of them is not what was written.

    The last in Portuguese: sentences that name the object.
    """
    log, problems = look_into_log(lake, settings.seal_secret)
    written = {partition["data"] for partition in lake.partitions(VALIDATED_TRIPS.name)}
    known = {info.key.split("=")[1].removesuffix(".json") for info in lake.store.list(STATES)}
    days = [date.fromisoformat(day) for day in sorted(written | known)]
    for first in range(0, len(days), _AT_ONCE):  # so many days' trips are in memory
        problems += [d.problem for d in read_days(lake, days[first : first + _AT_ONCE]) if d.problem]
    if not chain_problems(log.bodies, settings.seal_secret):  # else nobody knows what was frozen
        problems += altered(lake, log.closings)
    return log, days, problems


def gaps_of(lake: Lake, cycle: Cycle, settings: Settings) -> list[str]:
    """What is still missing of the cycle, in Portuguese: days, hours, days that are stale, boletins."""
    states = read_states(lake, cycle.days)
    unaudited = [day for day in cycle.days if day not in states]
    changed = stale_days(lake, cycle.days, settings)
    measured = {day: _hours_missing(lake, day) for day in states}
    hours = {day: n for day, n in measured.items() if n}
    lost = [day for day, n in measured.items() if n is None]
    stored = lake.read_table(PRICED_TRIPS.name, cycle.partition)
    priced = PRICED_TRIPS.empty() if stored is None else PRICED_TRIPS.frame(stored)
    since, until = settings.calendar.day(cycle.first)[0], settings.calendar.day(cycle.last)[1]
    returned = returned_files(lake, since, until + _SENT_LATE)
    undecided = undecided_files(lake, since, until + _SENT_LATE)
    in_inbox = [f.key for f in landed_files(ObjectStore.open(settings.inbox)) if not is_passing(f.key)]
    acceptances = read_tables(lake).acceptances
    if acceptances is not None:
        acceptances = acceptances[acceptances["data"].between(str(cycle.first), str(cycle.last))]
    said = {
        "Dias sem conferência (materialize `validated_trips`)": [f"{d:%d/%m}" for d in unaudited],
        "Dias que mudaram e ainda não foram conferidos de novo": [f"{d:%d/%m}" for d in changed],
        "Dias com horas de telemetria em falta (`telemetria hours DIA` mostra quais)": [
            f"{d:%d/%m} ({n} h)" for d, n in hours.items()
        ],
        "Dias cuja tabela `daily_km` não existe mais (materialize `validated_trips`)": [
            f"{d:%d/%m}" for d in lost
        ],
        "Boletins devolvidos que ainda não voltaram corrigidos": [
            f"{m.name} ({m.received_at.astimezone(settings.timezone):%d/%m})" for m in returned
        ],
        "Boletins recebidos e ainda sem veredito (materialize a partição deles em `boletim_trips`)": [
            m.name for m in undecided
        ],
        "Arquivos na caixa de entrada, ainda não lidos": in_inbox,
        "Veículos sob contrato que rodaram em dias sem boletim": undeclared_days(priced),
        "Medido e não declarado, retido até que se declare ou aceite": held(priced),
        "Aceites que não nomeiam viagem alguma sem declaração": idle(
            priced, priced["data"], acceptances, settings.timezone
        ),
    }
    return [f"{what}: {', '.join(days)}." for what, days in said.items() if days]


def _hours_missing(lake: Lake, day: date) -> int | None:
    """Of a day that was audited; None where its table is gone."""
    table = lake.read_table(DAILY_KM.name, {"data": str(day)}, ["horas_sem_telemetria"])
    return None if table is None else max(table["horas_sem_telemetria"].to_pylist(), default=0)


def _not_closable(lake: Lake, log: ClosingLog, cycle: Cycle, settings: Settings, now: datetime) -> list[str]:
    """Why the cycle cannot be closed, whatever is missing of it."""
    if closing := log.closing(cycle):
        at = closing.closed_at.astimezone(settings.timezone)
        return [
            f"O ciclo {cycle.key} já foi fechado em {at:%d/%m/%Y às %H:%M}; o que chega depois vira ajuste."
        ]
    if now < settings.calendar.day(cycle.last)[1]:
        return [f"O ciclo {cycle.key} vai até {cycle.last:%d/%m/%Y} e ainda não terminou."]
    before = cycle.before
    if before.partition in lake.partitions(BILLING.name) and not log.closing(before):
        return [f"O ciclo anterior, {before.key}, ainda está aberto; feche-o primeiro."]
    return []


def _proven(lake: Lake, settings: Settings) -> ClosingLog:
    """The log of closings. Raises `CycleRefused` where it, or what was frozen, is not what was written."""
    log = read_log(lake, settings)
    refuse(changed_files(lake, log.closings))
    return log


def _read(lake: Lake, cycle: Cycle, closing: Closing | None, settings: Settings) -> _Read:
    """The cycle's days; `closing`: of one that is closed, whose rules are those of then."""
    rules = AuditRules.from_json(closing.rules) if closing else AuditRules.of(settings)
    days = read_days(lake, cycle.days)
    trips = frame_of(days)
    return _Read(
        cycle=cycle,
        trips=trips,
        beside=read_beside(lake, cycle, trips, rules, settings),
        days_missing=[day.day for day in days if day.trips is None],
        digests={day.day: day.digest for day in days if day.digest},
        rules=rules,
        zone=settings.timezone,
    )


def _judged(trips: pd.DataFrame, rules: AuditRules) -> pd.DataFrame:
    """The trips by these rules, whatever rules they were audited by: one bill has one."""
    if (trips["versao_regras"] == rules.version).all():
        return trips
    return _judged_again(replace_defaults(trips, rules), rules)


def _judged_again(trips: pd.DataFrame, rules: AuditRules) -> pd.DataFrame:
    return judge(trips, rules, trips["data"]).assign(data=trips["data"])


def _bill(
    read: _Read, vehicles: pd.DataFrame | None, contracts: pd.DataFrame | None
) -> tuple[Bill, pd.DataFrame]:
    """The bill, and what it rests on between the readings of odometers: contract ODOMETER_RECONCILIATION."""
    trips, beside = (_judged(rows, read.rules) for rows in (read.trips, read.beside.trips))
    biased = biased_devices(trips)
    found = reconcile(trips, beside, biased, read.rules, read.zone)
    bill = make_bill(disbelieve(found.trips, biased), vehicles, contracts, read.cycle, read.rules)
    if bill.holes:
        raise TariffsMissing(bill.holes)
    return bill, found.intervals


def _make(
    lake: Lake, read: _Read, reference: ReferenceTables, before: list[Closing], settings: Settings
) -> Tables:
    """The tables that a closing freezes, for a cycle that is open; `before` are closings that it follows."""
    bill, intervals = _bill(read, reference.vehicles, reference.contracts)
    return {
        BILLING: bill.billing,
        PRICED_TRIPS: bill.priced,
        ADJUSTMENTS: _owed(lake, before, reference, settings),
        ODOMETER_RECONCILIATION: intervals,
    }


def _owed(
    lake: Lake, closings: list[Closing], reference: ReferenceTables, settings: Settings
) -> pd.DataFrame:
    """The adjustments of these closed cycles that the open one after them is the first to charge."""
    empty = ADJUSTMENTS.empty()
    charged = pd.concat([empty, *(frozen_table(lake, c, ADJUSTMENTS) for c in closings)], ignore_index=True)
    found = [empty]
    for closing in closings:
        origin, since = Cycle.from_key(closing.cycle), charged[charged["ciclo_origem"] == closing.cycle]
        states = read_states(lake, [*origin.days, *closing.beside])
        known = {day: states[day].digest for day in origin.days if day in states}
        beside = {day: states[day].digest if day in states else "" for day in closing.beside}
        found_then = (closing.days, closing.beside, closing.reference)
        if since.empty and (known, beside, _digest_of(reference)) == found_then:
            continue  # its trips need not even be read
        read, frozen = _read(lake, origin, closing, settings), frozen_tables(lake, closing)
        refuse(_forgotten(frozen[BILLING], closing, read, reference))
        now, _ = _bill(read, reference.vehicles, reference.contracts)
        found.append(find_adjustments(origin, frozen[BILLING], frozen[PRICED_TRIPS], since, now))
    return pd.concat(found, ignore_index=True)


def _forgotten(billing: pd.DataFrame, closing: Closing, read: _Read, reference: ReferenceTables) -> list[str]:
    """Days and vehicles of a closed cycle that are not there any more: what they cost would be paid back."""
    days = [f"{day:%d/%m/%Y}" for day in closing.days if day in read.days_missing]
    tables = [table["placa"] for table in (reference.vehicles, reference.contracts) if table is not None]
    known = pd.concat([pd.Series(dtype="str"), *tables]).dropna()
    closed = f"do ciclo {closing.cycle}, já fechado,"
    return [
        *(
            [f"Os dias {', '.join(days)} {closed} não têm mais `validated_trips`: materialize-os."]
            if days
            else []
        ),
        *(
            f"O veículo {plate} {closed} não consta mais de vehicles: devolva a linha, com a data de saída."
            for plate in sorted(set(billing["veiculo"]) - set(known))
        ),
    ]


def _never_billed(cycle: Cycle) -> str:
    return f"A conta do ciclo {cycle.key} ainda não foi feita. {_BILL_FIRST.format(cycle.key)}."


def _write(lake: Lake, cycle: Cycle, tables: Tables) -> dict[str, Written]:
    return {c.name: lake.write_table(c.name, cycle.partition, c.table(f)) for c, f in tables.items()}


def _stored(lake: Lake, cycle: Cycle) -> Tables | None:
    """The cycle's tables as they were last made; None where they never were."""
    found = {c: lake.read_table(c.name, cycle.partition) for c in FROZEN}
    tables = {c: c.frame(table) for c, table in found.items() if table is not None}
    return tables if len(tables) == len(found) else None


def _digest_of(reference: ReferenceTables) -> str:
    """Of what a bill takes from the reference tables."""
    vehicles = VEHICLES.empty() if reference.vehicles is None else reference.vehicles
    return content_hash({VEHICLES: vehicles, CONTRACTS: _contracts(reference)})


def _contracts(reference: ReferenceTables) -> pd.DataFrame:
    return CONTRACTS.empty() if reference.contracts is None else reference.contracts
