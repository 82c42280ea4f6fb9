# `make demo` and `make test` set up what they need: a virtual environment and the install, once.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
QUICK := HYPOTHESIS_PROFILE=quick $(BIN)/python -m pytest tests/reduction -q

.PHONY: demo test lint docs bench clean

demo: $(INSTALLED)
	rm -rf demo
	$(BIN)/loss-barcodes run --data digits --model mlp --minima 6 --max-dim 2 --out demo/digits
	$(BIN)/loss-barcodes analytic himmelblau --out demo/himmelblau

test: lint docs
	$(BIN)/python -m pytest
	NUMBA_DISABLE_JIT=1 $(QUICK)
	NUMBA_BOUNDSCHECK=1 $(QUICK)

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright --project pyproject.toml --pythonpath $(BIN)/python
	$(BIN)/lint-imports

docs: $(INSTALLED)
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build

bench: $(INSTALLED)
	for file in tests/benchmarks/*.py; do $(BIN)/python $$file; done

$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $(INSTALLED)

clean:
	rm -rf .venv .cache demo docs/_build
