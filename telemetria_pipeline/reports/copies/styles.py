"""The styles of a sender's workbook, with looks added to them."""

from typing import Any

from telemetria_pipeline.contracts.boletim_problems import Severity
from telemetria_pipeline.reports.copies.package import MAIN, children, elements, new, only
from telemetria_pipeline.reports.workbook import RED, YELLOW

# Excel's own colours for bad and neutral cells; the font's last digit is ours alone.
MARKS: dict[Severity, tuple[str, str]] = {"erro": (RED, "#9C0007"), "aviso": (YELLOW, "#9C5701")}
"""Fill and font of a mark."""

_ARGB = {severity: tuple(f"FF{colour[1:]}" for colour in look) for severity, look in MARKS.items()}


class Styles:
    """The styles of the sender's workbook, and looks that are added to them.

    `stale` holds the formats that mark cells since an earlier answer.
    """

    def __init__(self, tree: Any) -> None:
        self.tree = tree
        self._parents = {name: only(tree, name) for name in ("fonts", "fills", "borders", "cellXfs")}
        self._lists = {name: children(parent) for name, parent in self._parents.items()}
        self._made: dict[tuple[object, ...], int] = {}
        self.stale = frozenset(i for i, xf in enumerate(self._lists["cellXfs"]) if self._marks(xf))

    def _marks(self, xf: Any) -> bool:
        kinds = (("fills", "fillId", "fgColor"), ("fonts", "fontId", "color"))
        look = tuple(
            next((e.getAttribute("rgb").upper() for e in elements(self._part(name, xf, key), colour)), "")
            for name, key, colour in kinds
        )
        return look in _ARGB.values()

    def _part(self, name: str, xf: Any, key: str) -> Any:
        return self._lists[name][int(xf.getAttribute(key) or 0)]

    def _append(self, name: str, element: Any) -> int:
        element.setAttribute("xmlns", MAIN)
        self._parents[name].appendChild(element)
        self._lists[name].append(element)
        self._parents[name].setAttribute("count", str(len(self._lists[name])))
        return len(self._lists[name]) - 1

    def marked(self, style: int, severity: Severity) -> int:
        """The format in the colours of a mark."""
        return self._once(("marked", style, severity), lambda: self._mark(style, severity))

    def _mark(self, style: int, severity: Severity) -> int:
        fill, colour = _ARGB[severity]
        xf = self._lists["cellXfs"][style]
        font_id = xf.getAttribute("fontId") or "0"
        font = self._once(("font", font_id, colour), lambda: self._coloured_font(int(font_id), colour))
        return self._variant(style, self._once(("fill", fill), lambda: self._fill(fill)), font)

    def unmarked(self, style: int, beside: int) -> int:
        """The format of a mark with the fill and the font of another cell of its row, as good as we know."""
        xf = self._lists["cellXfs"][beside]
        fill, font = (int(xf.getAttribute(key) or 0) for key in ("fillId", "fontId"))
        return self._once(("unmarked", style, fill, font), lambda: self._variant(style, fill, font))

    def _once(self, key: tuple[object, ...], make: Any) -> int:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def _variant(self, style: int, fill: int, font: int) -> int:
        xf = self._lists["cellXfs"][style].cloneNode(True)
        changes = {"fillId": fill, "fontId": font, "applyFill": 1, "applyFont": 1}
        for attribute, value in changes.items():
            xf.setAttribute(attribute, str(value))
        return self._append("cellXfs", xf)

    def _fill(self, colour: str) -> int:
        fill, pattern, front = (new(self.tree.documentElement, n) for n in ("fill", "patternFill", "fgColor"))
        pattern.setAttribute("patternType", "solid")
        front.setAttribute("rgb", colour)
        pattern.appendChild(front)
        fill.appendChild(pattern)
        return self._append("fills", fill)

    def _coloured_font(self, number: int, colour: str) -> int:
        font = self._lists["fonts"][number].cloneNode(True)
        coloured = new(font, "color")
        coloured.setAttribute("rgb", colour)
        for old in elements(font, "color"):
            font.removeChild(old)
        behind = [e for e in children(font) if e.localName in ("name", "family", "charset", "scheme")]
        font.insertBefore(coloured, behind[0] if behind else None)
        return self._append("fonts", font)

    def graft(self, other: Any) -> int:
        """Take in all formats of a workbook by XlsxWriter; what is to be added to their numbers."""
        formats = self._graft_number_formats(other)
        moved = {}
        for name, key in (("fonts", "fontId"), ("fills", "fillId"), ("borders", "borderId")):
            moved[key] = len(self._lists[name])
            for element in children(only(other, name)):
                self._append(name, self.tree.importNode(element, True))
        offset = len(self._lists["cellXfs"])
        for element in children(only(other, "cellXfs")):
            xf = self.tree.importNode(element, True)
            for key, by in moved.items():
                xf.setAttribute(key, str(int(xf.getAttribute(key)) + by))
            xf.setAttribute("numFmtId", formats.get(xf.getAttribute("numFmtId"), xf.getAttribute("numFmtId")))
            xf.removeAttribute("xfId")
            self._append("cellXfs", xf)
        return offset

    def _graft_number_formats(self, other: Any) -> dict[str, str]:
        root = self.tree.documentElement
        parents = elements(root, "numFmts")
        if not parents:
            parents = [root.insertBefore(new(root, "numFmts"), children(root)[0])]
        highest = max([163, *(int(e.getAttribute("numFmtId")) for e in elements(parents[0], "numFmt"))])
        moved = {}
        for number, element in enumerate(elements(other, "numFmt"), start=highest + 1):
            copy = self.tree.importNode(element, True)
            copy.setAttribute("xmlns", MAIN)
            copy.setAttribute("numFmtId", str(number))
            parents[0].appendChild(copy)
            moved[element.getAttribute("numFmtId")] = str(number)
        parents[0].setAttribute("count", str(len(children(parents[0]))))
        if not children(parents[0]):
            root.removeChild(parents[0])
        return moved
