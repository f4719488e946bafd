"""The page is one file without scripts, and shows names from outside as text."""

from __future__ import annotations

from html.parser import HTMLParser

from tests.scores import scores
from tests.skeletons import config
from vigil.evaluation import majority, report
from vigil.page import page

EVIL = '<script>alert("1")</script>'
CONFIG = config().model_copy(update={"classes": ("normal", EVIL, "a&b")})


class Reader(HTMLParser):
    """Collects tags, addresses and text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href"}]

    def handle_data(self, data: str) -> None:
        self.text += data


def read(known: bool = True) -> Reader:
    s = scores(skill=0.7)
    parts = {"train": scores(30), "val": scores(20)} if known else {}
    summary = report(EVIL, "test", s, {"majority": majority([0, 1, 2], 60, 3)}, parts, CONFIG)
    reader = Reader()
    strips = ["data:image/png;base64,AAAA"] * len(summary["mistakes"])
    reader.feed(page(summary, {"roc": "data:image/svg+xml;base64,AAAA"}, strips))
    return reader


def test_names_from_outside_are_text() -> None:
    found = read()
    assert "script" not in found.tags
    assert EVIL in found.text
    assert "a&b" in found.text


def test_nothing_is_loaded_from_elsewhere() -> None:
    found = read()
    assert len(found.addresses) == 1 + 20
    assert all(address.startswith("data:image/") for address in found.addresses)


def test_it_tells_what_training_saw_from_what_it_did_not() -> None:
    text = read().text
    for part in ("Over-fitting", "learned from these clips", "never seen in training", "hall0"):
        assert part in text
    assert "Over-fitting" not in read(known=False).text
