"""`telemetria cycle …` as finance uses it."""

import pytest
from click.testing import CliRunner

from telemetria_pipeline.cli import main
from telemetria_pipeline.steps.cycle import bill_cycle
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline_tests.core.billing.bills import CYCLE, DAYS, PLATES, on
from telemetria_pipeline_tests.defs.cycles import SETTINGS, audited, closing_of, drove, filled, lose

KEY = CYCLE.key
CONTRACTS_CSV = "CONTRATO;CLÁUSULA;TIPO;TARIFA;CUSTO FIXO;DE\nC-1;4.1;ONIBUS;{};28000;2025-01-01\n"


def cycle(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["cycle", *words])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


@pytest.fixture
def lake(tmp_path, monkeypatch) -> Lake:
    address = f"file:{tmp_path / 'lake'}"
    monkeypatch.setenv("TELEMETRIA_LAKE", address)
    return filled(Lake.open(address))


def test_a_cycle_is_shown_closed_once_and_shown_again(lake):
    bill_cycle(lake, CYCLE, SETTINGS)
    code, said = cycle("show", KEY)
    assert code == 0
    assert said.splitlines()[0] == ("Ciclo de 16/02/2026 a 15/03/2026: aberto, os valores ainda podem mudar")
    assert "AGR              1        30,000  R$ 81,90  R$ 28.000,00  R$ 28.081,90" in said
    code, said = cycle("close", KEY)
    assert code == 0, said
    assert "fechado em " in said
    assert f"Hash {closing_of(lake).hash}, conferido" in said
    assert f"Selo {closing_of(lake).seal}, conferido" in said
    assert f"Materialize `measurement` para {KEY}" in said
    code, said = cycle("close", KEY)
    assert code == 1
    assert "já foi fechado em" in said
    assert "Traceback" not in said


def test_what_is_missing_is_shown_and_can_be_accepted(lake):
    lose(lake, DAYS[3])
    bill_cycle(lake, CYCLE, SETTINGS)
    sentence = "Dias sem conferência (materialize `validated_trips`): 19/02."
    assert f"Pendente:\n  {sentence}" in cycle("show", KEY)[1]
    code, said = cycle("close", KEY)
    assert (code, sentence in said, "--despite" in said) == (1, True, True)
    code, said = cycle("close", KEY, "--despite", "o carro 12 quebrou")
    assert (code, f"Fechado assim mesmo (o carro 12 quebrou):\n  {sentence}" in said) == (0, True)


def test_damage_to_a_closed_cycle_is_told(lake):
    bill_cycle(lake, CYCLE, SETTINGS)
    cycle("close", KEY)
    lost = lake.table_key("closed_trips", closing_of(lake).partition)
    lake.store.delete(lost)
    code, said = cycle("show", KEY)
    assert code == 1
    assert f"{lost} não é o que foi congelado" in said


def test_what_if_compares_operations_and_vehicles(lake, tmp_path):
    trip = on(DAYS[0], viagem_id="x", km_declarado=109, km_medido=100)
    audited(lake, CYCLE, trip, drove(DAYS[1], 50))
    code, said = cycle("what-if", KEY, "--tolerance", "0,08")
    assert code == 0
    lines = {line.split()[0]: line for line in said.splitlines() if line}
    for name in ("AGR", "total", PLATES[0]):
        assert "159,000  150,000  R$ 28.434,07  R$ 28.409,50  -R$ 24,57" in lines[name]
    code, said = cycle("what-if", KEY, "--minimum", "9")
    assert (code, "Nenhum veículo mudaria." in said) == (0, True)
    dearer = tmp_path / "contratos.csv"
    dearer.write_text(CONTRACTS_CSV.format("3,00"), encoding="utf-8")
    said = cycle("what-if", KEY, "--contracts", str(dearer))[1]
    assert ("+R$ 42,93" in said, "fechado" in said) == (True, False)
    bill_cycle(lake, CYCLE, SETTINGS)
    cycle("close", KEY)
    assert cycle("what-if", KEY, "--minimum", "9")[1].startswith(
        "O ciclo está fechado: a conta dele não muda"
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("show", "2026-02-17"), "lies in the cycle 2026-02-16; write one like 2026-10-16"),
        (("show", "20/02/2026"), "write it as 2026-02-16"),
        (("show", "fevereiro"), "write one like 2026-10-16"),
        (("show", "2026-04-16"), "A conta do ciclo 2026-04-16 ainda não foi feita"),
        (("close", "2026-04-16"), "A conta do ciclo 2026-04-16 ainda não foi feita"),
        (("close", "2099-04-16"), "vai até 15/05/2099 e ainda não terminou"),
        (("what-if", KEY), "say what to change: --tolerance"),
        (("what-if", KEY, "--tolerance", "8"), "write a number from 0 to 1, 4 decimals at most"),
        (("what-if", KEY, "--tolerance", "0.08001"), "4 decimals at most"),
        (("what-if", KEY, "--minimum", "-1"), "write a number from 0, 3 decimals"),
    ],
)
def test_what_cannot_be_done_is_explained(lake, words, says):
    code, said = cycle(*words)
    assert code != 0
    assert says in said


def test_a_contracts_file_with_problems_names_its_cells(lake, tmp_path):
    wrong = tmp_path / "contratos.csv"
    wrong.write_text(CONTRACTS_CSV.format("três"), encoding="utf-8")
    code, said = cycle("what-if", KEY, "--contracts", str(wrong))
    assert code == 1
    assert "três" in said
