"""The sender's own workbook with cells marked: a fill and a comment, and all else as they made it.

The package is edited where a mark goes, and nowhere else, for a library that reads a workbook and writes
it anew loses what it does not know: openpyxl loses the stored results of formulas (the corrected file would
then come back with empty cells), shapes and newer rules, and takes four times as long for 50,000 rows.
Cells are found by patterns, and what comes out is held to be well-formed; everything small is a tree.

Marks are known again by their colours, so that an answer that comes back as the next boletim is freed of
them before it is marked anew.
"""

import re
from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from xml.parsers import expat

from telemetria_pipeline.contracts.boletim_problems import Severity
from telemetria_pipeline.core.sheets.text import column_number, letter
from telemetria_pipeline.reports.copies.notes import keep_notes_only, write_comments
from telemetria_pipeline.reports.copies.package import (
    MAIN,
    OFFICE,
    SHEET_TYPE,
    CannotCopy,
    Package,
    children,
    column_and_row,
    content,
    elements,
    new,
    new_text,
    only,
    parsed,
)
from telemetria_pipeline.reports.copies.styles import Styles

_SHEET_DATA = re.compile(rb"<((?:\w+:)?)sheetData[^>]*?(?:/>|>(.*)</\1sheetData\s*>)", re.DOTALL)
_ROW = re.compile(rb"<((?:\w+:)?)row\b([^>]*?)(?:/>|>(.*?)</\1row\s*>)", re.DOTALL)
_CELL = re.compile(rb"<(?:\w+:)?c\b([^>]*?)(/>|>.*?</(?:\w+:)?c\s*>)", re.DOTALL)
_FORMULA = re.compile(rb"<((?:\w+:)?)f\b[^>]*?(?:/>|>(.*?)</\1f\s*>)", re.DOTALL)
# Another workbook, DDE, a spelling that hides either, and what calls the network or programs, or would have
# cells told to a stranger at a click.
_REACHES_OUT = re.compile(
    rb"\[\d+\]|\||&#|\b(WEBSERVICE|HYPERLINK|IMAGE|RTD|DDE|CALL|REGISTER(\.ID)?|EXEC|STOCKHISTORY)\s*\(",
    re.IGNORECASE,
)
_NOT_IN_A_NAME = re.compile(r"[\\*?:/\[\]\x00-\x1f]")
_LEFT_OUT = ("oleObjects", "controls", "customProperties")


@dataclass(frozen=True)
class Mark:
    """What is said of a cell; without a comment it has the colour only."""

    severity: Severity
    comment: str = ""


Marks = Mapping[tuple[int, str], Mark]
"""(row, column letter) -> mark"""


def marked_copy(
    original: bytes, sheet: str, marks: Marks, pages: bytes, replaced: frozenset[str] = frozenset()
) -> bytes:
    """A copy of the workbook with the cells of `sheet` marked and pages of ours put in.

    Args:
        original: an .xlsx that the reader has read, and so found to be no bomb.
        sheet: the name of its sheet.
        marks: the cells.
        pages: a workbook by XlsxWriter; its first sheet comes first, the others last.
        replaced: sheets of the original that are left out.

    Raises:
        CannotCopy: the file holds what could harm, or what is not understood.
    """
    try:
        return _marked(Package(original), sheet, marks, Package(pages), replaced)
    except Exception as error:  # the XML of a stranger's file fails in ways that no list holds
        raise CannotCopy(type(error).__name__) from error


def _marked(book: Package, sheet: str, marks: Marks, ours: Package, replaced: frozenset[str]) -> bytes:
    path = book.target("", "officeDocument") or ""
    workbook, styles_path = book.tree(path), book.target(path, "styles") or ""
    styles = Styles(book.tree(styles_path))
    sheets = _sheets(book, path, workbook)
    if any(_NOT_IN_A_NAME.search(name) or len(name) > 31 for name in sheets):
        raise CannotCopy("a sheet's name that Excel refuses")
    for name in replaced:
        book.remove(path, sheets.pop(name))
    values_only = _reaches_out(book, workbook)
    for name, part in sheets.items():
        _edit_sheet(book, part, styles, marks if name == sheet else None, values_only)
    added = _add_pages(book, path, ours, styles)
    _edit_workbook(workbook, sheets, added)
    book.parts[path] = workbook.toxml("utf-8")
    book.types[path] = SHEET_TYPE.format("sheet.main")  # one with macros has another
    book.parts[styles_path] = styles.tree.toxml("utf-8")
    return book.save()


# --- the workbook ----------------------------------------------------------------------------------------


def _sheets(book: Package, path: str, workbook: Any) -> dict[str, str]:
    """Sheet name -> part, in order."""
    parts = {relation.id: relation.target for relation in book.relations[path]}
    return {
        e.getAttribute("name"): parts[e.getAttributeNS(OFFICE, "id")] for e in elements(workbook, "sheet")
    }


def _reaches_out(book: Package, workbook: Any) -> bool:
    """Whether formulas reach outside of the file; then only values go back. Drops names that do."""
    found = "externalLink" in book.left_out
    for name in elements(workbook, "definedName"):
        if _REACHES_OUT.search(name.toxml().encode()):
            name.parentNode.removeChild(name)
            found = True
    for reference in elements(workbook, "externalReferences"):
        reference.parentNode.removeChild(reference)
    sheets = [part for part, type_ in book.types.items() if type_ == SHEET_TYPE.format("worksheet")]
    found = found or any(
        match[2] and _REACHES_OUT.search(match[2])
        for part in sheets
        for match in _FORMULA.finditer(book.parts[part])
    )
    seen = {*sheets, book.target("", "officeDocument")}
    others = (data for path, data in book.parts.items() if path.endswith(".xml") and path not in seen)
    if found and any(re.search(rb"\[\d+\]", data) for data in others):
        raise CannotCopy("another part names another workbook")
    return found


def _add_pages(book: Package, path: str, ours: Package, styles: Styles) -> dict[str, str]:
    """Add the sheets of our workbook; their names -> the ids of their relations."""
    our_path = ours.target("", "officeDocument") or ""
    texts = [
        "".join(t.firstChild.data if t.firstChild else "" for t in elements(item, "t"))
        for item in elements(ours.tree(ours.target(our_path, "sharedStrings") or ""), "si")
    ]
    offset = styles.graft(ours.tree(ours.target(our_path, "styles") or ""))
    added = {}
    for number, (name, part) in enumerate(_sheets(ours, our_path, ours.tree(our_path)).items(), start=1):
        tree = ours.tree(part)
        for cell in elements(tree, "c"):
            cell.setAttribute("s", str(int(cell.getAttribute("s") or 0) + offset))
            if cell.getAttribute("t") == "s":
                _write_inline(cell, texts[int(only(cell, "v").firstChild.data)])
        for element, attribute in (("col", "style"), ("row", "s")):
            for styled in elements(tree, element):
                if styled.hasAttribute(attribute):
                    styled.setAttribute(attribute, str(int(styled.getAttribute(attribute)) + offset))
        data, type_ = tree.toxml("utf-8"), SHEET_TYPE.format("worksheet")
        at = f"xl/worksheets/resposta{number}.xml"
        added[name] = book.add(path, "worksheet", at, type_, data)
    return added


def _write_inline(cell: Any, text: str) -> None:
    cell.setAttribute("t", "inlineStr")
    cell.replaceChild(new(cell, "is"), only(cell, "v"))
    cell.firstChild.appendChild(new_text(cell, text))


def _edit_workbook(workbook: Any, kept: Mapping[str, str], added: Mapping[str, str]) -> None:
    """List the sheets anew, our first one in front and in sight."""
    parent = only(workbook, "sheets")
    before = elements(parent, "sheet")
    highest = max(int(e.getAttribute("sheetId")) for e in before)
    listed = []
    for number, (name, relation) in enumerate(added.items(), start=highest + 1):
        element = new(parent, "sheet")
        attributes = {"name": name, "sheetId": str(number), "xmlns:r": OFFICE, "r:id": relation}
        for attribute, value in attributes.items():
            element.setAttribute(attribute, value)
        listed.append(element)
    after = [listed[0], *(e for e in before if e.getAttribute("name") in kept), *listed[1:]]
    for element in before:
        parent.removeChild(element)
    for element in after:
        parent.appendChild(element)
    for name in elements(workbook, "definedName"):
        local = name.getAttribute("localSheetId")
        if local and before[int(local)] in after:
            name.setAttribute("localSheetId", str(after.index(before[int(local)])))
        elif local:
            name.parentNode.removeChild(name)
    for names in elements(workbook, "definedNames"):
        if not children(names):
            names.parentNode.removeChild(names)
    for view in elements(workbook, "workbookView"):
        view.setAttribute("activeTab", "0")
        view.setAttribute("firstSheet", "0")


# --- the sheets ------------------------------------------------------------------------------------------


def _edit_sheet(book: Package, part: str, styles: Styles, marks: Marks | None, values_only: bool) -> None:
    whole = book.parts[part]
    found = _SHEET_DATA.search(whole)
    prefix, data = (found[1], found[2] or b"") if found else (b"", b"")
    if re.search(rb"<!|<\?", data):  # what looks like a row in one is none, and no program writes them
        raise CannotCopy("a comment among the cells")
    hole = b"<%bsheetData/>" % prefix
    frame = parsed(whole[: found.start()] + hole + whole[found.end() :] if found else whole)
    root = frame.documentElement
    if root.namespaceURI != MAIN:
        raise CannotCopy("another kind of spreadsheet")
    for view in elements(frame, "sheetView"):
        if view.hasAttribute("tabSelected"):  # two selected sheets are written to at once
            view.removeAttribute("tabSelected")
    for element in children(root):
        if element.localName in _LEFT_OUT or any(elements(element, name) for name in _LEFT_OUT):
            root.removeChild(element)
            keep_notes_only(book, part)
    if any(_REACHES_OUT.search(content(rule).encode()) for rule in _formulas(frame)):
        raise CannotCopy("a rule that reaches out of the file")
    if values_only:
        data = _FORMULA.sub(b"", data)
    if marks is not None:
        marks = _at_anchors(marks, frame)
        data = _mark_rows(data, marks, styles, _column_styles(frame))
        write_comments(book, part, frame, {f"{c}{r}": mark.comment for (r, c), mark in marks.items()})
    head, between, tail = frame.toxml("utf-8").partition(hole)
    between = b"<%bsheetData>%b</%bsheetData>" % (prefix, data, prefix) if found else between
    book.parts[part] = edited = head + between + tail
    expat.ParserCreate().Parse(edited, True)


def _formulas(frame: Any) -> list[Any]:
    """The formulas of rules: data validations and conditional formats, of the extensions too."""
    return [e for name in ("formula", "formula1", "formula2", "f") for e in elements(frame, name, "*")]


def _at_anchors(marks: Marks, frame: Any) -> Marks:
    """The marks where they can be seen: of merged cells, the first shows."""
    anchors: dict[tuple[int, str], tuple[int, str]] = {}
    for merged in elements(frame, "mergeCell"):
        (c0, r0), (c1, r1) = (column_and_row(at) for at in (merged.getAttribute("ref") + ":").split(":")[:2])
        if (r1 - r0 + 1) * (c1 - c0 + 1) <= 10_000:
            anchor = (r0, letter(c0))
            anchors |= {(r, letter(c)): anchor for r in range(r0, r1 + 1) for c in range(c0, c1 + 1)}
    seen: dict[tuple[int, str], Mark] = {}
    for place, mark in marks.items():
        place = anchors.get(place, place)
        other = seen.get(place, mark)
        both = dict.fromkeys(text for text in (other.comment, mark.comment) if text)
        worst: Severity = "erro" if "erro" in (mark.severity, other.severity) else "aviso"
        seen[place] = Mark(worst, "\n\n".join(both))
    return seen


def _column_styles(frame: Any) -> list[tuple[int, int, int]]:
    """(first, last, style) of columns that have a style."""
    return [
        (int(e.getAttribute("min")), int(e.getAttribute("max")), int(e.getAttribute("style")))
        for e in elements(frame, "col")
        if e.hasAttribute("style")
    ]


@cache
def _attribute_pattern(name: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"\s%b\s*=\s*[\"']([^\"']*)[\"']" % name)


def _attribute(tag: bytes, name: bytes) -> str | None:
    found = _attribute_pattern(name).search(tag)
    return found[1].decode() if found else None


def _without(tag: bytes, name: bytes) -> bytes:
    return _attribute_pattern(name).sub(b"", tag)


@dataclass(order=True)
class _Cell:
    """A cell as it is written: its attributes, and what comes after them."""

    column: int
    attributes: bytes
    rest: bytes
    style: int


def _mark_rows(data: bytes, marks: Marks, styles: Styles, columns: list[tuple[int, int, int]]) -> bytes:
    """The rows with marked cells in their colours; marks of an earlier answer are taken off."""
    by_row: dict[int, dict[int, Severity]] = {}
    for (row, column), mark in marks.items():
        by_row.setdefault(row, {})[column_number(column)] = mark.severity
    last = 0

    def marked(match: re.Match[bytes]) -> bytes:
        nonlocal last
        prefix, tag, inside = match[1], match[2], match[3] or b""
        last = int(_attribute(tag, b"r") or last + 1)
        wanted = by_row.pop(last, {})
        if not wanted and not styles.stale:
            return match[0]
        cells, end = _cells(inside)
        for missing in wanted.keys() - {cell.column for cell in cells}:
            style = next((s for first, to, s in columns if first <= missing <= to), 0)
            if _attribute(tag, b"customFormat") in ("1", "true"):
                style = int(_attribute(tag, b"s") or style)
            address = b' r="%b%d"' % (letter(missing).encode(), last)
            insort(cells, _Cell(missing, address, b"/>", style))
        beside = next((cell.style for cell in cells if cell.style not in styles.stale), 0)
        for cell in cells:
            look = styles.unmarked(cell.style, beside) if cell.style in styles.stale else cell.style
            look = styles.marked(look, wanted[cell.column]) if cell.column in wanted else look
            if look != cell.style:
                cell.attributes = _without(cell.attributes, b"s") + b' s="%d"' % look
        written = b"".join(b"<%bc%b%b" % (prefix, cell.attributes, cell.rest) for cell in cells)
        tag = _without(tag, b"spans")  # they may be wider now, and need not be said
        return b"<%brow%b>%b%b</%brow>" % (prefix, tag, written, inside[end:], prefix)

    data = _ROW.sub(marked, data)
    if by_row:
        raise CannotCopy("a marked row that is not there")
    return data


def _cells(inside: bytes) -> tuple[list[_Cell], int]:
    """The cells of a row, and where they end; a cell without an address follows the one before."""
    cells: list[_Cell] = []
    column = end = 0
    for match in _CELL.finditer(inside):
        address = _attribute(match[1], b"r")
        column = column_and_row(address)[0] if address else column + 1
        cells.append(_Cell(column, match[1], match[2], int(_attribute(match[1], b"s") or 0)))
        end = match.end()
    return cells, end
