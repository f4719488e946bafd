"""Scores survive their file; a broken file is one clear line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.scores import scores
from vigil.errors import InputError
from vigil.evaluation.scores import read_scores, write_scores

NAMES = ("normal", "폭행, 싸움", 'a "b"')


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    s = scores(9)
    write_scores(tmp_path / "scores.csv", s, NAMES)
    found, classes = read_scores(tmp_path / "scores.csv")
    assert classes == NAMES
    np.testing.assert_allclose(found.probabilities, s.probabilities, rtol=1e-8)
    assert (found.labels == s.labels).all()
    assert (found.clips, found.videos, found.groups) == (s.clips, s.videos, s.groups)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clip_id,video_id,group,label,p_a\n", "at least one row"),
        ("clip_id,video_id,group,label,p_a\nx,v,g,b,1\n", "expected classes"),
        ("clip_id,video_id,group,label,p_a\nx,v,g,a,much\n", "expected classes"),
        ("clip_id,video_id,group,label,p_a\nx,v,g,a,nan\n", "sum to 1"),
        ("clip_id,video_id,group,label,p_a\nx,v,g,a,0.4\n", "sum to 1"),
        ("clip_id,label\nx,a\n", "video_id"),
    ],
)
def test_a_broken_file_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "scores.csv").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_scores(tmp_path / "scores.csv")
    assert "\n" not in str(caught.value)
