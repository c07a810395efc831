"""The boletim to fill in: headers that are read as they are, formats, drop-downs and an explanation."""

from dataclasses import dataclass
from io import BytesIO

from openpyxl import Workbook
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from telemetria_pipeline.contracts.boletim import EXPLANATION_SHEET, HEADER_NAMES, REQUIRED

SHEET = "Boletim"
FORMATTED_ROWS = 2_000
SHIFTS = ("A", "B", "C", "ADM")

_REQUIRED_FILL, _OPTIONAL_FILL = (
    PatternFill("solid", fgColor="1F3864"),
    PatternFill("solid", fgColor="8EA9DB"),
)
_THIN = Side(style="thin", color="BFBFBF")
_BOX = Border(left=_THIN, right=_THIN, top=_THIN, bottom=_THIN)


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
    "km_chegada": _Field(13, "0.###", "45258,5", "Odômetro na chegada; não pode ser menor que o da saída."),
    "km_rota": _Field(11, "0.###", "28,5", "Km da viagem: chegada menos saída (tolerância de 1 km)."),
    "qtde_pessoas": _Field(15, "0", "31", "Quantas pessoas foram levadas."),
    "motorista": _Field(26, "@", "MARIA DE SOUZA", "Nome do motorista, como no cadastro."),
    "empresa": _Field(22, "@", "Viação Exemplo", "A transportadora."),
}


def template_workbook() -> bytes:
    """An empty boletim as an Excel workbook: the sheet to fill in, and how to."""
    book = Workbook()
    page = book.worksheets[0]
    page.title = SHEET
    for number, (name, field) in enumerate(_FIELDS.items(), start=1):
        letter = get_column_letter(number)
        head = page.cell(1, number, HEADER_NAMES[name][0])
        head.font = Font(name="Calibri", bold=True, color="FFFFFF")
        head.fill = _REQUIRED_FILL if name in REQUIRED else _OPTIONAL_FILL
        head.alignment, head.border = Alignment(horizontal="center"), _BOX
        page.column_dimensions[letter].width = field.width
        # The format of the whole column, so that pasted rows have it too; cells of their own would look
        # filled in.
        page.column_dimensions[letter].number_format = field.number_format
        page.add_data_validation(_validation(name, field, f"{letter}2:{letter}{FORMATTED_ROWS + 1}"))
    page.freeze_panes = "A2"
    page.page_setup.orientation = "landscape"
    page.page_setup.fitToHeight = 0
    page.sheet_properties.pageSetUpPr.fitToPage = True
    _explain(book.create_sheet(EXPLANATION_SHEET))
    out = BytesIO()
    book.save(out)
    return out.getvalue()


def _validation(name: str, field: _Field, cells: str) -> DataValidation:
    """A drop-down or a range where there is one, and for every column a hint while it is filled in."""
    if name == "turno":
        rule = DataValidation(type="list", formula1=f'"{",".join(SHIFTS)}"')
        rule.errorStyle = "warning"
    elif name == "data":
        rule = DataValidation(type="date", operator="between", formula1="36526", formula2="73050")
    elif name.startswith("horario"):
        rule = DataValidation(type="decimal", operator="between", formula1="0", formula2="1")
    elif name.startswith("km"):
        rule = DataValidation(type="decimal", operator="greaterThanOrEqual", formula1="0")
    elif name == "qtde_pessoas":
        rule = DataValidation(type="whole", operator="greaterThanOrEqual", formula1="0")
    elif name == "placa":
        rule = DataValidation(type="textLength", operator="between", formula1="7", formula2="8")
    else:
        rule = DataValidation()
    rule.allow_blank = True
    rule.promptTitle = HEADER_NAMES[name][0]
    rule.prompt = f"{field.said} Exemplo: {field.example}"
    rule.errorTitle, rule.error = HEADER_NAMES[name][0], rule.prompt
    rule.showInputMessage = rule.showErrorMessage = True
    rule.add(cells)
    return rule


def _explain(page: Worksheet) -> None:
    page["A1"] = "Como preencher o boletim"
    page["A1"].font = Font(name="Calibri", size=16, bold=True)
    steps = (
        "Preencha uma linha para cada viagem na aba Boletim. Não mude os títulos das colunas.",
        "As colunas de título escuro são obrigatórias; as outras podem ficar vazias.",
        "Não use fórmulas, células mescladas nem linhas de total.",
        "Salve como .xlsx e envie. A resposta volta com as células erradas marcadas.",
    )
    for number, step in enumerate(steps, start=2):
        page.cell(number, 1, f"{number - 1}. {step}")
    top = len(steps) + 3
    for column, (title, width) in enumerate(
        (("Título", 22), ("Obrigatória", 13), ("Exemplo", 20), ("O que escrever", 76)), start=1
    ):
        cell = page.cell(top, column, title)
        cell.font, cell.fill = Font(name="Calibri", bold=True, color="FFFFFF"), _REQUIRED_FILL
        page.column_dimensions[get_column_letter(column)].width = width
    for at, (name, field) in enumerate(_FIELDS.items(), start=top + 1):
        required = "sim" if name in REQUIRED else "não"
        for column, value in enumerate((HEADER_NAMES[name][0], required, field.example, field.said), start=1):
            cell = page.cell(at, column, value)
            cell.border, cell.alignment = _BOX, Alignment(wrap_text=True, vertical="top")
