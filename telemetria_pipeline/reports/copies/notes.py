"""Comments on cells: their texts, and the boxes that they stand in."""

import re
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

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
from telemetria_pipeline.reports.workbook import plain_text

FIRST_LINE = "Resposta ao boletim:"
"""How each of our comments begins; what stands before it in a cell's comment is the sender's own."""

_COMMENTS = f'<comments xmlns="{MAIN}"><authors/><commentList/></comments>'.encode()
_DRAWING = (
    b'<xml xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office" '
    b'xmlns:x="urn:schemas-microsoft-com:office:excel"></xml>'
)
_NOTE_TYPE = (
    b'<v:shapetype id="_x0000_t202" coordsize="21600,21600" o:spt="202" path="m,l,21600r21600,l21600,xe">'
    b'<v:stroke joinstyle="miter"/><v:path gradientshapeok="t" o:connecttype="rect"/></v:shapetype>'
)
_NOTE = (
    '<v:shape id="_x0000_s{id}" type="#_x0000_t202" fillcolor="#ffffe1" o:insetmode="auto" '
    'style="position:absolute;visibility:hidden"><v:fill color2="#ffffe1"/>'
    '<v:shadow on="t" color="black" obscured="t"/><v:path o:connecttype="none"/>'
    '<v:textbox style="mso-direction-alt:auto"/><x:ClientData ObjectType="Note"><x:MoveWithCells/>'
    "<x:SizeWithCells/><x:Anchor>{left},12,{top},4,{right},12,{bottom},4</x:Anchor>"
    "<x:AutoFill>False</x:AutoFill><x:Row>{row}</x:Row><x:Column>{column}</x:Column></x:ClientData></v:shape>"
)
_SHAPE = re.compile(rb"<v:shape\s.*?</v:shape>", re.DOTALL)
_NOTE_PLACE = re.compile(rb"<x:(Row|Column)>\s*(\d+)\s*</x:\1>")
_NOTE_WIDTH = 46  # characters
_BEHIND_NOTES = ("legacyDrawingHF", "drawingHF", "picture", "webPublishItems", "tableParts", "extLst")


def write_comments(book: Package, part: str, frame: Any, said: Mapping[str, str]) -> None:
    """Write the comments (cell -> text), each after what the sender has said there; take off older ones."""
    path = book.target(part, "comments")
    tree = book.tree(path) if path else parsed(_COMMENTS)
    people, comments = only(tree, "authors"), only(tree, "commentList")
    author = len(children(people))
    people.appendChild(new(people, "author")).appendChild(tree.createTextNode("Boletins"))
    texts = {cell: f"{FIRST_LINE}\n{text}" for cell, text in said.items() if text}
    gone = set()
    for comment in elements(tree, "comment"):
        cell = comment.getAttribute("ref")
        theirs, ours, _ = "".join(content(t) for t in elements(comment, "t")).partition(FIRST_LINE)
        if ours or cell in texts:
            comments.removeChild(comment)
            gone.add(cell)
            text = "\n\n".join(t for t in (theirs.strip(), texts.get(cell)) if t)
            texts |= {cell: text} if text else {}
    for cell, text in texts.items():
        comment = comments.appendChild(new(people, "comment"))
        comment.setAttribute("ref", cell)
        comment.setAttribute("authorId", str(author))
        comment.appendChild(new(people, "text")).appendChild(new_text(people, plain_text(text)))
    data = tree.toxml("utf-8")
    if path:
        book.parts[path] = data
    elif texts:
        book.add(part, "comments", "xl/comments_resposta.xml", SHEET_TYPE.format("comments"), data)
    _draw_notes(book, part, frame, texts, gone)


def _draw_notes(book: Package, part: str, frame: Any, texts: Mapping[str, str], gone: set[str]) -> None:
    """The boxes that the comments stand in, without which Excel shows none."""
    parts = {relation.id: relation.target for relation in book.relations[part]}
    found = elements(frame, "legacyDrawing")
    path = parts[found[0].getAttributeNS(OFFICE, "id")] if found else None
    moved = {column_and_row(cell) for cell in (*gone, *texts)}
    drawing = book.parts[path] if path else _DRAWING
    drawing = _SHAPE.sub(lambda shape: b"" if _note_place(shape[0]) in moved else shape[0], drawing)
    starts = list(accumulate(_widths(frame), initial=0))
    shapes = [] if b'"_x0000_t202"' in drawing else [_NOTE_TYPE]
    for number, (cell, text) in enumerate(texts.items(), start=20_001):
        column, row = column_and_row(cell)
        wide = (at for at in range(column, len(starts)) if starts[at] - starts[column] >= _NOTE_WIDTH)
        top, height = max(row - 2, 0), 1 + sum(1 + len(line) // _NOTE_WIDTH for line in text.split("\n"))
        box = {"left": column, "right": next(wide, column + 5), "top": top, "bottom": top + height}
        shapes.append(_NOTE.format(id=number, row=row - 1, column=column - 1, **box).encode())
    start, end, rest = drawing.rpartition(b"</xml>")
    if not end:
        raise CannotCopy("a drawing that is none")
    drawing = start + b"".join(shapes) + end + rest
    if path:
        book.parts[path] = drawing
    elif texts:
        type_ = "application/vnd.openxmlformats-officedocument.vmlDrawing"
        relation = book.add(part, "vmlDrawing", "xl/drawings/vml_resposta.vml", type_, drawing)
        root = frame.documentElement
        element = new(root, "legacyDrawing")
        element.setAttribute("xmlns:r", OFFICE)
        element.setAttribute("r:id", relation)
        root.insertBefore(element, next((e for e in children(root) if e.localName in _BEHIND_NOTES), None))


def _widths(frame: Any) -> list[float]:
    """The widths of the first hundred columns, in characters."""
    widths = [9.0] * 100
    for e in elements(frame, "col"):
        width = 0.0 if e.getAttribute("hidden") in ("1", "true") else float(e.getAttribute("width") or 9)
        for column in range(int(e.getAttribute("min")), min(int(e.getAttribute("max")), 100) + 1):
            widths[column - 1] = width
    return widths


def _note_place(shape: bytes) -> tuple[int, int] | None:
    """The column and row that a note belongs to; None where the shape is no note."""
    if b'ObjectType="Note"' not in shape:
        return None
    place = {name: int(number) + 1 for name, number in _NOTE_PLACE.findall(shape)}
    return place.get(b"Column", 0), place.get(b"Row", 0)


def keep_notes_only(book: Package, part: str) -> None:
    """Without the buttons, which would call programs that stay behind."""
    path = book.target(part, "vmlDrawing")
    if path:
        book.parts[path] = _SHAPE.sub(lambda m: m[0] if _note_place(m[0]) else b"", book.parts[path])
