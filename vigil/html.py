"""HTML pages for people: one file each, nothing loaded, no script, every name escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from string import Template
from typing import Any

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem;
  color: #1c1f24; background: #fff; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .8rem; border-bottom: 1px solid #d9dce1; text-align: right; }
th:first-child, td:first-child { text-align: left; }
div.words th, div.words td { text-align: left; vertical-align: top; }
small { color: #5d6470; }
.plots img { width: 24%; min-width: 15rem; }
.plots img:only-child { width: min(100%, 44rem); }
figure { margin: 0 0 1rem; }
figure img { max-width: 100%; }
</style>
</head>
<body>
<h1>$title</h1>
$body
</body>
</html>
""")


def document(title: str, parts: Sequence[str]) -> str:
    """Return a page.

    Args:
        title: plain text.
        parts: HTML of its sections; empty ones are left out.
    """
    return _PAGE.substitute(title=escape(title), body="\n".join(part for part in parts if part))


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; every cell is plain text and escaped here."""

    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "\n".join(line(row, "td") for row in rows)
    return f"<table>\n{line(header, 'th')}\n{body}\n</table>"


def interval(metrics: Mapping[str, Any], name: str, digits: int = 3) -> str:
    """Return a metric as `value [low, high]`; a dash where there is none."""
    if name not in metrics:
        return "–"
    value, low, high = (f"{metrics[name][key]:.{digits}f}" for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def pictures(addresses: Mapping[str, str]) -> str:
    """Return pictures side by side, by name and address."""
    images = "\n".join(
        f'<img alt="{escape(name)}" src="{escape(address)}">' for name, address in addresses.items()
    )
    return f'<div class="plots">\n{images}\n</div>'


def flat(value: Any) -> str:
    """Return a value as one line of plain text; a mapping as `key value, key value`."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {part}" for key, part in value.items())
    return str(value)


def made_on(environment: Mapping[str, Any]) -> str:
    """Return the section that names machine, versions and command; see `environment.describe`."""
    rows = [[name, flat(value)] for name, value in environment.items()]
    return "<h2>Made on</h2>\n" + table(["", ""], rows)
