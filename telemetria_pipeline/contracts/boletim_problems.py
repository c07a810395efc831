"""What can be wrong with a boletim: the one catalogue of codes, and the problem record made from it.

The texts are in Portuguese because the sender of the file reads them: short, without jargon, each with
the way out. `docs/boletins.md` explains every code of `KINDS`, and a test holds the two together.
"""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["erro", "aviso"]

# A cell can hold a novel; the sender only needs enough of it to find it again.
MAX_VALUE_LENGTH = 120


@dataclass(frozen=True)
class ProblemKind:
    """A code of the catalogue: `message` and `suggestion` are templates for `str.format`."""

    code: str
    severity: Severity
    title: str
    message: str
    suggestion: str


@dataclass(frozen=True)
class Problem:
    """One thing that the sender should know, with the place where Excel shows it (none: the whole file)."""

    code: str
    severity: Severity
    sheet: str | None
    cell: str | None
    column: str | None
    value: str | None
    expected: str | None
    message: str
    suggestion: str
    row: int | None

    def as_json(self) -> dict[str, str | None]:
        """The record as `telemetria validate --json` prints it."""
        return {
            "code": self.code,
            "severity": self.severity,
            "sheet": self.sheet,
            "cell": self.cell,
            "column": self.column,
            "value": self.value,
            "message": self.message,
            "suggestion": self.suggestion,
        }


def problem(
    code: str,
    *,
    sheet: str | None = None,
    cell: str | None = None,
    column: str | None = None,
    value: str | None = None,
    row: int | None = None,
    expected: str | None = None,
    **placeholders: object,
) -> Problem:
    """A problem of the catalogue's kind `code`.

    The kind's templates are filled with `placeholders`, and with sheet, cell, column, value, row and
    expected themselves. Raises KeyError for a code or a placeholder that the catalogue does not know of.
    """
    kind = KINDS[code]
    if value is not None and len(value) > MAX_VALUE_LENGTH:
        value = value[: MAX_VALUE_LENGTH - 1] + "…"
    words = {
        "sheet": sheet,
        "cell": cell,
        "column": column,
        "value": value,
        "row": row,
        "expected": expected,
        **placeholders,
    }
    return Problem(
        code=code,
        severity=kind.severity,
        sheet=sheet,
        cell=cell,
        column=column,
        value=value,
        expected=expected,
        message=kind.message.format(**words),
        suggestion=kind.suggestion.format(**words),
        row=row,
    )


_SAVE_AS_XLSX = (
    "Abra o arquivo no Excel, escolha Salvar como, Pasta de Trabalho do Excel (.xlsx), e envie o novo."
)

# The file as a whole is refused.
_FILE = (
    ProblemKind(
        "ARQUIVO_VAZIO",
        "erro",
        "Arquivo vazio",
        "O arquivo está vazio: não tem nenhum conteúdo.",
        "Confira se salvou a planilha antes de enviar e envie de novo.",
    ),
    ProblemKind(
        "ARQUIVO_GRANDE",
        "erro",
        "Arquivo grande demais",
        "O arquivo tem {size_mb} MB; o limite é {limit_mb} MB.",
        "Divida o boletim em arquivos menores, por exemplo um por semana, e apague imagens da planilha.",
    ),
    ProblemKind(
        "LINHAS_DEMAIS",
        "erro",
        "Linhas demais",
        "O arquivo tem mais de {limit} linhas.",
        "Divida o boletim em arquivos menores, por exemplo um por semana.",
    ),
    ProblemKind(
        "COLUNAS_DEMAIS",
        "erro",
        "Colunas demais",
        "A planilha usa mais de {limit} colunas (até a coluna {last}).",
        "Apague as colunas que não são do boletim, à direita da tabela, e salve de novo.",
    ),
    ProblemKind(
        "ARQUIVO_DE_TRAVA",
        "erro",
        "Arquivo temporário do Excel",
        "Este é um arquivo temporário (~$) que o Excel cria enquanto a planilha está aberta.",
        "Feche a planilha no Excel e envie o arquivo dela, sem ~$ no nome.",
    ),
    ProblemKind(
        "ARQUIVO_COM_SENHA",
        "erro",
        "Arquivo protegido por senha",
        "O arquivo está protegido por senha e não pode ser lido.",
        "No Excel: Arquivo, Informações, Proteger Pasta de Trabalho, Criptografar com Senha; apague a senha "
        "e salve de novo.",
    ),
    ProblemKind(
        "ARQUIVO_CORROMPIDO",
        "erro",
        "Arquivo corrompido",
        "O arquivo está corrompido ou chegou incompleto: não abre como planilha do Excel.",
        "Abra a planilha no Excel, salve com outro nome e envie de novo.",
    ),
    ProblemKind(
        "ARQUIVO_INSEGURO",
        "erro",
        "Conteúdo que não se abre por segurança",
        "O arquivo não foi aberto por segurança: {reason}.",
        "Copie só os dados para uma planilha nova, salve como .xlsx e envie.",
    ),
    ProblemKind(
        "ARQUIVO_HTML",
        "erro",
        "Página da internet com nome de planilha",
        "O arquivo é uma página da internet (HTML) com nome de planilha.",
        _SAVE_AS_XLSX,
    ),
    ProblemKind(
        "ARQUIVO_XML",
        "erro",
        "XML com nome de planilha",
        "O arquivo é um XML com nome de planilha.",
        _SAVE_AS_XLSX,
    ),
    ProblemKind(
        "FORMATO_NAO_ACEITO",
        "erro",
        "Formato não aceito",
        "O arquivo é {format}; são aceitos CSV e Excel (.xlsx, .xls).",
        _SAVE_AS_XLSX,
    ),
    ProblemKind(
        "CODIFICACAO_DESCONHECIDA",
        "erro",
        "Letras que não se deixam ler",
        "As letras do arquivo não puderam ser lidas: {reason}.",
        "No Excel, salve como CSV UTF-8 (delimitado por vírgulas) ou como .xlsx e envie de novo.",
    ),
    ProblemKind(
        "ASPAS_ABERTAS",
        "erro",
        "Aspas sem par",
        'Na linha {row} começa um texto entre aspas (") que não termina; dali em diante nada pôde ser lido.',
        "Apague ou complete as aspas na linha {row}, ou salve a planilha como .xlsx.",
    ),
    ProblemKind(
        "SEM_PLANILHA_VISIVEL",
        "erro",
        "Nenhuma planilha visível",
        "O arquivo não tem nenhuma planilha visível.",
        "No Excel, clique com o botão direito numa aba, escolha Reexibir, mostre a do boletim e salve.",
    ),
    ProblemKind(
        "CABECALHO_NAO_ENCONTRADO",
        "erro",
        "Cabeçalho não encontrado",
        "Nenhuma das primeiras {rows} linhas tem os títulos das colunas (PLACA, DATA, KM SAÍDA …).",
        "Ponha os títulos das colunas na primeira linha da planilha; `telemetria template` dá um modelo.",
    ),
    ProblemKind(
        "CABECALHO_REPETIDO",
        "erro",
        "Duas colunas com o mesmo título",
        "As colunas {letters} têm o mesmo título, {column}; não dá para saber qual vale.",
        "Apague uma das colunas ou mude o título dela.",
    ),
    ProblemKind(
        "SEM_LINHAS",
        "erro",
        "Nenhuma viagem",
        "A tabela tem cabeçalho (linha {row}) e nenhuma linha de viagem abaixo dele.",
        "Preencha as viagens abaixo do cabeçalho e envie de novo.",
    ),
)

# Cells and rows that only the reader can see.
_READING = (
    ProblemKind(
        "CELULA_COM_ERRO",
        "erro",
        "Célula com erro do Excel",
        "A célula {cell} mostra o erro {value} do Excel.",
        "Corrija a fórmula ou digite o valor na célula {cell}.",
    ),
    ProblemKind(
        "FORMULA_SEM_VALOR",
        "erro",
        "Fórmula sem resultado gravado",
        "A célula {cell} tem uma fórmula ({value}) cujo resultado não está gravado no arquivo.",
        "Abra a planilha no Excel, espere o cálculo, salve e envie de novo; ou digite o valor.",
    ),
    ProblemKind(
        "LINHA_COM_CELULAS_A_MAIS",
        "erro",
        "Linha com células a mais",
        "A linha {row} tem {found} células e o cabeçalho tem {expected}.",
        "Confira se algum texto ou número da linha contém o separador {separator}; ponha-o entre aspas.",
    ),
    ProblemKind(
        "LINHA_COM_CELULAS_A_MENOS",
        "erro",
        "Linha com células a menos",
        "A linha {row} tem {found} células e o cabeçalho tem {expected}.",
        "Complete a linha: cada coluna precisa do seu separador {separator}, mesmo vazia.",
    ),
)

# What was noticed while reading, and does not stop the file.
_NOTICED = (
    ProblemKind(
        "CODIFICACAO_PRESUMIDA",
        "aviso",
        "Codificação presumida",
        "O arquivo não diz como as letras foram gravadas; foi lido como {encoding}.",
        "Confira os acentos na resposta. Para não depender disso, salve como CSV UTF-8 ou .xlsx.",
    ),
    ProblemKind(
        "PLANILHA_ESCOLHIDA",
        "aviso",
        "Só uma planilha foi lida",
        "O arquivo tem {count} planilhas visíveis; foi lida só {sheet}. Não foram lidas: {others}.",
        "Se há viagens nas outras planilhas, envie cada uma em seu arquivo.",
    ),
    ProblemKind(
        "PLANILHAS_OCULTAS",
        "aviso",
        "Planilhas ocultas não lidas",
        "Planilhas ocultas não foram lidas: {others}.",
        "Se o boletim está numa delas, reexiba-a e envie de novo.",
    ),
    ProblemKind(
        "LINHAS_ACIMA_DO_CABECALHO",
        "aviso",
        "Linhas acima do cabeçalho",
        "O cabeçalho está na linha {row}; as linhas acima dele foram lidas como título ({rows}).",
        "Nada a fazer, se são só título.",
    ),
    ProblemKind(
        "CABECALHO_EM_VARIAS_LINHAS",
        "aviso",
        "Cabeçalho em várias linhas",
        "O cabeçalho ocupa as linhas {rows}; os títulos foram juntados.",
        "Nada a fazer, se os títulos na resposta estão certos.",
    ),
    ProblemKind(
        "CABECALHO_DE_PAGINA",
        "aviso",
        "Cabeçalho repetido a cada página",
        "Linhas de cabeçalho ou título repetidas no meio da tabela não foram lidas como viagens: {rows}.",
        "Nada a fazer.",
    ),
    ProblemKind(
        "LINHA_DE_TOTAL",
        "aviso",
        "Linha de total não lida",
        "Linhas de total não foram lidas como viagens: {rows}.",
        "Nada a fazer.",
    ),
    ProblemKind(
        "LINHA_DE_TEXTO",
        "aviso",
        "Linha com uma só célula",
        "Linhas com uma só célula, de texto, não foram lidas como viagens: {rows}.",
        "Se uma delas é uma viagem, complete as outras células da linha.",
    ),
    ProblemKind(
        "LINHAS_EM_BRANCO",
        "aviso",
        "Linhas em branco",
        "Há linhas em branco no meio da tabela: {rows}.",
        "Nada a fazer.",
    ),
    ProblemKind(
        "COLUNA_SEM_TITULO",
        "aviso",
        "Coluna sem título",
        "Há valores em colunas sem título, que não foram lidas: {letters}.",
        "Dê um título à coluna, se ela é do boletim.",
    ),
    ProblemKind(
        "COLUNAS_EM_BRANCO",
        "aviso",
        "Colunas em branco",
        "Há colunas em branco no meio da tabela: {letters}.",
        "Nada a fazer.",
    ),
    ProblemKind(
        "LINHAS_OCULTAS",
        "aviso",
        "Linhas ocultas",
        "Linhas ocultas (por filtro ou à mão) também foram lidas: {rows}.",
        "Se elas não são do boletim, apague-as e envie de novo.",
    ),
    ProblemKind(
        "CELULAS_MESCLADAS",
        "aviso",
        "Células mescladas",
        "Há células mescladas na tabela ({ranges}); o valor foi lido só na primeira de cada grupo.",
        "Desfaça a mesclagem e repita o valor em cada linha.",
    ),
    ProblemKind(
        "LINHAS_CORTADAS_PELO_EXCEL",
        "aviso",
        "Células vazias omitidas no fim da linha",
        "As linhas {rows} terminam antes da última coluna; o que falta foi lido como vazio.",
        "Nada a fazer, se as últimas colunas estão mesmo vazias nessas linhas.",
    ),
)

# What the rules of core/boletim_rules.py, and of the file as a whole, find.
_RULES: tuple[ProblemKind, ...] = ()

KINDS: dict[str, ProblemKind] = {kind.code: kind for kind in (*_FILE, *_READING, *_NOTICED, *_RULES)}
