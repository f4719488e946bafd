"""The end of `make demo`: serve, ask over HTTP and gRPC, benchmark, show, and sum up."""

from __future__ import annotations

import argparse
import json

from vigil.benchmark.recognizer import benchmark_recognizer, line
from vigil.benchmark.report import write
from vigil.command import run
from vigil.config import Config
from vigil.demo.summary import summarize
from vigil.demo.tour import show
from vigil.items import file_hash
from vigil.paths import Paths
from vigil.schema import write_json, write_text
from vigil.serving.behaviour.trial import models_of, watch
from vigil.serving.server import EmbeddedTriton
from vigil.serving.trial import ask


def main(config: Config, paths: Paths, _: argparse.Namespace) -> None:
    """Ask the served recognizer about the test clips; benchmark and show what is new."""
    params = config.benchmark.for_demo()
    model, folder = params.model, paths.reports / "demo"
    print(f"demo: starting Triton with {model} on loopback", flush=True)
    behaviours = [name for name in config.behaviours if model in models_of(name, paths)][:1]
    models = {model, *(one for name in behaviours for one in models_of(name, paths))}
    with EmbeddedTriton(
        paths.triton_repo, sorted(models), startup_timeout_s=config.serve.startup_timeout_s
    ) as server:
        answers = ask(config, paths, model, {"http": server.http_url, "grpc": server.grpc_url})
        for name in behaviours:
            watched = watch(config, paths, name, server.grpc_url, answers)
            print(f"demo: {name}: {watched}", flush=True)
    print(f"demo: {len(answers.truth)} test clips asked over HTTP and gRPC; Triton stopped")
    state = folder / "state.json"
    key = {
        "model": file_hash(paths.onnx(model)),
        "benchmark": params.model_dump(mode="json"),
        "code": 1,
    }
    current = state.exists() and json.loads(state.read_text("utf-8")) == key
    if not current or not (paths.reports / "benchmark.json").exists():
        report = benchmark_recognizer(
            config, paths, params, lambda row: print(line(row), flush=True)
        )
        write(paths.reports, report)
        print(report.verdict())
        report.check()
    videos = sorted(folder.glob("*.mp4")) if current else show(config, paths, answers, folder)
    write_json(state, key)
    text = summarize(config, paths, model, answers, videos)
    write_text(folder / "summary.txt", text + "\n")
    print(text)


if __name__ == "__main__":
    run(main, __doc__)
