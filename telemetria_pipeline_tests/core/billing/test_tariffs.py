"""Which contract row prices a trip, and what is said where there is none."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.contracts.reference import CONTRACTS
from telemetria_pipeline.core.audit.days import business_days
from telemetria_pipeline.core.audit.rules import AuditRules
from telemetria_pipeline.core.billing.tariffs import (
    clashes,
    holes,
    price_trips,
    tariffs_version,
    terms_in_force,
)
from telemetria_pipeline.core.names import plain_name
from telemetria_pipeline_tests.core.audit.rows import ZONE
from telemetria_pipeline_tests.rounds import examples

BUS = {"placa": "GDP4J68", "tipo": "Ônibus", "transportadora": "Viação Glória", "operacao": "AGR"}
DAY = "2026-03-10"


def contracts(*rows: dict) -> pd.DataFrame:
    """Rows under contract CONTRACTS, from line 2 of their file on; in force since 2026-01-01 unless said."""
    made = [
        {
            "contrato": f"C{line}",
            "clausula": "4.1",
            "contrato_linha": line,
            "modalidade": "contrato",
            "tarifa_brl_km": Decimal("2.73"),
            "custo_fixo_mensal_brl": Decimal("40314.14"),
            "franquia_km": Decimal(0),
            "vigencia_inicio": "2026-01-01",
            **said,
        }
        for line, said in enumerate(rows, start=2)
    ]
    frame = pd.DataFrame(made, columns=CONTRACTS.names)
    return frame.astype({c.name: c.pandas_dtype for c in CONTRACTS.columns})


def in_use(*rows: dict) -> pd.DataFrame:
    """Vehicles and days; a known bus on DAY unless said."""
    said = [{**BUS, "data": DAY, **row} for row in rows]
    return pd.DataFrame(said, columns=[*BUS, "data"], dtype="str")


def trips(*departures: datetime, **said: str | None) -> pd.DataFrame:
    frame = in_use(*[said] * len(departures)).drop(columns="data")
    return frame.assign(saida_utc=pd.Series(departures, dtype="datetime64[us, UTC]"))


@pytest.mark.parametrize(
    ("row", "vehicle", "fits"),
    [
        ({"placa": "GDP4J68"}, {}, True),
        ({"placa": "GDP4J68", "tipo": "Van", "operacao": "IND"}, {}, True),  # a plate's row asks no more
        ({"placa": "ABC1D23"}, {}, False),
        ({"tipo": "ONIBUS"}, {}, True),
        ({"tipo": "Van"}, {}, False),
        ({"tipo": "Ônibus"}, {"tipo": None}, False),
        ({"tipo": "Ônibus"}, {"placa": None}, True),
        ({"tipo": "Ônibus", "transportadora": "VIACAO  GLORIA"}, {}, True),
        ({"tipo": "Ônibus", "transportadora": "Viação Sul"}, {}, False),
        ({"tipo": "Ônibus", "transportadora": "Viação Glória"}, {"transportadora": None}, False),
        ({"tipo": "Ônibus", "operacao": "AGR"}, {}, True),
        ({"tipo": "Ônibus", "operacao": "IND"}, {}, False),
        ({"tipo": "Ônibus", "operacao": "AGR"}, {"operacao": None}, False),
        ({"tipo": "Ônibus", "vigencia_inicio": DAY, "vigencia_fim": DAY}, {}, True),
        ({"tipo": "Ônibus", "vigencia_inicio": "2026-03-11"}, {}, False),
        ({"tipo": "Ônibus", "vigencia_fim": "2026-03-09"}, {}, False),
    ],
)
def test_for_which_vehicle_and_day_a_row_is(row, vehicle, fits):
    other = {"tipo": "Trator"}
    assert terms_in_force(in_use(vehicle), contracts(other, row)).tolist() == [1 if fits else -1]


def test_a_plates_own_row_goes_before_its_types_on_its_days_only():
    terms = contracts(
        {"placa": "GDP4J68", "vigencia_inicio": "2026-03-10", "vigencia_fim": "2026-03-11"},
        {"tipo": "Ônibus"},
    )
    rows = in_use(*({"data": f"2026-03-{day:02d}"} for day in (12, 9, 11, 10)), {"placa": "ABC1D23"})
    assert terms_in_force(rows, terms).tolist() == [1, 1, 0, 0, 1]


def priced_by(terms: pd.DataFrame | None, some: pd.DataFrame) -> pd.DataFrame:
    return price_trips(some, terms, business_days(some["saida_utc"], ZONE), AuditRules())


def test_trips_are_priced_by_the_local_day_of_their_departure():
    midnight = datetime(2026, 3, 16, 3, tzinfo=UTC)
    terms = contracts(
        {"tipo": "Ônibus", "vigencia_fim": "2026-03-15"},
        {"tipo": "Ônibus", "vigencia_inicio": "2026-03-16", "tarifa_brl_km": Decimal("3.10")},
    )
    second = timedelta(seconds=1)
    priced = priced_by(terms, trips(midnight, midnight - second, datetime(2025, 12, 31, tzinfo=UTC)))
    assert priced["contrato"].fillna("-").tolist() == ["C3", "C2", "-"]
    assert priced["tarifa_brl_km"].tolist() == [Decimal("3.1000"), Decimal("2.7300"), pd.NA]
    assert priced["versao_tarifas"].isna().tolist() == [False, False, True]


def test_a_tariff_that_starts_tomorrow_leaves_the_versions_of_yesterday_s_trips():
    yesterday = trips(datetime(2026, 3, 15, 10, tzinfo=UTC))

    def version(*terms: dict) -> str:
        return priced_by(contracts(*terms), yesterday)["versao_tarifas"].iloc[0]

    old, cheap = {"tipo": "Ônibus", "contrato": "A"}, {"tarifa_brl_km": Decimal("2.50")}
    ended = {**old, "vigencia_fim": "2026-03-15"}
    new = {**old, "vigencia_inicio": "2026-03-16", "tarifa_brl_km": Decimal("3.10")}
    assert version(ended, new) == version(new, ended) == version(old)
    tolerant = {"tolerancia_pct": Decimal(5), "tolerancia_km": Decimal(1)}
    assert len({version(old | changed) for changed in ({}, cheap, tolerant, {"clausula": "4.2"})}) == 4


@pytest.mark.parametrize("terms", [None, contracts()])
def test_without_contracts_nothing_has_a_price(terms):
    priced = priced_by(terms, trips(datetime(2026, 3, 10, 10, tzinfo=UTC)))
    assert priced[["contrato", "tarifa_brl_km"]].isna().all(axis=None)
    assert priced["versao_tarifas"].isna().all()


def test_the_columns_of_prices_keep_their_types_also_without_trips():
    for terms in (None, contracts(), contracts({"tipo": "Ônibus"})):
        for some in (trips(), trips(datetime(2026, 3, 10, 10, tzinfo=UTC))):
            priced = priced_by(terms, some)
            assert priced["tarifa_brl_km"].dtype == CONTRACTS.empty()["tarifa_brl_km"].dtype
            assert {str(priced[n].dtype) for n in ("contrato", "versao_tarifas")} == {"str"}


def test_the_business_day_is_the_date_in_the_contracts_zone():
    instants = pd.to_datetime(
        pd.Series(["2026-03-10T02:59:59Z", "2026-03-10T03:00:00Z", None], index=[5, 7, 9]), utc=True
    )
    days = business_days(instants, ZONE)
    assert days.dropna().to_dict() == {5: "2026-03-09", 7: "2026-03-10"}
    assert days.index.tolist() == [5, 7, 9]
    assert business_days(instants[:0], ZONE).dtype == "str"


def test_the_version_is_of_what_the_rows_say_not_of_where_they_stand():
    one, two = {"tipo": "Ônibus", "contrato": "A"}, {"tipo": "Van", "contrato": "B"}
    version = tariffs_version(contracts(one, two))
    assert tariffs_version(contracts(two, one)) == version
    assert tariffs_version(contracts({"tipo": "Trator"}, one, two)[1:]) == version
    for changed in (
        {"tarifa_brl_km": Decimal("2.7301")},
        {"vigencia_fim": "2026-12-31"},
        {"clausula": "4.2"},
    ):
        assert tariffs_version(contracts(one, {**two, **changed})) != version


def test_a_vehicle_in_use_without_terms_is_named_with_the_rows_around_the_hole():
    terms = contracts(
        {"tipo": "Ônibus", "vigencia_fim": "2026-03-08"},
        {"tipo": "Ônibus", "vigencia_inicio": "2026-03-11", "vigencia_fim": "2026-03-20"},
        {"tipo": "Van", "vigencia_inicio": "2026-03-10"},
    )
    days = ("2026-03-21", "2026-03-09", "2026-03-12", "2026-03-10", "2026-03-10", "2026-03-08", "2025-12-31")
    van = {"placa": "ABC1D23", "tipo": "Van", "data": "2026-03-09"}
    said = holes(in_use(*({"data": day} for day in days), van, {"placa": "XYZ1A23", "tipo": None}), terms)
    assert sorted(said) == [
        "ABC1D23 rodou em 09/03/2026 sem tarifa em vigor: no arquivo de contratos, a linha 4 só começa em "
        "10/03/2026; complete a vigência.",
        "GDP4J68 rodou de 09/03/2026 a 10/03/2026 sem tarifa em vigor: no arquivo de contratos, a linha 2 "
        "termina em 08/03/2026 e a linha 3 só começa em 11/03/2026; complete a vigência.",
        "GDP4J68 rodou em 21/03/2026 sem tarifa em vigor: no arquivo de contratos, a linha 3 termina em "
        "20/03/2026; complete a vigência.",
        "GDP4J68 rodou em 31/12/2025 sem tarifa em vigor: no arquivo de contratos, a linha 2 só começa em "
        "01/01/2026; complete a vigência.",
        "XYZ1A23 rodou em 10/03/2026 sem tarifa em vigor: nenhuma linha do arquivo de contratos serve para "
        "este veículo (Viação Glória, AGR); inclua uma.",
    ]


def test_no_hole_where_every_day_has_terms_and_none_where_nothing_drove():
    terms = contracts({"tipo": "Ônibus"})
    assert holes(in_use({}, {}), terms) == []
    assert holes(in_use({}).iloc[:0], terms) == []
    assert len(holes(in_use({}), contracts())) == 1


_TEXTS = {
    "placa": st.sampled_from([None, "ABC1D23", "XYZ1A23"]),
    "tipo": st.sampled_from(["Ônibus", "onibus", "Van"]),
    "transportadora": st.sampled_from([None, "Glória", "GLORIA", "Sul"]),
    "operacao": st.sampled_from([None, "AGR", "IND"]),
}
_DAYS = [f"2026-03-{day:02d}" for day in range(1, 8)]


@st.composite
def _terms(draw):
    first, last = sorted(draw(st.tuples(st.integers(0, 6), st.integers(0, 6))))
    texts = {name: draw(values) for name, values in _TEXTS.items()}
    end = draw(st.sampled_from([None, _DAYS[last]]))
    return {**texts, "vigencia_inicio": _DAYS[first], "vigencia_fim": end}


EVERYBODY = [
    {"placa": plate, "tipo": type_, "transportadora": carrier, "operacao": operation, "data": day}
    for plate in ("ABC1D23", "XYZ1A23", None)
    for type_ in ("ÔNIBUS", "van", None)
    for carrier in ("Glória", "Sul", "Norte", None)
    for operation in ("AGR", "IND", None)
    for day in _DAYS
]


def fitting(vehicle: dict, rows: list[dict]) -> tuple[list[int], list[int]]:
    """The rule by the book: the plate's rows and the type's rows that are in force."""
    of_plate, of_type = [], []
    for at, row in enumerate(rows):
        if not row["vigencia_inicio"] <= vehicle["data"] <= (row["vigencia_fim"] or "9999"):
            continue
        if row["placa"]:
            of_plate += [at] if row["placa"] == vehicle["placa"] else []
        elif vehicle["tipo"] and plain_name(row["tipo"]) == plain_name(vehicle["tipo"]):
            same = (
                row[n] is None or (vehicle[n] and plain_name(row[n]) == plain_name(vehicle[n]))
                for n in ("transportadora", "operacao")
            )
            of_type += [at] if all(same) else []
    return of_plate, of_type


@examples(60)
@given(st.lists(_terms(), max_size=6), st.randoms())
def test_terms_and_clashes_agree_with_the_rule_by_the_book(rows, chance):
    book = [fitting(vehicle, rows) for vehicle in EVERYBODY]
    known = contracts(*rows)
    # Every plate, type, carrier and operation of the rows is somebody's, so that a clash shows.
    first_kin: dict[int, int] = {}
    for level in (level for pair in book for level in pair):
        for late in level[1:]:
            first_kin[late] = min(level[0], first_kin.get(late, late))
    assert clashes(known) == first_kin
    if not first_kin:
        expected = [(of_plate or of_type or [-1])[0] for of_plate, of_type in book]
        order = chance.sample(range(len(EVERYBODY)), len(EVERYBODY))
        found = terms_in_force(in_use(*(EVERYBODY[i] for i in order)), known).tolist()
        assert found == [expected[i] for i in order]
