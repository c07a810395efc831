"""The boletim to fill in: headers that are read as they are, formats, drop-downs and an explanation."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from telemetria_pipeline.contracts.boletim import EXPLANATION_SHEET, HEADER_NAMES, REQUIRED
from telemetria_pipeline.core.sheets.text import letter
from telemetria_pipeline.reports.workbook import HEADER, OPTIONAL_HEADER, TITLE, Column, Workbook

SHEET = "Boletim"
FORMATTED_ROWS = 2_000
SHIFTS = ("A", "B", "C", "ADM")


@dataclass(frozen=True)
class _Field:
    """How a column is shown: width in characters, Excel's number format, and what the sender is told."""

    width: int
    number_format: str
    example: str
    said: str


_FIELDS = {
    "numero_ata": _Field(13, "@", "004512", "Número da ata de papel, se houver."),
    "placa": _Field(12, "@", "ABC1D23", "Placa do veículo, sem abreviar. Com ou sem hífen."),
    "equipamento": _Field(15, "@", "3803", "Número da frota. Deve ser o do veículo desta placa."),
    "data": _Field(13, "dd/mm/yyyy", "22/11/2026", "Dia da saída, em dd/mm/aaaa."),
    "local_saida": _Field(20, "@", "Usina", "De onde saiu."),
    "horario_saida": _Field(16, "hh:mm", "22:40", "Horário da saída, em hh:mm."),
    "local_chegada": _Field(20, "@", "Alojamento", "Aonde chegou."),
    "horario_chegada": _Field(
        18, "hh:mm", "00:15", "Horário da chegada. Antes da saída quer dizer no dia seguinte (até 12 horas)."
    ),
    "turno": _Field(9, "@", "C", f"Um destes: {', '.join(SHIFTS)}."),
    "km_saida": _Field(12, "0.###", "45230", "Odômetro na saída, sem ponto de milhar."),
    "km_chegada": _Field(
        13, "0.###", "45258,5", "Odômetro na chegada; só é menor que o da saída se ele virou."
    ),
    "km_rota": _Field(11, "0.###", "28,5", "Km da viagem: chegada menos saída (tolerância de 1 km)."),
    "qtde_pessoas": _Field(15, "0", "31", "Quantas pessoas foram levadas."),
    "motorista": _Field(26, "@", "MARIA DE SOUZA", "Nome do motorista, como no cadastro."),
    "empresa": _Field(22, "@", "Viação Exemplo", "A transportadora."),
    "placa_substituta": _Field(18, "@", "XYZ9J87", "Só se outro veículo fez a viagem: a placa dele."),
}


def template_workbook() -> bytes:
    """An empty boletim as an Excel workbook: the sheet to fill in, and how to."""
    book = Workbook()
    add_template(book, SHEET)
    return book.save()


def add_template(book: Workbook, sheet: str, explained: bool = True) -> None:
    """Add the sheet to fill in under this name and, unless the workbook explains it already, how to."""
    page = book.page(sheet)
    for number, (name, field) in enumerate(_FIELDS.items(), start=1):
        column = letter(number)
        header = HEADER if name in REQUIRED else OPTIONAL_HEADER
        book.write(page, f"{column}1", HEADER_NAMES[name][0], header)
        # The format of the whole column, so that pasted rows have it too; cells of their own would look
        # filled in.
        page.set_column(f"{column}:{column}", field.width, book.style({"num_format": field.number_format}))
        page.data_validation(f"{column}2:{column}{FORMATTED_ROWS + 1}", _validation(name, field))
    page.set_row(0, 24)
    page.freeze_panes("A2")
    page.repeat_rows(0)
    if explained:
        _explain(book, sheet)


def _validation(name: str, field: _Field) -> dict[str, Any]:
    """A drop-down or a range where there is one, and for every column a hint while it is filled in."""
    rule: dict[str, Any]
    if name == "turno":
        rule = {"validate": "list", "source": list(SHIFTS), "error_type": "warning"}
    elif name == "data":
        first, last = date(2000, 1, 1), date(2099, 12, 31)
        rule = {"validate": "date", "criteria": "between", "minimum": first, "maximum": last}
    elif name.startswith("horario"):
        rule = {"validate": "decimal", "criteria": "between", "minimum": 0, "maximum": 1}
    elif name.startswith("km"):
        rule = {"validate": "decimal", "criteria": ">=", "value": 0}
    elif name == "qtde_pessoas":
        rule = {"validate": "integer", "criteria": ">=", "value": 0}
    elif name == "placa":
        rule = {"validate": "length", "criteria": "between", "minimum": 7, "maximum": 8}
    else:
        rule = {"validate": "any"}
    title, hint = HEADER_NAMES[name][0], f"{field.said} Exemplo: {field.example}"
    return {**rule, "input_title": title, "input_message": hint, "error_title": title, "error_message": hint}


def _explain(book: Workbook, sheet: str) -> None:
    page = book.page(EXPLANATION_SHEET)
    page.hide_gridlines(2)
    book.write(page, "A1", "Como preencher o boletim", TITLE)
    steps = (
        f"Preencha uma linha para cada viagem na aba {sheet}. Não mude os títulos das colunas.",
        "As colunas de título escuro são obrigatórias; as outras podem ficar vazias.",
        "Não use fórmulas, células mescladas nem linhas de total.",
        "Salve como .xlsx e envie. A resposta volta com as células erradas marcadas.",
    )
    for number, step in enumerate(steps, start=1):
        book.write(page, f"A{number + 1}", f"{number}. {step}")
    book.table(
        page,
        len(steps) + 3,
        [
            Column("Título", [HEADER_NAMES[name][0] for name in _FIELDS], width=22),
            Column("Obrigatória", ["sim" if name in REQUIRED else "não" for name in _FIELDS], width=13),
            Column("Exemplo", [field.example for field in _FIELDS.values()], width=20),
            Column("O que escrever", [field.said for field in _FIELDS.values()], "long", 76),
        ],
    )
