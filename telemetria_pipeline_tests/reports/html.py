"""Pages read back strictly: well formed, and alone."""

import re
import xml.etree.ElementTree as ET

_REFERRING = ("src", "href", "action", "data", "background", "poster", "srcset")


def parsed(page: str) -> ET.Element:
    """The page's tree; raises where a tag is left open or a quote is not escaped."""
    return ET.fromstring(re.sub(r"^<!DOCTYPE html>\s*", "", page))


def text_of(page: str) -> str:
    """What a reader sees, spaces as one."""
    body = parsed(page).find("body")
    return " ".join(" ".join(body.itertext()).split())


def assert_alone(page: str) -> None:
    """No script, and nothing that would be fetched."""
    tree = parsed(page)
    tags = {element.tag.rpartition("}")[2] for element in tree.iter()}
    assert not tags & {"script", "link", "iframe", "object", "embed", "form", "base"}
    for element in tree.iter():
        for name, value in element.attrib.items():
            assert not name.startswith("on")
            if name.rpartition("}")[2] in _REFERRING:
                assert value.startswith("data:image/"), value[:80]
    style = tree.find("head/style").text
    assert "url(" not in style
    assert "@import" not in style
