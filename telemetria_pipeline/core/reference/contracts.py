"""What is paid: tariffs and fixed costs, with the days on which they are in force."""

import pandas as pd

from telemetria_pipeline.contracts.base import KM, MONEY, PERCENT, TARIFF
from telemetria_pipeline.contracts.reference import CONTRACT_HEADERS, CONTRACTS
from telemetria_pipeline.core.billing.tariffs import clashes
from telemetria_pipeline.core.reference.cells import amounts, choices, operations, period, plates
from telemetria_pipeline.core.reference.sheet import ReferenceTable, Sheet, read_table
from telemetria_pipeline.core.sheets.text import Limits

_OPTIONAL = ("modalidade", "custo_fixo_mensal_brl", "franquia_km")
_REGIMES = {"MUNICIPAL": "municipal", "INTERMUNICIPAL": "intermunicipal"}
_KINDS = {"CONTRATO": "contrato", "SPOT": "spot"}
_ANSWERS = {"SIM": "sim", "S": "sim", "NAO": "nao", "N": "nao"}
_LIMITS = Limits(rows=5_000)  # each row is compared with each other


def read_contracts(data: bytes, file_name: str) -> ReferenceTable:
    """The contracts of a reference file, a row for each plate's or type's terms, under contract CONTRACTS.

    Two rows that are for one vehicle on one day are a problem that names both.
    """
    return read_table(data, file_name, CONTRACTS, CONTRACT_HEADERS, _contracts, _OPTIONAL, _LIMITS)


def _contracts(sheet: Sheet) -> dict[str, pd.Series]:
    first, last = period(sheet, "vigencia_inicio", "vigencia_fim")
    kinds = choices(sheet, "modalidade", _KINDS, "não é uma modalidade; escreva CONTRATO ou SPOT")
    made = {
        "contrato_linha": kinds.index.to_series(),
        "regime": choices(sheet, "regime", _REGIMES, "não é um regime; escreva MUNICIPAL ou INTERMUNICIPAL"),
        "modalidade": kinds.fillna("contrato"),
        "placa": plates(sheet),
        "operacao": operations(sheet),
        "tarifa_brl_km": amounts(sheet, "tarifa_brl_km", TARIFF),
        "custo_fixo_mensal_brl": amounts(sheet, "custo_fixo_mensal_brl", MONEY),
        "franquia_km": amounts(sheet, "franquia_km", KM),
        **_tolerances(sheet),
        "paga_sem_boletim": choices(
            sheet, "paga_sem_boletim", _ANSWERS, "não é uma resposta; escreva SIM ou NÃO"
        )
        == "sim",
        "vigencia_inicio": first,
        "vigencia_fim": last,
    }
    sheet.wrong(
        "custo_fixo_mensal_brl",
        sheet.column("custo_fixo_mensal_brl").isna() & (kinds != "spot"),
        lambda _: "falta CUSTO FIXO; escreva 0 se não há (só em SPOT pode ficar vazio)",
    )
    sheet.wrong(
        "placa",
        sheet.column("placa").isna() & sheet.column("tipo").isna(),
        lambda _: "falta PLACA ou TIPO; diga para que veículos a linha vale",
    )
    scope = pd.DataFrame({n: made.get(n, sheet.column(n)) for n in CONTRACTS.names}).loc[sheet.sound_rows]
    twice = {int(scope.index[row]): scope.index[earlier] for row, earlier in clashes(scope).items()}
    sheet.wrong(
        "vigencia_inicio",
        twice,
        lambda row: (
            f"a linha {twice[row]} já vale para os mesmos veículos em dias desta vigência; "
            "uma das duas precisa terminar antes de a outra começar"
        ),
    )
    return made


def _tolerances(sheet: Sheet) -> dict[str, pd.Series]:
    """The tolerances, both or neither; Excel holds 5 % as 0.05, so what is below 1 % is asked about."""
    names = ("tolerancia_pct", "tolerancia_km")
    percent, km = (amounts(sheet, name, type, None) for name, type in zip(names, (PERCENT, KM), strict=True))
    texts = sheet.column(names[0])
    little = percent.map(lambda share: 0 < share < 1, na_action="ignore").eq(True)
    sheet.wrong(
        names[0],
        little,
        lambda row: f"{texts[row]} se lê de dois jeitos; escreva a porcentagem, como 5 (ou 0, se não há)",
    )
    much = percent.map(lambda share: share > 100, na_action="ignore").eq(True)
    sheet.wrong(names[0], much, lambda row: f"{texts[row]} é mais que 100 %")
    for name, other in (names, names[::-1]):
        alone = sheet.column(name).isna() & sheet.column(other).notna()
        said = f"falta {sheet.header(name)}; preencha as duas tolerâncias, ou deixe as duas vazias"
        sheet.wrong(name, alone, lambda _, said=said: said)  # type: ignore[misc]
    return {names[0]: percent, names[1]: km}
