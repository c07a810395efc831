"""Looking into an .xlsx before and beside calamine: what must not be opened, and what calamine hides.

calamine gives values fast and right, but allocates the whole rectangle a sheet claims, and shows error
cells, formulas without a stored result and hidden rows as if nothing were the matter. Each sheet's XML is
therefore screened with searches that cost a fraction of the reading; only a sheet in which they find
something is walked through cell by cell.
"""

import io
import posixpath
import re
import zipfile
from dataclasses import dataclass, field
from xml.etree import ElementTree
from xml.parsers import expat

from telemetria_pipeline.core.sheets.text import (
    CellProblem,
    Limits,
    column_number,
    letter,
    refuse,
    says_nothing,
)

# What is opened: all that a workbook's values may stand in. Pictures, what programs threw away (`[trash]/`),
# properties and other programs' data are nobody's boletim, whatever state they are in.
_OPENED = (".xml", ".rels")
_NOT_OPENED = ("docprops/", "customxml/", "[trash]/")
_MAX_PARTS = 5_000
_RATIO_FROM = 20_000_000  # a small sheet of equal rows shrinks a hundredfold and harms nobody
_BLANK_ROWS = 1_000  # title rows and gaps, beyond the limit of rows


@dataclass
class Package:
    """The XML parts of a workbook that are read: path in lower case -> bytes, and -> path as it stands."""

    parts: dict[str, bytes]
    names: dict[str, str]

    def sheets(self) -> dict[str, str]:
        """Sheet name -> the path of its part, in the workbook's order; sheets of other kinds included."""
        path = self._workbook_path()
        relations = self._relations(path)
        found = {}
        for element in self._tree(path).iter():
            if _local(element.tag) == "sheet":
                relation = next((v for k, v in element.items() if _local(k) == "id"), "")
                part = relations.get(relation, "")
                if part in self.parts:
                    found[element.get("name", "")] = part
        return found

    def blank_strings(self) -> frozenset[str]:
        """The places, in the list of shared strings, of those that say nothing."""
        path = "xl/sharedstrings.xml"
        if path not in self.parts:
            return frozenset()
        strings = [e for e in self._tree(path) if _local(e.tag) == "si"]
        return frozenset(str(i) for i, e in enumerate(strings) if says_nothing("".join(e.itertext())))

    def as_archive(self) -> bytes:
        """The parts as a workbook again."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for path, part in self.parts.items():
                archive.writestr(self.names[path], part)
        return packed.getvalue()

    def counts_from_1904(self) -> bool:
        """Whether the workbook's dates count from 1904, as old Excel for Mac's do."""
        return any(
            _local(e.tag) == "workbookPr" and e.get("date1904") in ("1", "true")
            for e in self._tree(self._workbook_path()).iter()
        )

    def _workbook_path(self) -> str:
        root = self._relations("")
        return next((p for p in root.values() if "workbook" in p and p in self.parts), "xl/workbook.xml")

    def _relations(self, path: str) -> dict[str, str]:
        folder, name = posixpath.split(path)
        tree = self._tree(posixpath.join(folder, "_rels", f"{name}.rels"))
        return {
            e.get("Id", ""): posixpath.normpath(
                posixpath.join("/", folder, e.get("Target", "").lower())
            ).removeprefix("/")
            for e in tree.iter()
            if _local(e.tag) == "Relationship"
        }

    def _tree(self, path: str) -> ElementTree.Element:
        try:
            return ElementTree.fromstring(self.parts[path])  # noqa: S314, entities were refused before
        except (KeyError, ElementTree.ParseError, ValueError, LookupError):
            raise refuse("ARQUIVO_CORROMPIDO") from None


def open_package(data: bytes, limits: Limits) -> Package:
    """The XML parts of an .xlsx, each inflated and looked at before anything parses it.

    Raises `Unreadable` for what is no workbook, is broken, encrypted, a bomb, or declares entities.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        members = archive.infolist()
    except Exception:  # zipfile's errors for broken archives have no common type
        raise refuse("ARQUIVO_CORROMPIDO") from None
    _refuse_other_formats([member.filename.lower() for member in members])
    if any(member.flag_bits & 1 for member in members):
        raise refuse("ARQUIVO_COM_SENHA")
    opened = [m for m in members if _is_opened(m.filename.lower())]
    names = {member.filename.lower(): member.filename for member in opened}
    if len(members) > _MAX_PARTS or len(names) < len(opened):
        raise refuse("ARQUIVO_CORROMPIDO")
    parts: dict[str, bytes] = {}
    left = min(limits.unzipped, max(limits.ratio * len(data), _RATIO_FROM))
    for member in opened:
        parts[member.filename.lower()] = part = _inflate(archive, member, left)
        left -= len(part)
        if b"<!DOCTYPE" in part or b"<!ENTITY" in part:
            raise refuse("ARQUIVO_INSEGURO", reason="traz definições de XML (DTD), que planilha nenhuma usa")
        if (
            b"\0" in part[:256]
        ):  # UTF-16, in which the search above is blind; no spreadsheet program writes it
            raise refuse("ARQUIVO_CORROMPIDO")
    return Package(parts, names)


def _is_opened(path: str) -> bool:
    return path.endswith(_OPENED) and not path.startswith(_NOT_OPENED)


def _refuse_other_formats(names: list[str]) -> None:
    if any(name.startswith("xl/") for name in names):
        if "xl/workbook.bin" in names:
            raise refuse("FORMATO_NAO_ACEITO", format="uma planilha binária do Excel (.xlsb)")
        return
    kinds = {
        "word/": "um documento do Word",
        "ppt/": "uma apresentação do PowerPoint",
        "content.xml": "um documento do LibreOffice",
        "index/": "uma planilha do Numbers, da Apple",
    }
    format_ = next((said for start, said in kinds.items() if any(n.startswith(start) for n in names)), None)
    raise refuse("FORMATO_NAO_ACEITO", format=format_ or "um arquivo compactado (.zip)")


def _inflate(archive: zipfile.ZipFile, member: zipfile.ZipInfo, left: int) -> bytes:
    # The size that an archive declares may be a lie; one more than is read keeps the checksum for the end.
    declared, member.file_size = member.file_size, left + 2
    try:
        with archive.open(member) as part:
            read = part.read(left + 1)
    except Exception:  # zlib.error, BadZipFile, NotImplementedError, EOFError, … : the archive is broken
        raise refuse("ARQUIVO_CORROMPIDO") from None
    if len(read) > left:
        raise refuse("ARQUIVO_INSEGURO", reason="descompactado, ele cresce além de qualquer boletim")
    if len(read) != declared:
        raise refuse("ARQUIVO_CORROMPIDO")
    return read


@dataclass
class SheetFacts:
    """What calamine does not tell of a sheet; rows from 1."""

    problems: list[CellProblem] = field(default_factory=list)
    hidden_rows: list[int] = field(default_factory=list)


_ODD_ROW = re.compile(rb'<row(?! r="[0-9]+"(?:(?! hidden)[^>])*>)')
_FORMULA_ALONE = re.compile(rb"<c [^>]*>\s*<f(?:[^>]*/>|[^>]*>[^<]*</f>)\s*(?:<v\s*/>|<v></v>)?\s*</c>")


def look_into(package: Package, path: str, limits: Limits) -> SheetFacts:
    """Error cells, formulas without a stored result and hidden rows of a sheet.

    calamine would allocate all of the rectangle that a sheet's cells span. Where that is more than the limits
    allow, rows at the end of which no cell says anything are taken out of the package's part; raises
    `Unreadable` where cells that say something span too much.
    """
    part = package.parts[path]
    start, end = part.find(b"<sheetData"), part.rfind(b"</sheetData")
    if 0 <= start < end and not _needs_a_walk(part, start, end, limits):
        return SheetFacts()
    walker = _walk(part)
    if _too_tall(walker, limits):
        walker = _walk(part, package.blank_strings())
        short = part[: walker.blank_from] + part[end:]
        if _too_tall(walker, limits) or end < 0 or _too_tall(_walk(short), limits):
            raise refuse("LINHAS_DEMAIS", limit=limits.rows, last=walker.rows[1])
        package.parts[path] = short
    if walker.columns[1] - walker.columns[0] >= limits.columns:
        raise refuse("COLUNAS_DEMAIS", limit=limits.columns, last=letter(walker.columns[1]))
    return walker.facts


def _needs_a_walk(part: bytes, start: int, end: int, limits: Limits) -> bool:
    def has(what: bytes) -> bool:
        return part.find(what, start, end) >= 0

    place = rb' r="[A-I]?[A-Z][0-9]{1,%d}"' % len(str(limits.rows + _BLANK_ROWS))
    if (
        has(b't="e"')
        or _ODD_ROW.search(part, start, end)
        or (has(b"'") and has(b"='"))  # `r='XFD9'` …
        or (has(b":") and has(b":c "))  # … and `<x:c` are cells that the patterns do not see
    ):
        return True
    if not re.compile(rb"<c(?!" + place + rb"[^>]*+>(?!<f))").search(part, start, end):
        return False
    odd_cell = re.compile(rb"<c(?!" + place + rb"[ />])")
    return bool(_FORMULA_ALONE.search(part, start, end) or odd_cell.search(part, start, end))


def _walk(part: bytes, blank_strings: frozenset[str] | None = None) -> "_Walker":
    walker = _Walker(blank_strings)
    try:
        walker.parse(part)
    except (expat.ExpatError, ValueError, LookupError):
        raise refuse("ARQUIVO_CORROMPIDO") from None
    return walker


def _too_tall(walker: "_Walker", limits: Limits) -> bool:
    return walker.rows[1] - walker.rows[0] > limits.rows + _BLANK_ROWS


_CELL = re.compile(r"([A-Za-z]{1,3})0*([0-9]{1,7})")


class _Walker:
    """One pass over a sheet's XML; positions that a cell leaves out follow from the one before.

    `rows` and `columns` are the first and last with a cell. With `blank_strings`, the places of shared
    strings that say nothing, only cells that say something count, and no row from the byte `blank_from` on
    has one.
    """

    def __init__(self, blank_strings: frozenset[str] | None) -> None:
        self.facts = SheetFacts()
        self.rows = self.columns = (0, 0)
        self.blank_from = 0
        self._blank_strings = blank_strings
        self._row = self._column = 0
        self._type = ""
        self._text: dict[str, list[str]] = {}
        self._open = ""

    def parse(self, part: bytes) -> None:
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._data
        self._parser.Parse(part, True)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = _local(name)
        if name == "c":
            if "r" in attributes:
                place = _CELL.fullmatch(attributes["r"])
                if not place:
                    raise ValueError("no cell address")
                self._column, self._row = column_number(place[1].upper()), int(place[2])
            else:
                self._column += 1
            self._type, self._text, self._open = attributes.get("t", ""), {}, ""
        elif name == "row":
            self._row = int(attributes.get("r", self._row + 1))
            self._column = 0
            if attributes.get("hidden") in ("1", "true"):
                self.facts.hidden_rows.append(self._row)
            if not self.blank_from:
                self.blank_from = self._parser.CurrentByteIndex
        elif name in ("v", "f", "is"):
            self._text[name] = []
            self._open = name

    def _data(self, text: str) -> None:
        if self._open:
            self._text[self._open].append(text)

    def _end(self, name: str) -> None:
        name = _local(name)
        if name in ("v", "f", "is"):
            self._open = ""
        elif name == "c":
            self._close_cell()

    def _close_cell(self) -> None:
        if not self._text:
            return
        value = "".join(self._text.get("v", ()))
        if self._blank_strings is not None and self._is_blank(value, self._blank_strings):
            return
        self.rows = _widened(self.rows, self._row)
        self.columns = _widened(self.columns, self._column)
        self.blank_from = 0
        code, shown = "", ""
        if self._type == "e":
            code, shown = "CELULA_COM_ERRO", value or "#ERRO"
        elif "f" in self._text and not value and "is" not in self._text and self._type != "str":
            code, shown = "FORMULA_SEM_VALOR", "=" + ("".join(self._text["f"]) or "…")
        if code:
            self.facts.problems.append(CellProblem(code, self._row, letter(self._column), shown))

    def _is_blank(self, value: str, blank_strings: frozenset[str]) -> bool:
        if "f" in self._text:
            return False
        if self._type == "s":
            return value in blank_strings
        return says_nothing(value + "".join(self._text.get("is", ())))


def _widened(span: tuple[int, int], at: int) -> tuple[int, int]:
    return (min(span[0] or at, at), max(span[1], at))


def _local(name: str) -> str:
    return re.split("[}:]", name)[-1]
