"""The verdict: pay what is claimed, at most what is proven; nobody is accused without evidence."""

from datetime import timedelta
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.contracts.audit import VALIDATED_TRIPS
from telemetria_pipeline.core.audit.days import business_days
from telemetria_pipeline.core.audit.rules import AuditRules
from telemetria_pipeline.core.audit.tolerances import replace_defaults
from telemetria_pipeline.core.audit.verdicts import judge
from telemetria_pipeline_tests.core.audit.rows import DEPARTURE, ZONE, trip, trips
from telemetria_pipeline_tests.rounds import examples

RULES = AuditRules()


def judged_by(rules: AuditRules, said: pd.DataFrame) -> pd.DataFrame:
    return judge(replace_defaults(said, rules), rules, business_days(said["saida_utc"], ZONE))


def verdict(said: dict, *others: dict, rules: AuditRules = RULES) -> tuple[str, str, str]:
    judged = judged_by(rules, trips(said, *others)).iloc[0]
    return judged["veredito"], judged["base_auditoria"], str(judged["km_auditado"])


@pytest.mark.parametrize(
    ("declared", "measured", "expected"),
    [
        ("22.000", "20.000", ("ok", "acordo", "22.000")),  # exactly 10 %
        ("22.001", "20.000", ("divergente", "medido", "20.000")),
        ("18.000", "20.000", ("ok", "acordo", "18.000")),
        ("17.999", "20.000", ("divergente", "medido", "17.999")),  # paid as declared
        ("3.000", "2.000", ("ok", "acordo", "3.000")),  # exactly 1 km
        ("3.001", "2.000", ("divergente", "medido", "2.000")),
        ("1.000", "0.001", ("ok", "acordo", "1.000")),
        ("1.000", None, ("divergente", "nao_comprovado", "0.000")),  # nobody is forgiven what nobody saw
        ("0.001", None, ("divergente", "nao_comprovado", "0.000")),
        (0, None, ("ok", "acordo", "0.000")),
        ("5.000", 0, ("divergente", "medido", "0.000")),
        (0, 0, ("ok", "acordo", "0.000")),
    ],
)
def test_both_limits_must_be_exceeded_strictly(declared, measured, expected):
    assert verdict(trip(km_declarado=declared, km_medido=measured)) == expected


@pytest.mark.parametrize(
    "unsure",
    [{"cobertura": 0.99}, {"cobertura_busca": 0.99}, {"sinal": "desconhecido", "km_sem_sinal": None}],
)
@pytest.mark.parametrize("measured", ["20", None])
def test_without_evidence_nobody_is_accused_and_the_boletim_stands_in(unsure, measured):
    assert verdict(trip(km_declarado="40", km_medido=measured, **unsure)) == (
        "inconclusivo",
        "boletim_substitui",
        "40.000",
    )
    assert verdict(trip(km_declarado="20", km_medido="20", **unsure))[0] == "ok"


def test_the_coverage_that_is_asked_for_can_be_set():
    said = trip(km_declarado="40", cobertura=0.9, cobertura_busca=0.9)
    assert verdict(said, rules=RULES.but(min_coverage=Decimal("0.9")))[0] == "divergente"
    assert verdict(said, rules=RULES.but(min_coverage=Decimal("0.91")))[0] == "inconclusivo"


@pytest.mark.parametrize(
    ("declared", "measured", "unseen", "expected"),
    [
        ("40", "20", "25", ("inconclusivo", "boletim_substitui", "40.000")),
        ("40", None, "40", ("inconclusivo", "boletim_substitui", "40.000")),
        ("44", "20", "20", ("inconclusivo", "boletim_substitui", "44.000")),  # 10 % above what is proven
        ("44.001", "20", "20", ("divergente", "medido", "40.000")),
        ("50", None, "2", ("divergente", "medido", "2.000")),
    ],
)
def test_what_moved_unseen_counts_for_the_one_who_declares(declared, measured, unseen, expected):
    said = trip(km_declarado=declared, km_medido=measured, sinal="perdido", km_sem_sinal=unseen)
    assert verdict(said) == expected


@pytest.mark.parametrize(("km", "word"), [("20", "divergente"), ("1.001", "divergente"), ("1", "ok")])
def test_what_was_not_claimed_is_not_paid(km, word):
    other = trip(saida_utc=DEPARTURE + timedelta(hours=5))
    assert verdict(trip(km_declarado=None, km_medido=km), other) == (word, "a_declarar", "0.000")


@pytest.mark.parametrize(("km", "word"), [("20", "inconclusivo"), ("1.001", "inconclusivo"), ("1", "ok")])
def test_where_no_boletim_came_for_the_day_it_is_held_and_accuses_nobody(km, word):
    others = [
        trip(saida_utc=DEPARTURE + timedelta(days=1)),
        trip(placa="ABC1C34"),
        trip(saida_utc=DEPARTURE - timedelta(hours=7, minutes=1)),  # 23:59 of the day before
    ]
    unclaimed = trip(km_declarado=None, km_medido=km)
    assert verdict(unclaimed, *others) == (word, "a_declarar", "0.000")
    paid = (word, "telemetria_substitui", f"{Decimal(km):.3f}")
    assert verdict(unclaimed | {"paga_sem_boletim": True}, *others) == paid
    claims = trip(saida_utc=DEPARTURE + timedelta(hours=5))
    assert verdict(unclaimed | {"paga_sem_boletim": True}, claims) == paid


def test_divergence_is_signed_and_needs_a_measured_distance():
    judged = judged_by(
        RULES,
        trips(
            trip(km_declarado="24"),
            trip(km_declarado="15"),
            trip(km_medido=None),
            trip(km_medido=0),
            trip(km_declarado=None),
        ),
    )
    assert judged["divergencia"].iloc[:2].tolist() == [0.2, -0.25]
    assert judged["divergencia"].iloc[2:].isna().all()


def test_other_tolerances_give_other_verdicts_under_another_version():
    said = trips(trip(km_declarado="21.8"))
    wide, narrow = (judged_by(RULES.but(km_share=Decimal(s)), said) for s in ("0.10", "0.08"))
    assert (wide["veredito"][0], narrow["veredito"][0]) == ("ok", "divergente")
    assert wide["versao_regras"][0] == RULES.version != narrow["versao_regras"][0]


_km = st.decimals(0, 60, places=3)


@st.composite
def facts(draw: st.DrawFn) -> dict:
    declared = draw(st.none() | _km)
    signal = draw(st.sampled_from(["presente", "perdido", "desconhecido"]))
    return trip(
        km_declarado=declared,
        km_medido=draw(_km if declared is None else st.none() | _km),
        placa=draw(st.sampled_from(["GDP4J68", "ABC1C34"])),
        cobertura=draw(st.sampled_from([1.0, 0.5])),
        sinal=signal,
        km_sem_sinal=draw(_km) if signal == "perdido" else {"presente": 0, "desconhecido": None}[signal],
    )


@examples(30)
@given(st.lists(facts(), max_size=8))
def test_it_pays_at_most_what_a_side_says_and_judges_the_same_again(said):
    judged = judged_by(RULES, trips(*said))
    assert VALIDATED_TRIPS.broken_by(judged) is None
    pd.testing.assert_frame_equal(judged_by(RULES, judged), judged)
    zero = Decimal(0)
    declared, measured = judged["km_declarado"].fillna(zero), judged["km_medido"].fillna(zero)
    assert (judged["km_auditado"] <= declared.where(declared > measured, measured)).all()
    claimed = judged["km_declarado"].notna()
    assert (judged["km_auditado"] <= judged["km_declarado"])[claimed].all()
    accused = judged[(judged["veredito"] == "divergente") & claimed]
    assert (accused[["cobertura", "cobertura_busca"]] == 1).all(axis=None)
    assert (accused["sinal"] != "desconhecido").all()
