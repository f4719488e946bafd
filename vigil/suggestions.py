"""Pre-labels of clips for people who label: what CLIP, asked in words, makes of each."""

from __future__ import annotations

from collections.abc import Sequence

from vigil.config import Config
from vigil.errors import InputError
from vigil.paths import Paths
from vigil.schema import Clip, Embeddings, Suggestion, by_video
from vigil.zero_shot import ZeroShot, suggest


def suggest_all(
    clips: Sequence[Clip], asked: ZeroShot, config: Config, paths: Paths
) -> list[Suggestion]:
    """Suggest labels for clips; those of videos without embeddings are left out.

    Args:
        clips: of any videos.
        asked: the classes in words.
        config: the section `zero_shot`.
        paths: of the project.

    Returns:
        A suggestion per clip and view, clips in their order within a video.

    Raises:
        InputError: no clip with embeddings.
        ModelError: embeddings of another CLIP.
    """
    found = []
    for video_id, own in by_video(clips).items():
        file = paths.embeddings / f"{video_id}.parquet"
        if not file.is_file():
            continue
        table = Embeddings.read(file)
        for clip in own:
            for view in config.zero_shot.views:
                said = suggest(clip, table, asked, view, config.zero_shot.top_share)
                found.append(Suggestion(clip.clip_id, f"zero_shot_{view}", tuple(said.tolist())))
    if not found:
        raise InputError(f"suggest: {paths.embeddings}: expected embeddings of clips, got none")
    return found
