"""Parts of pages that are drawn as HTML; everything in them is escaped here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import streamlit as st

from vigil.labels.agreement import Estimate

_STYLE = """<style>
.vg { font-size: .93rem; }
.vg table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
.vg th, .vg td { text-align: right; padding: .32rem .6rem; white-space: nowrap;
  border-bottom: 1px solid rgba(128, 136, 148, .22); }
.vg th { font-weight: 500; opacity: .7; }
.vg th:first-child, .vg td:first-child { text-align: left; padding-left: 0; }
.vg td:first-child { white-space: normal; overflow-wrap: anywhere; }
.vg .text th, .vg .text td { text-align: left; }
.vg .text td { white-space: normal; overflow-wrap: anywhere; vertical-align: top; }
.vg .text td:first-child { min-width: 10.5rem; }
.vg .bars { display: grid; grid-template-columns: minmax(4rem, max-content) 1fr max-content;
  gap: .45rem .8rem; align-items: center; }
.vg .bar { height: .75rem; border-radius: .25rem; background: rgba(128, 136, 148, .18); }
.vg .bar i { display: block; height: 100%; border-radius: .25rem; }
.vg .n { text-align: right; font-variant-numeric: tabular-nums; opacity: .8; }
</style>"""


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], empty: str, text: bool = False
) -> None:
    """Show a table of plain text.

    Args:
        header: of its columns.
        rows: its cells.
        empty: what is said where there are no rows.
        text: cells are words of any length, not figures.
    """
    if not rows:
        st.caption(empty)
        return

    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    kind = "text" if text else "figures"
    st.html(
        f'{_STYLE}<div class="vg"><table class="{kind}">{line(header, "th")}{body}</table></div>'
    )


def bars(counts: Mapping[str, int], colors: Mapping[str, str]) -> None:
    """Show how many there are of each, as bars with their counts and shares.

    Args:
        counts: by name.
        colors: `#rrggbb` by name; gray for others.
    """
    total, most = sum(counts.values()), max(counts.values(), default=0)
    parts = [
        f"<span>{escape(name)}</span>"
        f'<span class="bar"><i style="width:{100 * count / most if most else 0:.1f}%;'
        f'background:{colors.get(name, "#8a93a0")}"></i></span>'
        f'<span class="n">{count} · {100 * count / total if total else 0:.0f} %</span>'
        for name, count in counts.items()
    ]
    st.html(f'{_STYLE}<div class="vg"><div class="bars">{"".join(parts)}</div></div>')


def estimate(value: Estimate) -> str:
    """Return a figure as `0.71 [0.60, 0.80], n = 40`; a dash where it is not defined."""
    if value.value is None:
        return f"–, n = {value.n}"
    interval = "" if value.low is None or value.high is None else (
        f" [{value.low:.2f}, {value.high:.2f}]"
    )  # fmt: skip
    return f"{value.value:.2f}{interval}, n = {value.n}"


def hours(value: float | None) -> str:
    """Return a time in words; a dash where it is not known."""
    if value is None:
        return "–"
    if value < 1:
        return f"{round(60 * value)} min"
    return f"{value:.1f} h" if value < 24 else f"{value / 24:.1f} days"
