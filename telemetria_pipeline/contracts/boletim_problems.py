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
    """A code of the catalogue: `message` and `suggestion` are templates for `str.format`.

    `several` is what many cells of one kind are told together, where `suggestion` speaks of one cell.
    """

    code: str
    severity: Severity
    title: str
    message: str
    suggestion: str
    several: str = ""


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
        "O arquivo tem mais de {limit} linhas: vai até a linha {last}.",
        "Divida o boletim em arquivos menores, por exemplo um por semana; se a tabela acaba antes da linha "
        "{last}, apague as linhas abaixo dela.",
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
        "ARQUIVO_XLS",
        "erro",
        "Formato antigo do Excel (.xls)",
        "O arquivo é do formato antigo .xls, que esconde células com erro e não é lido.",
        _SAVE_AS_XLSX,
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
        "O arquivo é {format}; são aceitos CSV e Excel (.xlsx).",
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
        "Não encontrei os títulos das colunas: {read}; esperava {expected}.",
        "Escreva os títulos esperados numa só linha, acima das viagens, ou preencha a aba Modelo da "
        "resposta.",
    ),
    ProblemKind(
        "DUAS_PLANILHAS",
        "erro",
        "Mais de uma planilha com a tabela",
        "As planilhas {sheets} têm, cada uma, linhas da tabela preenchidas; só uma pode ser lida.",
        "Junte as linhas numa só planilha, sob os mesmos títulos, ou envie cada planilha em seu arquivo.",
    ),
    ProblemKind(
        "SEGUNDA_TABELA",
        "erro",
        "Outra tabela na mesma planilha",
        "Na linha {row} começa outra tabela, com outros títulos; só uma tabela pode ser lida.",
        "Se ela traz viagens, junte-as sob os mesmos títulos, numa só tabela; senão, leve-a para outra "
        "planilha.",
    ),
    ProblemKind(
        "TUDO_NUMA_COLUNA",
        "erro",
        "Tudo numa coluna só",
        "Na linha {row}, os títulos estão todos na mesma célula, separados por {separator}.",
        "No Excel, selecione a coluna e use Dados, Texto para Colunas, Delimitado, com {separator} como "
        "delimitador; salve e envie de novo.",
    ),
    ProblemKind(
        "CABECALHO_REPETIDO",
        "erro",
        "Duas colunas com o mesmo título",
        "As colunas {letters} têm o mesmo título, {column}; não dá para saber qual vale.",
        "Apague uma das colunas ou mude o título dela; se são duas viagens, ponha cada uma em sua linha.",
    ),
    ProblemKind(
        "SEM_LINHAS",
        "erro",
        "Nenhuma viagem",
        "A tabela tem cabeçalho (linha {row}) e nenhuma linha preenchida abaixo dele.",
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
        "Corrija as fórmulas ou digite os valores.",
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
        "LINHAS_ENTRE_ASPAS",
        "aviso",
        "Linhas inteiras entre aspas",
        "Cada linha do arquivo estava inteira entre aspas; foi separada nas colunas por {separator}.",
        "Nada a fazer; para evitar, salve a planilha como .xlsx.",
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
        "Linhas de cabeçalho ou título repetidas no meio da tabela não foram lidas: {rows}.",
        "Nada a fazer.",
    ),
    ProblemKind(
        "LINHA_DE_TOTAL",
        "aviso",
        "Linha de total não lida",
        "Linhas de total não foram lidas: {rows}.",
        "Nada a fazer.",
    ),
    ProblemKind(
        "LINHA_DE_TEXTO",
        "aviso",
        "Linha de texto",
        "Linhas só de texto, como observações e assinaturas, não foram lidas: {rows}.",
        "Se uma delas é uma viagem, complete as outras células da linha.",
    ),
    ProblemKind(
        "LINHA_SEM_VIAGEM",
        "aviso",
        "Linha sem viagem",
        "Linhas sem nenhum valor nas colunas obrigatórias não foram lidas: {rows}.",
        "Nada a fazer, se são linhas que ficaram por preencher.",
    ),
    ProblemKind(
        "LINHA_FORA_DA_TABELA",
        "aviso",
        "Linha fora das colunas da tabela",
        "Linhas com valores só fora das colunas que têm título não foram lidas: {rows}.",
        "Nada a fazer, se são anotações.",
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

# What the rules of core/boletim/rules.py, and of the file as a whole, find.
_RULES = (
    ProblemKind(
        "COLUNA_OBRIGATORIA_AUSENTE",
        "erro",
        "Falta uma coluna obrigatória",
        "Falta a coluna {column}.",
        "Inclua a coluna {column} com esse título.{hint}",
    ),
    ProblemKind(
        "COLUNAS_NUMERADAS",
        "erro",
        "Mais de uma viagem na mesma linha",
        "As colunas {letters} ({headers}) trazem outra viagem na mesma linha, que não foi lida.",
        "Ponha cada viagem em sua linha, sob os mesmos títulos sem número, e apague essas colunas.",
    ),
    ProblemKind(
        "COLUNAS_EM_CONFLITO",
        "erro",
        "Duas colunas para o mesmo dado",
        "As colunas {letters} ({headers}) querem dizer {meant} e têm valores diferentes; não dá para "
        "saber qual vale.",
        "Deixe só uma coluna {meant}.",
    ),
    ProblemKind(
        "COLUNA_PARECIDA",
        "aviso",
        "Título de coluna parecido",
        "A coluna {letter}, {column}, não foi lida: você quis dizer {meant}?",
        "Se é isso, escreva o título {meant} e envie de novo.",
    ),
    ProblemKind(
        "COLUNA_DESCONHECIDA",
        "aviso",
        "Coluna desconhecida",
        "A coluna {letter}, {column}, não é do boletim e não foi lida.",
        "Nada a fazer, se a coluna é só para seu controle.",
    ),
    ProblemKind(
        "COLUNA_PRETERIDA",
        "aviso",
        "Coluna com o mesmo dado de outra",
        "A coluna {letter}, {column}, quer dizer {meant}, que já está na coluna {kept}; só essa foi lida.",
        "Deixe só uma coluna {meant}, se a outra é a certa.",
    ),
    ProblemKind(
        "CELULA_VAZIA",
        "erro",
        "Célula obrigatória vazia",
        "Falta o valor de {column} na linha {row}.",
        "Preencha a célula {cell}.",
        "Preencha as células.",
    ),
    ProblemKind(
        "PLACA_INVALIDA",
        "erro",
        "Placa inválida",
        "{value} não é uma placa.",
        "Escreva três letras e quatro algarismos (ABC1234) ou no padrão Mercosul (ABC1D23).{hint}",
        "Escreva três letras e quatro algarismos (ABC1234) ou no padrão Mercosul (ABC1D23).",
    ),
    ProblemKind(
        "PLACA_FICTICIA",
        "aviso",
        "Placa que parece só preencher a célula",
        "{value} não parece a placa de um veículo.",
        "Escreva a placa do veículo que fez a viagem; se é mesmo esta, nada a fazer.",
    ),
    ProblemKind(
        "PLACA_VIROU_DATA",
        "erro",
        "O Excel transformou a placa em data",
        "O Excel transformou esta placa na data {value}.",
        "Formate a coluna como Texto e digite a placa de novo.{hint}",
        "Formate a coluna como Texto e digite as placas de novo.",
    ),
    ProblemKind(
        "DATA_INVALIDA",
        "erro",
        "Data inválida",
        "{value} não é uma data que se possa ler.",
        "Escreva a data como dd/mm/aaaa, por exemplo {example}.",
    ),
    ProblemKind(
        "DATA_MM_DD",
        "erro",
        "Data em mm/dd/aaaa",
        "As datas desta coluna estão com o mês antes do dia (mm/dd/aaaa): {value}.",
        "Escreva dd/mm/aaaa: {fixed}. No Excel, mude a região do formato de data para Português (Brasil).",
        "Escreva dd/mm/aaaa. No Excel, mude a região do formato de data para Português (Brasil).",
    ),
    ProblemKind(
        "DATA_TROCADA",
        "erro",
        "Dia e mês trocados",
        "{said} está com o dia e o mês trocados: só como {fixed} combina com as outras datas da coluna.",
        "Escreva {fixed}. No Excel, mude a região para Português (Brasil) antes de digitar as datas.",
        "Digite as datas de novo. No Excel, mude antes a região para Português (Brasil).",
    ),
    ProblemKind(
        "DATA_TALVEZ_TROCADA",
        "aviso",
        "Dia e mês talvez trocados",
        "A viagem de {said} está longe das outras e do dia em que o boletim chegou; com dia e mês trocados "
        "seria {fixed}.",
        "Confira: se é {fixed}, corrija a célula; senão, nada a fazer.",
        "Confira o dia e o mês de cada data; se estão certos, nada a fazer.",
    ),
    ProblemKind(
        "DATA_LONGE_DO_RECEBIMENTO",
        "aviso",
        "Data longe do recebimento",
        "A viagem de {said} é de {days} dias antes do recebimento ({received}).",
        "Confira o dia, o mês e o ano; se estão certos, nada a fazer.",
    ),
    ProblemKind(
        "DATA_NO_FUTURO",
        "erro",
        "Data no futuro",
        "A viagem de {said} ainda não aconteceu: o boletim foi recebido em {received}.",
        "Corrija o dia, o mês ou o ano.{hint}",
        "Corrija o dia, o mês ou o ano.",
    ),
    ProblemKind(
        "DATA_EM_NUMERO",
        "aviso",
        "Data gravada como número",
        "{value} foi lido como a data {said} (número de dia do Excel).",
        "Formate a coluna como Data para que se possa conferir.",
    ),
    ProblemKind(
        "DATA_FORA_DO_PERIODO",
        "aviso",
        "Data fora do período do arquivo",
        "A viagem de {said} está fora do período do arquivo ({period}).",
        "Confira o dia, o mês e o ano; se estão certos, nada a fazer.",
    ),
    ProblemKind(
        "HORARIO_INVALIDO",
        "erro",
        "Horário inválido",
        "{value} não é um horário.",
        "Escreva horas e minutos, de 00:00 a 24:00, por exemplo 07:30.{hint}",
        "Escreva horas e minutos, de 00:00 a 24:00, por exemplo 07:30.",
    ),
    ProblemKind(
        "HORARIO_EM_NUMERO",
        "aviso",
        "Horário gravado como número",
        "{value} foi lido como {said} (fração de um dia, como o Excel guarda as horas).",
        "Confira; para não haver dúvida, formate a coluna como Hora ou escreva hh:mm.",
    ),
    ProblemKind(
        "DATA_DIFERE_DO_HORARIO",
        "erro",
        "Data e horário se contradizem",
        "O horário traz a data {said}, mas pela coluna {other} seria {expected}.",
        "Deixe só o horário na célula, ou corrija a data.",
    ),
    ProblemKind(
        "VIAGEM_LONGA",
        "erro",
        "Chegada antes da saída",
        "A chegada ({value}) é antes da saída ({departure}); se foi no dia seguinte, a viagem durou "
        "{hours} h, e o máximo é {limit} h.",
        "Corrija o horário de saída ou o de chegada.",
    ),
    ProblemKind(
        "VIAGEM_DEMORADA",
        "aviso",
        "Viagem demorada",
        "A viagem teria durado {hours} h; o comum é no máximo {limit} h.",
        "Confira os dois horários; se estão certos, nada a fazer.",
    ),
    ProblemKind(
        "NUMERO_INVALIDO",
        "erro",
        "Número inválido",
        "{value} não é um número.",
        "Escreva só o número, por exemplo {example}.",
    ),
    ProblemKind(
        "NUMERO_INTEIRO",
        "erro",
        "Número com casas decimais",
        "{value} não é um número inteiro.",
        "Escreva um número inteiro, por exemplo 12.",
    ),
    ProblemKind(
        "NUMERO_AMBIGUO",
        "erro",
        "Número que se lê de dois jeitos",
        "{value} pode ser {one} ou {two}: {why}.",
        "Escreva sem separador de milhar e com vírgula nos decimais: {one} ou {two}.",
        "Escreva sem separador de milhar e com vírgula nos decimais.",
    ),
    ProblemKind(
        "NUMERO_NEGATIVO",
        "erro",
        "Número negativo",
        "{value} é negativo.",
        "Escreva um número maior ou igual a zero.",
    ),
    ProblemKind(
        "NUMERO_COM_PONTO_DE_MILHAR",
        "aviso",
        "Lido com separador de milhar",
        "{value} foi lido como {said}: {sign} conta como separador de milhar.",
        "Nada a fazer, se é isso; senão, escreva os decimais com vírgula.",
    ),
    ProblemKind(
        "NUMERO_COMO_TEXTO",
        "aviso",
        "Número gravado como texto",
        "{value} está gravado como texto; foi lido como {said}.",
        "No Excel, selecione a coluna e escolha Converter em número.",
    ),
    ProblemKind(
        "ODOMETRO_SEM_MILHAR",
        "erro",
        "Odômetro que perdeu o separador de milhar",
        "{value} deve ser {said}: é o que dizem os horários, a KM ROTA ou o último odômetro conhecido.",
        "Escreva {said}, sem ponto nem vírgula. O Excel transforma 45.230 em 45,23 em algumas regiões.",
        "Escreva os odômetros inteiros, sem ponto nem vírgula. O Excel transforma 45.230 em 45,23 em algumas "
        "regiões.",
    ),
    ProblemKind(
        "ODOMETRO_TALVEZ_SEM_MILHAR",
        "aviso",
        "Odômetro baixo com casas decimais",
        "{value} foi lido como {read} km; seria {said}?",
        "Se é, escreva {said}, sem ponto nem vírgula; senão, nada a fazer.",
        "Se o separador era de milhar, escreva os odômetros sem ponto nem vírgula; senão, nada a fazer.",
    ),
    ProblemKind(
        "KM_CHEGADA_MENOR",
        "erro",
        "Km de chegada menor que o de saída",
        "O km de chegada ({value}) é menor que o de saída ({departure}, célula {other}).",
        "Confira os dois números no painel ou na ata; veja se não estão trocados.",
    ),
    ProblemKind(
        "ODOMETRO_VIROU",
        "aviso",
        "Odômetro que virou durante a viagem",
        "O km de chegada ({value}) é menor que o de saída ({departure}, célula {other}); o odômetro parece "
        "ter passado de {limit}, e a viagem foi contada com {said} km.",
        "Confirme, por favor: se foi isso, escreva {said} em {confirm}; senão, corrija os dois números.",
        "Confirme, por favor: se foi isso, escreva a distância na coluna KM ROTA; senão, corrija os números.",
    ),
    ProblemKind(
        "KM_IMPLAUSIVEL",
        "erro",
        "Distância impossível",
        "A viagem teria {said} km; o máximo de uma viagem é {limit} km.",
        "Veja se falta ou sobra um algarismo em {other} ou em {cell}.",
        "Veja se falta ou sobra um algarismo nos odômetros.",
    ),
    ProblemKind(
        "KM_ZERO",
        "aviso",
        "Viagem de 0 km",
        "A viagem tem 0 km: o odômetro de chegada é o mesmo da saída ({value}).",
        "Confira os dois números; se o veículo não andou, apague a linha ou deixe como está.",
    ),
    ProblemKind(
        "KM_ROTA_DIFERE",
        "erro",
        "Km da rota não confere",
        "{value} não confere com o odômetro: {other} dá {said} km (tolerância de {tolerance} km).",
        "Corrija o km da rota ou os odômetros.",
    ),
    ProblemKind(
        "VELOCIDADE_IMPLAUSIVEL",
        "aviso",
        "Velocidade média alta demais",
        "{said} km em {minutes} min dão {speed}; o limite é {limit} km/h.",
        "Confira os horários e os odômetros da linha {row}.",
        "Confira os horários e os odômetros.",
    ),
    ProblemKind(
        "VELOCIDADE_BAIXA",
        "aviso",
        "Velocidade média baixa demais",
        "{said} km em {minutes} min dão menos de {limit} km/h.",
        "Confira os odômetros e os horários; se o veículo ficou parado, nada a fazer.",
    ),
    ProblemKind(
        "LINHA_REPETIDA",
        "aviso",
        "Linha repetida",
        "A linha {row} repete a linha {other} (mesma placa, saída, chegada e km) e não foi contada de novo.",
        "Nada a fazer; ou corrija, se são duas viagens.",
    ),
    ProblemKind(
        "LINHA_JA_ENVIADA",
        "aviso",
        "Viagem já enviada",
        "A viagem da linha {row} já veio na {other} e não foi contada de novo.",
        "Nada a fazer.",
    ),
    ProblemKind(
        "VEICULO_EM_DOIS_LUGARES",
        "erro",
        "Veículo em dois lugares ao mesmo tempo",
        "O veículo já estava em viagem: a da {other} só chega às {until}.",
        "Corrija os horários, a data ou a placa de uma das duas viagens.",
    ),
    ProblemKind(
        "VEICULO_EM_DOIS_ARQUIVOS",
        "aviso",
        "Veículo em viagem de outro arquivo",
        "O veículo estava em outra viagem: a da {other}, que sai às {since} e chega às {until}.",
        "Corrija os horários desta viagem; ou corrija o outro arquivo e o envie de novo com o mesmo nome.",
    ),
    ProblemKind(
        "ODOMETRO_VOLTOU",
        "aviso",
        "Odômetro menor que o da viagem anterior",
        "O odômetro ({value}) é menor que o do fim da viagem anterior da placa ({before}, {other}).",
        "Confira os dois números. Se a viagem foi na madrugada do dia seguinte, corrija a data.",
    ),
    ProblemKind(
        "ODOMETRO_SALTOU",
        "aviso",
        "Odômetro saltou desde a viagem anterior",
        "O odômetro ({value}) está {said} km acima do fim da viagem anterior da placa ({before}, {other}).",
        "Confira os dois números: falta ou sobra um algarismo?",
    ),
    ProblemKind(
        "PLACA_DESCONHECIDA",
        "aviso",
        "Placa fora do cadastro",
        "A placa {value} não está no cadastro de veículos.",
        "Confira a placa; se está certa, peça o cadastro do veículo.",
    ),
    ProblemKind(
        "EQUIPAMENTO_DIVERGENTE",
        "erro",
        "Equipamento de outro veículo",
        "O equipamento {value} não é o da placa {plate}, que no cadastro é {registered}.",
        "Corrija o equipamento ou a placa.",
    ),
    ProblemKind(
        "EQUIPAMENTO_VARIA",
        "aviso",
        "Mesma placa com equipamentos diferentes",
        "A placa {plate} aparece com o equipamento {value} e, na maioria das linhas, com {usual}.",
        "Corrija o equipamento ou a placa da linha {row}.",
        "Corrija o equipamento ou a placa.",
    ),
    ProblemKind(
        "MOTORISTA_DESCONHECIDO",
        "aviso",
        "Motorista fora do cadastro",
        "O motorista da célula {cell} não está no cadastro.",
        "Confira como o nome está escrito; se está certo, peça o cadastro.",
    ),
    ProblemKind(
        "ARQUIVO_REPETIDO",
        "aviso",
        "Arquivo já recebido",
        "Este arquivo tem o mesmo conteúdo de {other} e não foi contado de novo.",
        "Nada a fazer; para corrigir um boletim, altere-o e envie com o mesmo nome.",
    ),
    ProblemKind(
        "LINHA_DE_ARQUIVO_DEVOLVIDO",
        "erro",
        "Linha sem erro em arquivo devolvido",
        "A linha não tem erro, mas o arquivo foi devolvido por causa de outras linhas.",
        "Corrija as outras linhas e envie o arquivo inteiro de novo.",
    ),
)

KINDS: dict[str, ProblemKind] = {kind.code: kind for kind in (*_FILE, *_READING, *_NOTICED, *_RULES)}
