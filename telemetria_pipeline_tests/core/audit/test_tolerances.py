"""Tolerances: the contract's, else the defaults; said exactly as they are."""

from decimal import Decimal

import pandas as pd
import pytest

from telemetria_pipeline.contracts.audit import VALIDATED_TRIPS
from telemetria_pipeline.contracts.reference import CONTRACTS
from telemetria_pipeline.core.audit.days import business_days
from telemetria_pipeline.core.audit.divergences import find_divergences
from telemetria_pipeline.core.audit.rules import AuditRules
from telemetria_pipeline.core.audit.tolerances import in_words, replace_defaults
from telemetria_pipeline.core.audit.verdicts import judge
from telemetria_pipeline_tests.core.audit.rows import DAY, PLATE, ZONE, frame_of, trip, trips
from telemetria_pipeline_tests.core.audit.sides import at, audit, declared, frames, measured

STRICT = {"tolerancia_pct": 5, "tolerancia_km": "0.5", "tolerancia_do_contrato": True}
COLUMNS = ["tolerancia_pct", "tolerancia_km", "tolerancia_do_contrato"]


@pytest.mark.parametrize(
    ("percent", "km", "said"),
    [
        ("10", "1", "tolerância de 10 % e 1 km"),
        ("8.5", "1.50", "tolerância de 8,5 % e 1,5 km"),
        ("100", "10", "tolerância de 100 % e 10 km"),
        ("0", "0.0", "tolerância de 0 % e 0 km"),
        ("0.01", "0.001", "tolerância de 0,01 % e 0,001 km"),
    ],
)
def test_tolerances_are_said_exactly_as_they_are(percent, km, said):
    row = trips(trip(), trip(tolerancia_pct=percent, tolerancia_km=km), trip())
    words = in_words(row["tolerancia_pct"], row["tolerancia_km"]).tolist()
    assert words == ["tolerância de 10 % e 1 km", said, "tolerância de 10 % e 1 km"]


def contracts(**said) -> pd.DataFrame:
    terms = {
        "contrato": "C-1",
        "clausula": "1",
        "contrato_linha": 2,
        "modalidade": "contrato",
        "placa": PLATE,
        "tarifa_brl_km": "2.73",
        "custo_fixo_mensal_brl": 0,
        "franquia_km": 0,
        "vigencia_inicio": "2026-01-01",
    }
    return frame_of(CONTRACTS, [terms | said])


@pytest.mark.parametrize(
    ("terms", "tolerance", "verdict", "words"),
    [
        (None, [Decimal(10), Decimal(1), False], "ok", None),
        (contracts(), [Decimal(10), Decimal(1), False], "ok", None),
        (
            contracts(tolerancia_pct=5, tolerancia_km="0.5"),
            [Decimal(5), Decimal("0.5"), True],
            "divergente",
            "tolerância de 5 % e 0,5 km",
        ),
        (contracts(tolerancia_pct=0, tolerancia_km=50), [Decimal(0), Decimal(50), True], "ok", None),
    ],
)
def test_a_trip_is_judged_by_its_contract(terms, tolerance, verdict, words):
    said = [declared(at("10:00"), at("12:00"), 43)]
    driven = [measured(at("10:00"), at("12:00"), 40)]
    result = audit(said, driven, contracts=terms)
    judged = result.trips.iloc[0]
    assert judged[COLUMNS].tolist() == tolerance
    assert judged["veredito"] == verdict
    sources = frames(said, driven).sources
    found = find_divergences(result.trips, result.segments, sources, AuditRules(), DAY, ZONE)
    assert [words in sentence for sentence in found["frase"]] == ([True] if words else [])


def judged(rows: pd.DataFrame, rules: AuditRules, **more) -> pd.DataFrame:
    return judge(replace_defaults(rows, rules, **more), rules, business_days(rows["saida_utc"], ZONE))


def test_other_defaults_change_no_trip_whose_tolerance_is_the_contract_s():
    rows = trips(trip(km_declarado="21.6"), trip(km_declarado="21.6", **STRICT))
    loose, tight = AuditRules(km_share=Decimal("0.2")), AuditRules(km_share=Decimal(0), km_minimum=Decimal(0))
    assert judged(rows, loose)["veredito"].tolist() == ["ok", "divergente"]
    assert judged(rows, tight)["veredito"].tolist() == ["divergente", "divergente"]
    again = judged(rows, tight)
    assert VALIDATED_TRIPS.broken_by(again) is None
    assert again["tolerancia_pct"].tolist() == [Decimal(0), Decimal(5)]
    assert again["tolerancia_km"].tolist() == [Decimal(0), Decimal("0.5")]


def test_what_is_asked_for_everywhere_counts_whatever_the_contract_says():
    rows = trips(trip(km_declarado="21.6"), trip(km_declarado="21.6", **STRICT))
    loose = AuditRules(km_share=Decimal("0.2"))
    assert judged(rows, loose, everywhere=["km_share"])["veredito"].tolist() == ["ok", "ok"]
    again = judged(rows, loose, everywhere=["km_share"])
    assert again["tolerancia_km"].tolist() == [Decimal(1), Decimal("0.5")]  # nobody asked for another
