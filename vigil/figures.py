"""Figures without a display, in any script that an installed font can write."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vigil.schema import atomic

_FONTS = ("Noto Sans CJK KR", "Noto Sans KR", "NanumGothic", "Malgun Gothic", "AppleGothic",
          "Noto Sans CJK JP", "Baekmuk Gulim", "UnDotum")  # fmt: skip

Draw = Callable[[Any], None]


def save_png(path: Path, draw: Draw, size: tuple[float, float] = (5, 4.5), dpi: int = 120) -> None:
    """Draw a figure and write it as PNG, atomically.

    Args:
        path: where to write.
        draw: fills a matplotlib figure.
        size: width and height in inches.
        dpi: pixels per inch.
    """
    with atomic(path) as partial, _figure(draw, size, dpi) as figure:
        figure.savefig(partial, format="png", metadata={"Software": None})


def svg_uri(draw: Draw, size: tuple[float, float] = (5, 4.5)) -> str:
    """Draw a figure and return it as the `data:` address of an SVG with text as text."""
    text = io.StringIO()
    with _figure(draw, size, 72) as figure:
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    code = base64.b64encode(text.getvalue().encode()).decode()
    return f"data:image/svg+xml;base64,{code}"


@contextmanager
def _figure(draw: Draw, size: tuple[float, float], dpi: int) -> Iterator[Any]:
    """Yield a drawn figure; names are written as they are, never read as formulas."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    family = ["DejaVu Sans", *(name for name in _FONTS if name in installed)]
    rules: dict[Any, Any] = {
        "text.parse_math": False,
        "font.family": family,
        "svg.fonttype": "none",
        "svg.hashsalt": "vigil",
    }
    with mpl.rc_context(rules), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure = Figure(figsize=size, dpi=dpi, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        yield figure
