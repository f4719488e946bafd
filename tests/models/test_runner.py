"""What the parameters ask for reaches mmengine."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.skeletons import config
from vigil import compat, training

compat.apply()

import torch  # noqa: E402  after the bridges
from mmengine.config import Config as RunnerConfig  # noqa: E402
from mmengine.optim import AmpOptimWrapper, OptimWrapper, build_optim_wrapper  # noqa: E402
from mmengine.runner import Runner  # noqa: E402

from vigil.models import loop_hooks, training_hooks  # noqa: E402, F401  classes are registered
from vigil.models.checkpoints import AtomicBackend, latest  # noqa: E402
from vigil.models.losses import ClassificationLoss  # noqa: E402
from vigil.models.runner import Job, runner_config  # noqa: E402
from vigil.training import train  # noqa: E402


@pytest.fixture(autouse=True)
def closed_logs() -> Iterator[None]:
    yield
    from mmengine.logging import MMLogger

    for logger in MMLogger._instance_dict.values():
        for handler in list(logger.handlers):
            handler.close()
            logger.removeHandler(handler)


def job(annotations: Path, run: Path, cuda: bool = False, **params: Any) -> Job:
    labels = [0] * 9 + [1] * 3
    return Job("protogcn", config(**params), annotations, run, None, labels, True, cuda=cuda)


def test_mixed_precision_is_asked_of_mmengine_on_cuda_only(
    annotations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = runner_config(job(annotations, tmp_path, cuda=True, amp=True))["optim_wrapper"]
    monkeypatch.setattr("mmengine.optim.optimizer.amp_optimizer_wrapper.is_cuda_available",
                        lambda: True)  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the scaler says that it is old, and that CUDA is not here
        wrapper = build_optim_wrapper(torch.nn.Linear(2, 2), found)
    assert isinstance(wrapper, AmpOptimWrapper)
    assert wrapper.clip_grad_kwargs == {"max_norm": 10.0}
    for plain in (job(annotations, tmp_path, amp=True), job(annotations, tmp_path, cuda=True)):
        wrapper = build_optim_wrapper(torch.nn.Linear(2, 2), runner_config(plain)["optim_wrapper"])
        assert type(wrapper) is OptimWrapper


def test_mmengine_is_not_asked_to_compile(annotations: Path, tmp_path: Path) -> None:
    """It would compile `train_step`, which fails in its own mixed precision."""
    assert "compile" not in runner_config(job(annotations, tmp_path, cuda=True, compile=True))


@pytest.mark.parametrize(("cuda", "wanted"), [(True, True), (True, False), (False, True)])
def test_the_backbone_is_compiled_where_it_is_asked_for_and_cuda_trains(
    annotations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuda: bool, wanted: bool
) -> None:
    """A job that takes this machine for one with CUDA; what is compiled is only noted."""
    made, compiled = training._job, []

    def with_cuda(*args: Any) -> Any:
        found, *rows = made(*args)
        return replace(found, cuda=cuda), *rows

    monkeypatch.setattr(training, "_job", with_cuda)
    monkeypatch.setattr(training, "compile_backbone", compiled.append)
    train("protogcn", config(epochs=1, compile=wanted), annotations, tmp_path / "model",
          tmp_path / "work")  # fmt: skip
    assert len(compiled) == int(cuda and wanted)
    assert all(type(model).__name__ == "SkeletonRecognizer" for model in compiled)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_mixed_precision_trains_on_cuda(annotations: Path, tmp_path: Path) -> None:
    train("protogcn", config(epochs=1, amp=True), annotations, tmp_path / "model",
          tmp_path / "work")  # fmt: skip
    assert (tmp_path / "model/model.safetensors").is_file()


@pytest.mark.parametrize("wanted", ["amp", "compile"])
def test_without_cuda_one_line_says_that_they_are_left_out(
    annotations: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, wanted: str
) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    with caplog.at_level(logging.WARNING, "vigil.training"):
        train("protogcn", config(epochs=1, **{wanted: True}), annotations, tmp_path / "model",
              tmp_path / "work")  # fmt: skip
    said = [r.getMessage() for r in caplog.records if r.name == "vigil.training"]
    assert said == ["train: amp and compile need CUDA; training in float32, not compiled"]
    assert (tmp_path / "model/model.safetensors").is_file()


def test_the_loss_asked_for_is_the_heads(annotations: Path, tmp_path: Path) -> None:
    loss = {"weights": "effective", "beta": 0.9, "focal_gamma": 1.5}
    runner = Runner.from_cfg(RunnerConfig(runner_config(job(annotations, tmp_path, loss=loss))))
    found = runner.model.cls_head.loss_cls
    assert isinstance(found, ClassificationLoss)
    assert found.focal_gamma == 1.5
    assert found.class_weight.tolist() == pytest.approx([0.6134, 1.3866], abs=1e-4)


def test_two_trainings_share_no_history(annotations: Path, tmp_path: Path) -> None:
    """One name has one message hub in mmengine; a best score must not pass to the next training."""
    first, second = (
        Runner.from_cfg(RunnerConfig(runner_config(job(annotations, tmp_path)))) for _ in range(2)
    )
    assert first.message_hub is not second.message_hub


def test_a_checkpoint_half_written_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = AtomicBackend()
    assert latest(tmp_path) is None
    for epoch in (2, 9, 10):
        backend.put(b"whole", str(tmp_path / f"epoch_{epoch}.pth"))

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", killed)
    with pytest.raises(KeyboardInterrupt):
        backend.put(b"whole", str(tmp_path / "epoch_11.pth"))
    assert latest(tmp_path) == tmp_path / "epoch_10.pth"
    assert not list(tmp_path.glob("*11*"))
