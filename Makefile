# Nothing but Python 3.11 or newer and make: each target makes or reuses .venv, and a second call needs no network.
# TORCH=cpu installs torch without CUDA; PYTHON=/path/to/python chooses the interpreter.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11 python; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$name; break; }; done)
BENCHES := $(filter-out __init__ course ratio families,$(patsubst bench/%.py,%,$(sort $(wildcard bench/*.py))))
STAMP := $(shell cat pyproject.toml constraints.txt | cksum | tr ' ' -)

.PHONY: help demo test faults bench check fix docs setup-demo setup-dev setup-bench

help:
	@echo "make demo    install, then train a small model and let it write (lilliput tour)"
	@echo "make test    install, then run the default tests"
	@echo "make faults  hundreds of kills and every durable call, about an hour"
	@echo "make bench   speed and memory beside others, as ratios, about an hour; wants an otherwise idle machine"
	@echo "make check   lint, format and types"
	@echo "make fix     repair what the linter can"
	@echo "make docs    write the generated pages anew"

demo: setup-demo
	$(BIN)/lilliput tour

test: setup-dev
	$(BIN)/python -m pytest -n 2

faults: setup-dev
	$(BIN)/python -m pytest -n 2 -m "not gpu and not browser and not network" --promises tests/faults

bench: setup-bench
	@missed=; for name in $(BENCHES); do echo "== $$name"; $(BIN)/python -m bench.$$name || missed="$$missed $$name"; done; \
	test -z "$$missed" || { echo "missed a limit or failed:$$missed" >&2; exit 1; }

check: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fix: setup-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup-dev
	$(BIN)/python docs/generate.py

# The stamp holds what was installed from which pyproject.toml and constraints.txt; a `dev` one serves the demo too, a `bench` one both.
setup-demo:
	@grep -qs "^$(STAMP) " $(VENV)/installed || $(MAKE) --no-print-directory install KIND=demo EXTRAS=

setup-dev:
	@grep -qs "^$(STAMP) \(dev\|bench\)$$" $(VENV)/installed || $(MAKE) --no-print-directory install KIND=dev EXTRAS='[dev]'

setup-bench:
	@grep -qs "^$(STAMP) bench$$" $(VENV)/installed || $(MAKE) --no-print-directory install KIND=bench EXTRAS='[dev,bench]'

.PHONY: install
install:
	@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "error: Python 3.11 or newer is needed" >&2; \
		echo "hint: install one, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "installing into $(VENV): a download of about 230 MB with torch for the CPU;"
	@echo "on Linux torch's usual build adds gigabytes of CUDA, which 'make TORCH=cpu' leaves out"
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
ifdef TORCH
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --python $(BIN)/python --torch-backend=$(TORCH) --constraint constraints.txt --editable '.$(EXTRAS)'
else
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.$(EXTRAS)'
endif
	@echo "$(STAMP) $(KIND)" > $(VENV)/installed
