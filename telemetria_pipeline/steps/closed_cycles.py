"""The closed cycles in the lake: what was frozen, and the proof that it is still the same.

`closed_billing`, `closed_trips`, `closed_adjustments` and `closed_reconciliation` lie under the hash of what
they say. Then an entry of the log, `closed_cycles/log/000001.json`, makes the closing real: it is created
under the next number, only where nothing is there. `closing.json` is a copy of that entry. A closing that was
cut short before its entry leaves the cycle open; one that was cut short after it lacks the copy, until
somebody closes the cycle again.
"""

import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import pandas as pd
import pyarrow as pa

from telemetria_pipeline.business_calendar import Cycle
from telemetria_pipeline.contracts import Contract
from telemetria_pipeline.contracts.billing import ADJUSTMENTS, BILLING, ODOMETER_RECONCILIATION, PRICED_TRIPS
from telemetria_pipeline.contracts.closing import Closing, Reopening, Resealing
from telemetria_pipeline.core.billing.closing import FROZEN, content_hash
from telemetria_pipeline.core.billing.seal import chain_problems, digest_of, parsed, sealed
from telemetria_pipeline.errors import PipelineError
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline.storage.object_store import ObjectExists, ObjectNotFound

_FROZEN_NAMES = {
    BILLING: "closed_billing",
    PRICED_TRIPS: "closed_trips",
    ADJUSTMENTS: "closed_adjustments",
    ODOMETER_RECONCILIATION: "closed_reconciliation",
}
_FOLDER = "closed_cycles"
_ENTRY_KEY = re.compile(rf"{_FOLDER}/log/(\d{{6}})\.json")
_READERS = 8  # S3 answers each in its own time
_MOMENT_S = 0.5

_GONE = "{} não é o que está no registro: não está mais lá; restaure-o de uma cópia."
_NO_COPY = "{} não é o que foi fechado ({}): `telemetria cycle close {}` o escreve de novo."
_NO_ENTRY = (
    "{} não é o que está no registro, que não diz que esse ciclo está fechado: confira com a medição "
    "assinada e restaure o registro de uma cópia, ou retire o arquivo (se um `cycle reopen` foi "
    "interrompido, repita-o)."
)
_NOT_FROZEN = (
    "{} não é o que foi congelado no fechamento: restaure-o de uma cópia; sem cópia, reabra o ciclo e "
    "feche-o de novo."
)
_OTHER_HASH = (
    "As tabelas congeladas do ciclo {} não são as que foram fechadas (hash {}): restaure "
    f"{', '.join(_FROZEN_NAMES.values())} de uma cópia."
)
_MEANWHILE = (
    "Alguém fechou ou reabriu um ciclo ao mesmo tempo: olhe com `telemetria cycle show` e tente de novo."
)

Tables = Mapping[Contract, pd.DataFrame]


class CycleRefused(PipelineError):
    """The cycle cannot be billed or closed; `reasons` say why and what to do, in Portuguese."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = reasons


def refuse(reasons: list[str]) -> None:
    """Raise `CycleRefused` where there is a reason."""
    if reasons:
        raise CycleRefused(reasons)


@dataclass(frozen=True)
class ClosingLog:
    """All that was closed and reopened: the entries as stored, by key, oldest first."""

    bodies: Mapping[str, bytes]

    @cached_property
    def _closed(self) -> dict[str, tuple[str, Closing]]:
        closed: dict[str, tuple[str, Closing]] = {}
        for key, body in self.bodies.items():
            entry = parsed(body)
            if isinstance(entry, Closing):
                closed[entry.cycle] = key, entry
            elif isinstance(entry, Reopening):
                closed.pop(entry.cycle, None)
        return dict(sorted(closed.items()))

    @property
    def closings(self) -> list[Closing]:
        """Those of the cycles that are closed, by cycle."""
        return [closing for _, closing in self._closed.values()]

    def closing(self, cycle: Cycle) -> Closing | None:
        """How the cycle was closed; None while it is open."""
        return self._closed[cycle.key][1] if cycle.key in self._closed else None

    def before(self, cycle: Cycle) -> list[Closing]:
        """The unbroken run of closed cycles before this one, the oldest first."""
        found = []
        while closing := self.closing(cycle := cycle.before):
            found.append(closing)
        return found[::-1]

    @property
    def copies(self) -> dict[str, str]:
        """Key of each `closing.json` that there is to be → key of the entry that it is a copy of."""
        return {_copy_key(cycle): key for cycle, (key, _) in self._closed.items()}

    @property
    def last(self) -> str:
        """The digest of the newest entry; empty where there is none."""
        return digest_of(list(self.bodies.values())[-1]) if self.bodies else ""

    @property
    def seal(self) -> str:
        """The newest entry's; empty where there is none."""
        newest = parsed(list(self.bodies.values())[-1]) if self.bodies else None
        return newest.seal if newest else ""


def closing_key(cycle: Cycle) -> str:
    """Where the closing of a cycle lies in the lake, while it is closed."""
    return _copy_key(cycle.key)


def entry_key(number: int) -> str:
    """Where an entry of the log lies in the lake; the first is number 1."""
    return f"{_FOLDER}/log/{number:06}.json"


def look_into_log(lake: Lake, key: str | None) -> tuple[ClosingLog, list[str]]:
    """The log, and where it or a `closing.json` is not what was written: sentences that name the object.

    `key` is the one of the newest seal, empty where there is none; None: the seal is not looked at. It costs
    a LIST, and a GET for each entry and each `closing.json`.
    """
    keys = [info.key for info in lake.store.list(_FOLDER)]
    with ThreadPoolExecutor(_READERS) as readers:
        found = dict(zip(keys, readers.map(lambda each: _get(lake, each), keys), strict=True))
    numbers = [int(said[1]) for name in keys if (said := _ENTRY_KEY.fullmatch(name))]
    expected = [entry_key(number) for number in range(1, max(numbers, default=0) + 1)]
    log = ClosingLog({name: found[name] for name in expected if name in found})
    if missing := [name for name in expected if name not in found]:
        return log, [_GONE.format(name) for name in missing]
    copies = {name for name in found if name.endswith("/closing.json")}
    return log, [
        *chain_problems(log.bodies, key),
        *(
            _NO_COPY.format(name, entry, name.split("=")[1].split("/")[0])
            for name, entry in log.copies.items()
            if found.get(name) != log.bodies[entry]
        ),
        *(_NO_ENTRY.format(name) for name in sorted(copies - log.copies.keys())),
    ]


def read_log(lake: Lake, settings: Settings) -> ClosingLog:
    """The log, if it and every `closing.json` are what was written; else raises `CycleRefused`."""
    log, problems = look_into_log(lake, settings.seal_secret)
    if problems:  # somebody may be between the two writes of a closing: a moment later they are done
        time.sleep(_MOMENT_S)
        log, problems = look_into_log(lake, settings.seal_secret)
    refuse(problems)
    return log


def changed_files(lake: Lake, closings: Sequence[Closing]) -> list[str]:
    """The frozen objects that are not what was frozen: sentences that name them. A GET each."""
    frozen = {key: digest for closing in closings for key, digest in closing.files.items()}
    with ThreadPoolExecutor(_READERS) as readers:
        found = readers.map(lambda key: digest_of(_get(lake, key)), frozen)
        return [_NOT_FROZEN.format(key) for key, now in zip(frozen, found, strict=True) if now != frozen[key]]


def altered(lake: Lake, closings: Sequence[Closing]) -> list[str]:
    """The same, and where all files are as frozen, the cycles whose tables are not what their hash says.

    The hash is what was signed; reading the tables costs a hundred times what reading their bytes does.
    """
    if changed := changed_files(lake, closings):
        return changed
    problems = []
    for closing in closings:
        try:
            frozen_tables(lake, closing)
        except CycleRefused as error:
            problems += error.reasons
    return problems


def freeze(lake: Lake, log: ClosingLog, closing: Closing, tables: Tables, settings: Settings) -> Closing:
    """Close the cycle with these tables, as the log's next entry; the closing with its files and its seal.

    Raises `CycleRefused` where somebody wrote another entry meanwhile: then nothing is closed.
    """
    files = {}
    for contract, frame in tables.items():
        name, partition = _FROZEN_NAMES[contract], closing.partition
        written = lake.write_table(name, partition, contract.table(frame))
        files[lake.table_key(name, partition)] = written.sha256
    body = _append(lake, log, closing.model_copy(update={"files": files}), settings)
    lake.store.put(_copy_key(closing.cycle), body)
    return Closing.model_validate_json(body)


def reopen(lake: Lake, cycle: Cycle, settings: Settings, reason: str, now: datetime | None = None) -> None:
    """Open the last closed cycle again; its closing and the reason stay in the log.

    The cycles after it charged what it owed: only the last one can be opened. Its frozen files need not be
    sound: closing it again is the way out where there is no copy of them.

    Raises `CycleRefused` where it is not the last closed one, or the log is not sound.
    """
    finish(lake, cycle, settings)
    log = read_log(lake, settings)
    if log.closing(cycle) is None:
        raise CycleRefused([f"O ciclo {cycle.key} não está fechado."])
    last = log.closings[-1].cycle
    if last != cycle.key:
        raise CycleRefused([f"Só o último ciclo fechado pode ser reaberto: reabra antes o {last}."])
    entry = Reopening(cycle=cycle.key, reopened_at=now or datetime.now(UTC), reason=_said(reason))
    _append(lake, log, entry, settings)
    lake.store.delete(closing_key(cycle))


def reseal(lake: Lake, settings: Settings, reason: str, now: datetime | None = None) -> ClosingLog:
    """Seal the log as it stands with the key of now; the log afterwards.

    Whoever asks for it has compared the closings with what was signed: the earlier key is not known.

    Raises `CycleRefused` where the chain is broken, or there is nothing to seal.
    """
    log, problems = look_into_log(lake, None)
    refuse(problems or altered(lake, log.closings))
    refuse([] if log.bodies else ["Ainda não há ciclo fechado: não há o que selar."])
    _append(lake, log, Resealing(resealed_at=now or datetime.now(UTC), reason=_said(reason)), settings)
    return read_log(lake, settings)


def finish(lake: Lake, cycle: Cycle, settings: Settings) -> None:
    """Make the cycle's `closing.json` what the log says, where its closing or reopening was cut short."""
    log, _ = look_into_log(lake, settings.seal_secret)
    if chain_problems(log.bodies, settings.seal_secret):
        return
    key, found = closing_key(cycle), _get(lake, closing_key(cycle))
    if entry := log.copies.get(key):
        if found != log.bodies[entry]:
            lake.store.put(key, log.bodies[entry])
    elif found in log.bodies.values():
        lake.store.delete(key)


def frozen_tables(lake: Lake, closing: Closing) -> Tables:
    """The tables that the closing froze. Raises `CycleRefused` where they are not what its hash says."""
    frozen = [c for c in FROZEN if c.name in closing.rows]  # one closed long ago froze fewer
    stored = {c: _frozen(lake, closing, c) for c in frozen}
    tables = {c: c.frame(table) for c, table in stored.items()}
    columns = {c: [name for name in c.names if name in table.column_names] for c, table in stored.items()}
    if content_hash(tables, columns) != closing.hash:
        raise CycleRefused([_OTHER_HASH.format(closing.cycle, closing.hash[:16])])
    return tables


def frozen_table(lake: Lake, closing: Closing, contract: Contract) -> pd.DataFrame:
    """One of the frozen tables, unproven: `frozen_tables` holds them against the hash."""
    return contract.frame(_frozen(lake, closing, contract))


def _frozen(lake: Lake, closing: Closing, contract: Contract) -> pa.Table:
    table = lake.read_table(_FROZEN_NAMES[contract], closing.partition)
    return contract.arrow_schema.empty_table() if table is None else table


def _copy_key(cycle: str) -> str:
    return f"{_FOLDER}/ciclo={cycle}/closing.json"


def _append(lake: Lake, log: ClosingLog, entry: Closing | Reopening | Resealing, settings: Settings) -> bytes:
    """Write the next entry, and nothing where somebody else wrote one since the log was read."""
    body = sealed(entry.model_copy(update={"previous": log.last}), settings.seal_secret)
    key = entry_key(len(log.bodies) + 1)
    try:
        lake.store.put_new(key, body)
    except ObjectExists:
        raise CycleRefused([_MEANWHILE]) from None
    return body


def _said(reason: str) -> str:
    if not reason.strip():
        raise CycleRefused(["Diga o motivo: ele fica no registro."])
    return reason.strip()


def _get(lake: Lake, key: str) -> bytes:
    """The object's bytes; none where it is not there."""
    try:
        return lake.store.get(key)
    except ObjectNotFound:
        return b""
