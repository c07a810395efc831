"""A sender's .xlsx as parts and relations, of which only what may go back to them is kept.

What is kept is what can be reached from the workbook by relations of known kinds. Programs (macros,
controls, embedded objects) and ways out of the file (links to other workbooks, DDE, connections, custom
XML) stay behind; a file with a relation that is of neither kind is not copied at all.
"""

import posixpath
import re
import zipfile
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from xml.dom import minidom
from xml.sax.saxutils import quoteattr

from telemetria_pipeline.core.sheets.text import LIMITS, column_number

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
SHEET_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.{}+xml"

_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_KEPT = re.compile(
    "officeDocument|core-properties|extended-properties|worksheet|chartsheet|styles|theme|sharedStrings|"
    "sheetMetadata|drawing|image|chart|chartEx|chartStyle|chartColorStyle|chartUserShapes|themeOverride|"
    "vmlDrawing|comments|table|pivotTable|pivotCacheDefinition|pivotCacheRecords|slicer|slicerCache|"
    "timeline|timelineCache|hyperlink|printerSettings"
)
# Threaded comments stay as the plain ones that Excel keeps beside them.
_LEFT_OUT = re.compile(
    "vbaProject|attachedToolbars|extensibility|externalLink|connections|xmlMaps|customXml|customProperty|"
    "custom-properties|control|ctrlProp|oleObject|package|calcChain|threadedComment|person|thumbnail|"
    "webextensiontaskpanes|origin|volatileDependencies|revisionHeaders|usernames|classificationlabels"
)
# A link to a file or a share opens it, and tells its server who clicked.
_HARMLESS_LINK = re.compile(r"https?://|mailto:|#", re.IGNORECASE)
_BREAK_IN_A_TAG = re.compile(rb"&#(?:10|[xX]0*[aA]);(?=[^<>]*>)")
_LARGEST_TREE = 8_000_000  # a tree takes some thirty times the bytes of its text


class CannotCopy(Exception):
    """This file cannot be handed back with changes; its answer is a workbook of our own."""


@dataclass
class Relation:
    """A relation of a part: `target` is another part, or a hyperlink's address."""

    id: str
    type: str
    target: str

    @property
    def kind(self) -> str:
        """The last word of its type: `worksheet`, `comments` …"""
        return self.type.rpartition("/")[2]


class Package:
    """The parts of an .xlsx that may go back to its sender.

    `parts` is path -> bytes, `types` path -> content type, `relations` path -> the relations of that part
    (`""` is the package itself). `left_out` holds the kinds of relations that were left behind.

    Raises:
        CannotCopy: the file holds what is not known to be harmless.
    """

    def __init__(self, data: bytes) -> None:
        self.parts: dict[str, bytes] = {}
        self.types: dict[str, str] = {}
        self.relations: dict[str, list[Relation]] = {}
        self.left_out: set[str] = set()
        with zipfile.ZipFile(BytesIO(data)) as archive:
            # What a member inflates to beyond its declared size is not read.
            if sum(member.file_size for member in archive.infolist()) > LIMITS.unzipped:
                raise CannotCopy("too large")
            self._walk(archive)
            self._read_types(archive)

    def _walk(self, archive: zipfile.ZipFile) -> None:
        paths = {name.lower(): name for name in archive.namelist()}
        waiting = [("", "officeDocument")]
        while waiting:
            part, part_kind = waiting.pop()
            folder, name = posixpath.split(part)
            kept = self.relations[part] = []
            path = paths.get(posixpath.join(folder, "_rels", f"{name}.rels").lower())
            for element in elements(parsed(archive.read(path)), "Relationship", "*") if path else ():
                relation = Relation(*(element.getAttribute(a) for a in ("Id", "Type", "Target")))
                # Elsewhere, what names the relation is not known, and would name nothing.
                if _LEFT_OUT.fullmatch(relation.kind) and part_kind in ("officeDocument", "worksheet"):
                    self.left_out.add(relation.kind)
                    continue
                if not _KEPT.fullmatch(relation.kind):
                    raise CannotCopy(f"a relation of kind {relation.kind}")
                if relation.kind == "hyperlink" and not _HARMLESS_LINK.match(relation.target):
                    raise CannotCopy("a link to a file")
                if relation.kind != "hyperlink":
                    at = posixpath.normpath(posixpath.join("/", folder, relation.target))
                    if at[1:].lower() not in paths:
                        raise CannotCopy("a part is elsewhere")
                    relation.target = paths[at[1:].lower()]
                    if relation.target not in self.parts:
                        self.parts[relation.target] = archive.read(relation.target)
                        waiting.append((relation.target, relation.kind))
                kept.append(relation)

    def _read_types(self, archive: zipfile.ZipFile) -> None:
        tree = parsed(archive.read("[Content_Types].xml"))
        types = {
            (e.getAttribute("PartName").removeprefix("/") or f".{e.getAttribute('Extension')}").lower(): (
                e.getAttribute("ContentType")
            )
            for name in ("Default", "Override")
            for e in elements(tree, name, "*")
        }
        for path in self.parts:
            extension = posixpath.splitext(path)[1].lower()
            self.types[path] = types.get(path.lower()) or types[extension]

    def target(self, part: str, kind: str) -> str | None:
        """The part that `part` has a relation of this kind to."""
        return next((r.target for r in self.relations[part] if r.kind == kind), None)

    def tree(self, path: str) -> Any:
        """The part as a document, to be changed and written back with `toxml`."""
        return parsed(self.parts[path])

    def add(self, source: str, kind: str, path: str, type_: str, data: bytes) -> str:
        """Add a part beside the others and a relation to it from `source`; returns the relation's id."""
        while path.lower() in {p.lower() for p in self.parts}:
            path = f"{posixpath.dirname(path)}/_{posixpath.basename(path)}"
        self.parts[path], self.types[path], self.relations[path] = data, type_, []
        taken = {relation.id for relation in self.relations[source]}
        number = next(n for n in range(1, len(taken) + 2) if f"rId{n}" not in taken)
        self.relations[source].append(Relation(f"rId{number}", f"{OFFICE}/{kind}", path))
        return f"rId{number}"

    def remove(self, source: str, path: str) -> None:
        """Remove a part, and the relation to it from `source`."""
        self.relations[source] = [r for r in self.relations[source] if r.target != path]
        del self.parts[path], self.types[path], self.relations[path]

    def save(self) -> bytes:
        """The .xlsx. What only a removed part led to stays in it, and nothing looks at it."""
        out = BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            defaults = "".join(
                f'<Default Extension="{extension}" ContentType="{type_}"/>'
                for extension, type_ in (
                    ("rels", "application/vnd.openxmlformats-package.relationships+xml"),
                    ("xml", "application/xml"),
                    ("vml", "application/vnd.openxmlformats-officedocument.vmlDrawing"),
                )
            )
            overrides = "".join(
                f"<Override PartName={quoteattr('/' + path)} ContentType={quoteattr(type_)}/>"
                for path, type_ in self.types.items()
            )
            archive.writestr("[Content_Types].xml", f'<Types xmlns="{_TYPES}">{defaults}{overrides}</Types>')
            for part, relations in self.relations.items():
                folder, name = posixpath.split(part)
                if relations:
                    archive.writestr(posixpath.join(folder, "_rels", f"{name}.rels"), _as_xml(relations))
            for path, data in self.parts.items():
                archive.writestr(path, data)
        return out.getvalue()


def _as_xml(relations: list[Relation]) -> str:
    said = "".join(
        f"<Relationship Id={quoteattr(r.id)} Type={quoteattr(r.type)} "
        + (
            f'Target={quoteattr(r.target)} TargetMode="External"/>'
            if r.kind == "hyperlink"
            else f"Target={quoteattr('/' + r.target)}/>"
        )
        for r in relations
    )
    return f'<Relationships xmlns="{_RELATIONS}">{said}</Relationships>'


def parsed(data: bytes) -> Any:
    """A document that keeps all that it does not know. Entities were refused before (`open_package`)."""
    if len(data) > _LARGEST_TREE or re.match(rb"<\?xml[^>]*encoding=.(?!utf-?8)", data, re.IGNORECASE):
        raise CannotCopy("a part that is too large, or not in UTF-8")
    # minidom writes a line break in an attribute as it is, which reads as a space; Excel knows this one.
    return minidom.parseString(_BREAK_IN_A_TAG.sub(b"_x000a_", data))  # noqa: S318, entities were refused


def elements(tree: Any, name: str, namespace: str = MAIN) -> list[Any]:
    """All elements of this name beneath the node."""
    return list(tree.getElementsByTagNameNS(namespace, name))


def only(tree: Any, name: str) -> Any:
    """The one element of this name."""
    found = elements(tree, name)
    if len(found) != 1:
        raise CannotCopy(f"{len(found)} elements {name}")
    return found[0]


def children(element: Any) -> list[Any]:
    """The elements right beneath this one."""
    return [node for node in element.childNodes if node.nodeType == node.ELEMENT_NODE]


def new(beside: Any, name: str) -> Any:
    """A new element; its namespace is its own, for the sender's may stand behind a prefix."""
    element = beside.ownerDocument.createElement(name)
    element.setAttribute("xmlns", MAIN)
    return element


def new_text(beside: Any, text: str) -> Any:
    """A new element `t` with this text, spaces and all."""
    element = new(beside, "t")
    element.setAttribute("xml:space", "preserve")
    element.appendChild(beside.ownerDocument.createTextNode(text))
    return element


def content(element: Any) -> str:
    """The text right beneath an element."""
    return "".join(node.data for node in element.childNodes if node.nodeType == node.TEXT_NODE)


def column_and_row(cell: str) -> tuple[int, int]:
    """The numbers of a cell's column and row."""
    letters = cell.rstrip("0123456789")
    return column_number(letters), int(cell.removeprefix(letters))
