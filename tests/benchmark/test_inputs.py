"""Inputs of any model: files, random rows, batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vigil.benchmark.inputs import from_files, joined, random_rows
from vigil.benchmark.served import parse_shapes
from vigil.benchmark.systems import difference
from vigil.errors import InputError
from vigil.session import TensorSpec

X = TensorSpec("x", np.dtype("float32"), (None, 3))
FRAMES = TensorSpec("frames", np.dtype("uint8"), (None, None, 8, 3))
TEXT = TensorSpec("text", np.dtype("object"), (None, 1))


def save(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)
    return path


def test_every_row_of_a_file_is_a_request_with_its_right_answer(tmp_path: Path) -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    rows, golden = from_files(save(tmp_path / "a.npz", x=x, y=x[:, :1] * 2), "m", [X], True)
    assert [row["x"].tolist() for row in rows] == [[[0, 1, 2]], [[3, 4, 5]]]
    assert [right["y"].tolist() for right in golden] == [[[0]], [[6]]]


def test_a_folder_of_whole_requests_is_taken_in_order(tmp_path: Path) -> None:
    for name, count in (("b.npz", 5), ("a.npz", 2)):
        save(tmp_path / name, frames=np.zeros((1, count, 8, 3), np.uint8))
    rows, golden = from_files(tmp_path, "m", [FRAMES], False)
    assert [row["frames"].shape[1] for row in rows] == [2, 5]
    assert golden == []


def test_text_is_read_as_triton_takes_it(tmp_path: Path) -> None:
    rows, _ = from_files(save(tmp_path / "a.npz", text=np.array([["é"], ["b"]])), "m", [TEXT], True)
    assert rows[0]["text"].dtype == object
    assert rows[0]["text"].tolist() == [["é"]]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"x": np.zeros((2, 4), np.float32)},
            r"expected x float32 \(\*, 3\), got float32 \(2, 4\)",
        ),
        ({"x": np.zeros((2, 3))}, "got float64"),
        ({"z": np.zeros(3)}, r"expected inputs \['x'\]"),
        ({"x": np.zeros((2, 3), np.float32), "y": np.zeros(3)}, "expected 2 rows in every array"),
        ({"x": np.array([None], object)}, r"expected an \.npz"),
    ],
)
def test_a_file_of_the_wrong_shape_is_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        from_files(save(tmp_path / "a.npz", **arrays), "m", [X], True)


def test_what_is_no_file_of_arrays_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_text("no zip")
    for path in (tmp_path / "a.npz", tmp_path / "none.npz"):
        with pytest.raises(InputError, match=r"expected an \.npz"):
            from_files(path, "m", [X], True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"expected \.npz files"):
        from_files(tmp_path / "empty", "m", [X], True)


def test_random_rows_follow_shape_and_seed() -> None:
    rows = random_rows("m", [X, FRAMES], 2, 0, {"frames": (1, 4, 8, 3)})
    assert rows[0]["x"].shape == (1, 3)
    assert rows[1]["frames"].shape == (1, 4, 8, 3)
    assert rows[0]["frames"].dtype == np.uint8
    again = random_rows("m", [X, FRAMES], 2, 0, {"frames": (1, 4, 8, 3)})
    assert np.array_equal(rows[1]["x"], again[1]["x"])
    with pytest.raises(InputError, match="--shape frames"):
        random_rows("m", [FRAMES], 1, 0)
    with pytest.raises(InputError, match="--input"):
        random_rows("m", [TEXT], 1, 0)


def test_batches_go_round() -> None:
    rows = [{"x": np.array([[float(i)]])} for i in range(3)]
    assert [batch["x"].ravel().tolist() for batch in joined(rows, 2)] == [[0, 1], [1, 2], [2, 0]]


def test_shapes_are_read_from_the_command_line() -> None:
    assert parse_shapes(["a:1,2", "b:c:3"]) == {"a": (1, 2), "b:c": (3,)}
    for text in ("a", "a:", "a:x", ":3", "a:0"):
        with pytest.raises(InputError, match="NAME:SIZE"):
            parse_shapes([text])


def test_an_answer_differs_by_number_shape_text_or_absence() -> None:
    y = np.ones((1, 2), np.float32)
    assert difference({"y": y + 5e-5}, {"y": y}, 1e-4) == ""
    assert "difference of 0.5" in difference({"y": y + 0.5}, {"y": y}, 1e-4)
    assert "nan" in difference({"y": y * np.nan}, {"y": y}, 1e-4)
    assert "got none" in difference({}, {"y": y}, 1e-4)
    assert "shape" in difference({"y": y[:, :1]}, {"y": y}, 1e-4)
    text = np.array([b"a"], object)
    assert "text" in difference({"t": text}, {"t": np.array([b"b"], object)}, 1e-4)
