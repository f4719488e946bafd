"""XML from outside: no document type, so no entity and no file of ours can get in; with lines."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from vigil.errors import InputError
from vigil.labels.formats.reading import text_of

_MAX_DEPTH = 32
_NOT_XML = re.compile("[^\t\n\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass
class Element:
    """One element of a document.

    Attributes:
        tag: its name.
        attributes: by name.
        line: where it begins.
        text: what it holds before its first child and between them.
        children: in order.
    """

    tag: str
    attributes: dict[str, str]
    line: int
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def all(self, tag: str) -> list[Element]:
        """Return the children called `tag`."""
        return [child for child in self.children if child.tag == tag]

    def find(self, *path: str) -> str:
        """Return the text at the end of a path of children; empty where there is none."""
        here = self
        for tag in path:
            found = here.all(tag)
            if not found:
                return ""
            here = found[0]
        return here.text


def parse(path: Path) -> Element:
    """Read a document.

    Raises:
        InputError: unreadable, no well-formed XML, nested too deep, or with a document type.
    """
    text = text_of(path)
    parser = expat.ParserCreate()
    root = Element("", {}, 0)
    open_elements = [root]

    def where() -> str:
        return f"{path}: line {parser.CurrentLineNumber}"

    def begin(tag: str, attributes: dict[str, str]) -> None:
        if len(open_elements) > _MAX_DEPTH:
            raise InputError(f"{where()}: expected at most {_MAX_DEPTH} elements within another")
        element = Element(tag, attributes, parser.CurrentLineNumber)
        open_elements[-1].children.append(element)
        open_elements.append(element)

    def end(_: str) -> None:
        open_elements.pop()

    def characters(data: str) -> None:
        open_elements[-1].text += data

    def doctype(*_: object) -> None:
        raise InputError(f"{where()}: expected XML without a document type, got <!DOCTYPE")

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = characters, doctype
    parser.buffer_text = True
    try:
        parser.Parse(text.encode("utf-8"), True)
    except expat.ExpatError as error:
        reason = expat.errors.messages[error.code]
        raise InputError(f"{path}: line {error.lineno}: expected XML, got {reason}") from error
    return root.children[0]


def plain(text: str, where: str) -> str:
    """Return `text` if XML can hold it, else raise: it has no control characters."""
    found = _NOT_XML.search(text)
    if found:
        raise InputError(f"{where}: expected text without control characters, got {text!r}")
    return text
