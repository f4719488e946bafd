# `make help` lists every target. GPU=1 installs the CUDA build of ONNX Runtime.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3.11
GPU ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
ENGINE := $(if $(GPU),gpu,cpu)
READY := $(VENV)/.ready-$(ENGINE)
LOCK := requirements/constraints.txt requirements/no-deps.txt pyproject.toml
PARAMS ?= params.yaml
MODEL ?= protogcn
# Three, where two cores are: tests also wait. In order: xdist would begin the longest files last.
PYTEST := OMP_NUM_THREADS=1 python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYTHONUNBUFFERED := 1
export DVC_NO_ANALYTICS := 1
export YOLO_OFFLINE := true
export YOLO_AUTOINSTALL := false
export YOLO_CONFIG_DIR := $(CURDIR)/.vigil/ultralytics
export MPLCONFIGDIR := $(CURDIR)/.vigil/matplotlib
export RAY_USAGE_STATS_ENABLED := 0

.PHONY: help setup demo test check label bench-label serve bench bench-protogcn tune real study study-clip public demo-weights clean bench-paper bench-trust tune-serving verify soak drift

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

setup: $(READY) ## Make .venv with the pinned dependencies (GPU=1: CUDA build of ONNX Runtime)

$(READY): $(LOCK)
	@echo "setup: installing into $(VENV) (a few minutes the first time)"
	@requirements/system.sh
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install -q setuptools==80.9.0 wheel -c requirements/constraints.txt
	@$(PIP) install -q -e '.[$(ENGINE),label,train,dev]' -c requirements/constraints.txt
	@SAM2_BUILD_CUDA=0 $(PIP) install -q --no-deps --no-build-isolation -r requirements/no-deps.txt
	@rm -f $(VENV)/.ready-* && touch $@
	@echo "setup: done"

demo: $(READY) ## From synthetic footage to a served, measured recognizer, end to end
	@dvc repro
	@python -m stages.demo

test: $(READY) ## Run the whole test suite
	@requirements/system.sh --browser || echo "test: no Chromium: the browser's tests are skipped"
	@requirements/system.sh --proxy || echo "test: no HAProxy: the proxy's tests are skipped"
	@requirements/system.sh --wrk || echo "test: no wrk: the comparison of load generators is skipped"
	@requirements/system.sh --promtool || echo "test: no Prometheus: the alerts' tests are skipped"
	@$(PYTEST)

check: $(READY) ## Format, lint, types and the fast tests
	@ruff format --check vigil stages labeling_ui tests
	@ruff check vigil stages labeling_ui tests
	@mypy
	@$(PYTEST) -q -m "not slow"

label: $(READY) ## Label clips in the browser, on loopback until Ctrl-C
	@python -m stages.label --params $(PARAMS)

bench-label: $(READY) ## Measure the labeling UI with 5,000 clips and 8 annotators at once
	@OMP_NUM_THREADS=1 python -m stages.bench_label --params $(PARAMS)

serve: $(READY) ## Serve triton_repo on loopback until Ctrl-C
	@python -m stages.serve --params $(PARAMS)

verify: $(READY) ## Judge the exported MODEL (protogcn) against the served one: ship or don't
	@python -m stages.verify --params $(PARAMS) --model $(MODEL)

drift: $(READY) ## Hold what is served against the training: report, metrics, what to label
	@python -m stages.drift --params $(PARAMS)

soak: $(READY) ## Load the served MODEL for 20 minutes, with bad requests and reloads
	@python -m stages.soak --params $(PARAMS) --model $(MODEL)

bench-protogcn: $(READY) ## Measure ProtoGCN against its plain form, training step and ONNX latency
	@OMP_NUM_THREADS=1 python -m stages.bench_protogcn --params $(PARAMS)

bench: $(READY) ## Measure throughput and latency of the recognizer, served and not
	@python -m stages.benchmark --params $(PARAMS)

bench-paper: $(READY) ## Print the paper's throughput table beside ours, at its network's size
	@python -m stages.bench_paper --params $(PARAMS)

bench-trust: $(READY) ## Hold the benchmark's client beside wrk and PERF_ANALYZER=<wheel or program>
	@python -m stages.bench trust --params $(PARAMS) --concurrency 1 4 16 \
	    $(if $(PERF_ANALYZER),--perf-analyzer $(PERF_ANALYZER))
tune-serving: $(READY) ## Choose instances, threads and batch of served MODEL on this machine
	@OMP_NUM_THREADS=1 python -m stages.tune_serving --params $(PARAMS) --model $(MODEL)

tune: $(READY) ## Search training parameters of MODEL (protogcn) on validation clips
	@python -m stages.tune --params $(PARAMS) --model $(MODEL)

real: $(READY) ## Run every stage on real CCTV footage (VIGIL_REAL=<folder>)
	@VIGIL_REAL="$${VIGIL_REAL:-../shared/real}" python -m stages.real --params params.real.yaml

study: $(READY) ## Compare recognizers and recipes on real skeletons (VIGIL_REAL=<folder>)
	@VIGIL_REAL="$${VIGIL_REAL:-../shared/real}" python -m stages.study --study studies/fights.yaml

study-clip: $(READY) ## Compare views, heads and crops of CLIP-GRU by frame AUC (after `make demo`)
	@python -m stages.study_clip --params $(PARAMS)

public: $(READY) ## Import a public skeleton file and train on it: FILE=, MODEL=, OPTIONS=
	@python -m stages.import_skeletons $(FILE) --params $(PARAMS) $(OPTIONS)
	@for stage in train evaluate export; do \
	    python -m stages.$$stage --params $(PARAMS) --model $(or $(MODEL),protogcn); done

demo-weights: $(READY) ## Train the demo's six small networks from nothing (hours on a CPU)
	@python -m stages.demo_weights

clean: ## Remove everything the stages made, but no footage, label or model you brought
	@rm -rf .vigil .real reports/stages reports/demo data/demo data/timelines data/tracks data/masks \
	    data/masked data/proxies data/skeletons data/embeddings data/dataset \
	    data/clips.parquet \
	    data/frame_scores data/suggestions.csv data/reference
