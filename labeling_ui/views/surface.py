"""The labeling surface in a page: what it needs to know before it talks to the API by itself."""

from __future__ import annotations

from typing import Any, Literal

from labeling_ui.classes import label_classes
from labeling_ui.components import component
from labeling_ui.service import running

Mode = Literal["video", "queue", "review"]


def surface(mode: Mode, title: str, video: str = "", clip: str = "") -> bool:
    """Show clips to label.

    Args:
        mode: one video's clips, the clips dealt to this person, or disputed ones.
        title: above them.
        video: key of the video.
        clip: key of the clip to begin with.

    Returns:
        Whether the last of them has just been labeled.
    """
    settings = running().store.settings()
    data: dict[str, Any] = {
        "mode": mode,
        "title": title,
        "video": video,
        "clip": clip,
        "classes": [one.as_dict() for one in label_classes(running().config.classes, settings)],
        "reasons": list(settings.skip_reasons),
        "silhouetteFirst": settings.silhouette_first,
        "acceptAbove": settings.accept_above,
        "pageSize": settings.page_size,
    }
    mounted = component("label")(
        key=f"surface-{mode}-{video}", data=data, on_finished_change=_nothing
    )
    return bool(mounted.finished)


def _nothing() -> None:
    """Streamlit reports an end only where something listens."""
