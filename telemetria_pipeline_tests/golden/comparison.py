"""What the pipeline made of a golden month, held against the month's truth, value by value.

Both sides become rows of plain values under a key that names day, vehicle and departure. Distances are whole
metres, money whole cents.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pandas as pd

from telemetria_pipeline.business_calendar import Cycle
from telemetria_pipeline.contracts import Contract
from telemetria_pipeline.contracts.audit import DIVERGENCES, VALIDATED_TRIPS
from telemetria_pipeline.contracts.billing import (
    ADJUSTMENTS,
    BILLING,
    ODOMETER_RECONCILIATION,
    PATTERNS,
    PRICED_TRIPS,
)
from telemetria_pipeline.core.billing.bill import NO_OPERATION, TOTAL, totals
from telemetria_pipeline.core.names import plain_name
from telemetria_pipeline.steps.hours import read_manifest
from telemetria_pipeline.steps.people import People
from telemetria_pipeline_tests.golden.money import Adjustment, BillLine, PricedTrip
from telemetria_pipeline_tests.golden.pipeline import GoldenPipeline
from telemetria_pipeline_tests.golden.trips import TrueVerdict
from telemetria_pipeline_tests.golden.truth import Truth

Key = tuple[str, ...]
Rows = Mapping[Key, Mapping[str, Any]]
_WITHOUT_PRICE = ("veiculo_desconhecido", "aparelhos_trocados")
_OF_KM = ("km_divergente", "sem_telemetria", "nao_declarada")


@dataclass(frozen=True)
class Difference:
    """One value that is not what it must be; a row that only one side has differs in `row`."""

    table: str
    key: Key
    column: str
    expected: object
    found: object


@dataclass
class Compared:
    """How many rows and cents of each table were held against the truth, and all that differs."""

    rows: Counter[str] = field(default_factory=Counter)
    cents: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    def hold(self, table: str, expected: Rows, found: Rows, money: str | None = None) -> None:
        """Hold one table against its truth; `money` names the column that its cents are counted in."""
        for key in sorted({*expected, *found}):
            if key in expected and key in found:
                self.differences += [
                    Difference(table, key, column, truth, found[key][column])
                    for column, truth in expected[key].items()
                    if truth != found[key][column]
                ]
            else:
                self.differences.append(Difference(table, key, "row", key in expected, key in found))
        self.rows[table] += len(expected)
        if money:
            self.cents[table] += sum(int(row[money] or 0) for row in expected.values())

    def told(self, most: int = 40) -> str:
        """The differences as a table."""
        shown = pd.DataFrame(
            [(d.table, " ".join(d.key), d.column, d.expected, d.found) for d in self.differences[:most]],
            columns=["table", "day, vehicle, departure ...", "column", "must be", "is"],
            dtype=object,
        )
        return f"{shown.to_string(index=False)}\n{len(self.differences)} differences"


def unchanged(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Compared:
    """The tables' objects, byte by byte."""
    compared = Compared()
    hashes = [
        {(key,): {"sha256": sha256(body).hexdigest()} for key, body in bodies.items()}
        for bodies in (before, after)
    ]
    compared.hold("objects", *hashes)
    return compared


def compare(pipeline: GoldenPipeline, late: bool = False, closed: Iterable[Cycle] = ()) -> Compared:
    """Everything that the pipeline made, against the truth.

    Args:
        late: the late boletins have come.
        closed: cycles that were closed before they came.
    """
    closed, compared = set(closed), Compared()
    truth, in_time = pipeline.truth.of(late=late), pipeline.truth.of()
    compared.hold("hours", _true_hours(pipeline), _hours(pipeline))
    compared.hold("trips", _true_trips(truth.trips), _trips(pipeline))
    compared.hold("divergences", _true_kinds(truth.trips), _kinds(pipeline), "valor_brl")
    for cycle in pipeline.cycles:
        billed, billing = in_time if cycle in closed else truth, _table(pipeline, BILLING, cycle)
        compared.hold(
            "bill lines", _true_lines(billed.bills[cycle.first]), _lines(cycle, billing), "total_brl"
        )
        compared.hold("bill totals", _true_totals(cycle, billed), _totals(cycle, billing), "total_brl")
        compared.hold("priced trips", _true_priced(billed.priced[cycle.first]), _priced(pipeline, cycle))
        found = _table(pipeline, ODOMETER_RECONCILIATION, cycle)
        compared.hold("intervals", _true_intervals(cycle, billed), _intervals(cycle, found), "valor_brl")
        compared.hold("patterns", _true_patterns(cycle, truth, pipeline), _patterns(cycle, pipeline))
    first_open = next(cycle for cycle in pipeline.cycles if cycle not in closed)
    for cycle in pipeline.cycles:
        owing = closed if late and cycle == first_open else ()
        due = [adjustment for c in owing for adjustment in pipeline.truth.adjustments(c.first)]
        found = _table(pipeline, ADJUSTMENTS, cycle)
        compared.hold("adjustments", _true_adjustments(due), _adjustments(found), "ajuste_brl")
    return compared


def _true_hours(pipeline: GoldenPipeline) -> Rows:
    out = pipeline.month.story.outages
    return {
        (hour.source, hour.key): {"missing": any(a <= hour.start < b for a, b in out[hour.source])}
        for hour in pipeline.hours
    }


def _hours(pipeline: GoldenPipeline) -> Rows:
    known = ((hour, read_manifest(pipeline.lake, hour)) for hour in pipeline.hours)
    return {(h.source, h.key): {"missing": manifest.state == "missing"} for h, manifest in known if manifest}


def _true_trips(trips: Sequence[TrueVerdict]) -> Rows:
    return _rows(
        (
            _key_of(t),
            {
                "fonte": t.source,
                "segmentos": len(t.segments),
                "km_declarado": t.declared_m,
                "km_medido": t.measured_m,
                "veredito": t.verdict,
                "km_auditado": t.audited_m,
                "base_auditoria": t.basis,
            },
        )
        for t in trips
    )


def _trips(pipeline: GoldenPipeline) -> Rows:
    wanted = ("fonte", "segmentos", "veredito", "base_auditoria")
    return _rows(
        (
            _key(day, row),
            {
                **{name: row[name] for name in wanted},
                **{f"km_{side}": _metres(row[f"km_{side}"]) for side in ("declarado", "medido", "auditado")},
            },
        )
        for day, row in _daily(pipeline, VALIDATED_TRIPS)
    )


def _true_kinds(trips: Sequence[TrueVerdict]) -> Rows:
    def at_stake(trip: TrueVerdict, kind: str) -> int | None:
        if trip.terms is None or kind in _WITHOUT_PRICE:
            return None
        return _cents(trip.at_stake) if kind in _OF_KM else 0

    return _rows(
        ((*_key_of(t), kind), {"veredito": verdict, "valor_brl": at_stake(t, kind)})
        for t in trips
        for kind, verdict in t.kinds.items()
    )


def _kinds(pipeline: GoldenPipeline) -> Rows:
    keys = {row["viagem_id"]: _key(day, row) for day, row in _daily(pipeline, VALIDATED_TRIPS)}
    return _rows(
        (
            (*keys[row["viagem_id"]], row["tipo"]),
            {"veredito": row["veredito"], "valor_brl": _cents(row["valor_brl"])},
        )
        for _, row in _daily(pipeline, DIVERGENCES)
    )


def _true_lines(lines: Sequence[BillLine]) -> Rows:
    return _rows(
        (
            (str(line.cycle), line.plate, str(line.terms.row)),
            {
                "operacao": line.operation,
                "dias": line.days,
                "km_declarado": line.declared_m,
                "km_medido": line.measured_m,
                "km_auditado": line.audited_m,
                "franquia_km": line.free_m,
                "km_faturado": line.billed_m,
                "variavel_brl": _cents(line.variable),
                "fixo_brl": _cents(line.fixed),
                "total_brl": _cents(line.total),
                "variavel_declarado_brl": _cents(line.variable_declared),
                "economia_brl": _cents(line.saved),
            },
        )
        for line in lines
    )


def _lines(cycle: Cycle, billing: pd.DataFrame) -> Rows:
    distances = ("km_declarado", "km_medido", "km_auditado", "franquia_km", "km_faturado")
    money = ("variavel_brl", "fixo_brl", "total_brl", "variavel_declarado_brl", "economia_brl")
    return _rows(
        (
            (cycle.key, row["veiculo"], str(row["contrato_linha"])),
            {
                "operacao": row["operacao"],
                "dias": row["dias"],
                **{name: _metres(row[name]) for name in distances},
                **{name: _cents(row[name]) for name in money},
            },
        )
        for row in _records(billing)
    )


def _true_priced(priced: Sequence[PricedTrip]) -> Rows:
    return _rows(
        (
            (str(p.trip.day), p.trip.plate, _clock(p.trip.departure), str(p.trip.declared_m)),
            {
                "veredito": p.trip.verdict,
                "base_auditoria": p.trip.basis,
                "km_auditado": p.trip.audited_m,
                "km_faturado": p.billed_m,
                "valor_brl": _cents(p.value),
            },
        )
        for p in priced
    )


def _priced(pipeline: GoldenPipeline, cycle: Cycle) -> Rows:
    return _rows(
        (
            (row["data"], row["veiculo"], _clock(row["saida_utc"]), str(_metres(row["km_declarado"]))),
            {
                "veredito": row["veredito"],
                "base_auditoria": row["base_auditoria"],
                "km_auditado": _metres(row["km_auditado"]),
                "km_faturado": _metres(row["km_faturado"]),
                "valor_brl": _cents(row["valor_brl"]),
            },
        )
        for row in _records(_table(pipeline, PRICED_TRIPS, cycle))
        if row["contrato"] is not None
    )


def _true_intervals(cycle: Cycle, truth: Truth) -> Rows:
    """Where it is not known what fits, nothing is said of what other cycles ask: nobody looks for it."""
    rows = []
    for i in truth.intervals[cycle.first]:
        row: dict[str, Any] = {
            "veredito": i.verdict,
            "viagens_do_ciclo": len(i.own),
            "km_pedidos_ciclo": i.own_asked_m,
            "km_pagos": i.paid_m,
            "km_excedentes": i.own_asked_m - i.paid_m,
            "km_andados": i.moved_m,
            "km_que_cabem": i.room_m,
            "valor_brl": None if i.value is None else _cents(i.value),
            "leitura_inicial_km": i.before and i.before.metres,
            "aparelho": i.before and i.before.device,
        }
        if i.before and i.after:
            row |= {
                "leitura_final": _clock(i.after.at),
                "leitura_final_km": i.after.metres,
                "km_medidos": i.beside_m,
                "viagens": len(i.asked),
                "km_pedidos": sum(t.audited_m for t in i.asked),
            }
        rows.append(((cycle.key, i.plate, _clock(i.before.at) if i.before else "-"), row))
    return _rows(rows)


def _intervals(cycle: Cycle, table: pd.DataFrame) -> Rows:
    distances = (
        *("km_pedidos_ciclo", "km_pagos", "km_excedentes", "km_andados", "km_que_cabem", "km_medidos"),
        *("km_pedidos", "leitura_inicial_km", "leitura_final_km"),
    )
    rows = []
    for row in _records(table):
        before, after = row["leitura_inicial_utc"], row["leitura_final_utc"]
        found = {name: row[name] for name in ("veredito", "viagens", "viagens_do_ciclo", "aparelho")}
        found |= {name: _metres(row[name]) for name in distances}
        found |= {"valor_brl": _cents(row["valor_brl"]), "leitura_final": after and _clock(after)}
        rows.append(((cycle.key, row["veiculo"], _clock(before) if before else "-"), found))
    return _rows(rows)


def _true_totals(cycle: Cycle, truth: Truth) -> Rows:
    sums = truth.totals(cycle.first)
    named = {operation or NO_OPERATION: _cents(value) for operation, value in sums.items()}
    named[TOTAL] = _cents(sum(sums.values(), Decimal(0)))
    return {(cycle.key, operation): {"total_brl": cents} for operation, cents in named.items()}


def _totals(cycle: Cycle, billing: pd.DataFrame) -> Rows:
    return _rows(
        ((cycle.key, row["operacao"]), {"total_brl": _cents(row["total_brl"])})
        for row in _records(totals(billing))
    )


def _true_patterns(cycle: Cycle, truth: Truth, pipeline: GoldenPipeline) -> Rows:
    """As the table shows them: drivers by pseudonym."""
    people = People(pipeline.lake)

    def shown(level: str, whose: str) -> str:
        return people.pseudonym("name", whose) if level == "motorista" else whose

    patterns = truth.patterns[cycle.first]
    return {(cycle.key, pattern, level, shown(level, whose)): {} for pattern, level, whose in patterns}


def _patterns(cycle: Cycle, pipeline: GoldenPipeline) -> Rows:
    return _rows(
        (
            (
                cycle.key,
                row["padrao"],
                row["nivel"],
                plain_name(row["chave"]) if row["nivel"] == "transportadora" else row["chave"],
            ),
            {},
        )
        for row in _records(_table(pipeline, PATTERNS, cycle))
    )


def _true_adjustments(found: Sequence[Adjustment]) -> Rows:
    return _rows(
        (
            (str(a.cycle), str(a.trip.day), a.trip.plate, _clock(a.trip.departure), a.cause),
            {
                "km_antes": a.before_m,
                "km_depois": a.after_m,
                "valor_antes_brl": _cents(a.before),
                "valor_depois_brl": _cents(a.after),
                "ajuste_brl": _cents(a.amount),
            },
        )
        for a in found
    )


def _adjustments(owed: pd.DataFrame) -> Rows:
    return _rows(
        (
            (row["ciclo_origem"], row["data"], row["veiculo"], _clock(row["saida_utc"]), row["causa"]),
            {
                **{name: _metres(row[name]) for name in ("km_antes", "km_depois")},
                **{name: _cents(row[name]) for name in ("valor_antes_brl", "valor_depois_brl", "ajuste_brl")},
            },
        )
        for row in _records(owed)
    )


def _daily(pipeline: GoldenPipeline, contract: Contract) -> list[tuple[str, dict[str, Any]]]:
    """Each row of all days, with its day."""
    tables = pipeline.lake.read_tables(contract.name, pipeline.lake.partitions(contract.name))
    return [(partition["data"], row) for partition, table in tables for row in table.to_pylist()]


def _table(pipeline: GoldenPipeline, contract: Contract, cycle: Cycle) -> pd.DataFrame:
    table = pipeline.lake.read_table(contract.name, cycle.partition)
    assert table is not None, f"{contract.name} of {cycle.key} was never made"
    return contract.frame(table)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def _rows(rows: Iterable[tuple[Key, Mapping[str, Any]]]) -> Rows:
    found: dict[Key, Mapping[str, Any]] = {}
    for key, row in rows:
        assert key not in found, f"{' '.join(key)} is there twice"
        found[key] = row
    return found


def _key_of(trip: TrueVerdict) -> Key:
    """Day, vehicle, departure, arrival; of declared trips the odometers too: two may be declared at once."""
    said = trip.declared
    odometers = (str(said.km_out_m), str(said.km_in_m)) if said else ()
    return str(trip.day), trip.plate, _clock(trip.departure), _clock(trip.arrival), *odometers


def _key(day: str, row: Mapping[str, Any]) -> Key:
    odometers = [row[name] for name in ("km_saida", "km_chegada")]
    said = [str(round(km * 1000)) for km in odometers] if row["fonte"] != "telemetria" else []
    return day, row["veiculo"], _clock(row["saida_utc"]), _clock(row["chegada_utc"]), *said


def _clock(instant: datetime) -> str:
    return f"{instant:%d/%m %H:%M:%S}"


def _metres(km: Decimal | None) -> int | None:
    return None if km is None else int(km * 1000)


def _cents(brl: Decimal | None) -> int | None:
    return None if brl is None else int(brl * 100)
