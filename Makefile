# Each target sets up what it needs: a virtual environment and the install, once.
#
# demo      the package alone, and two small runs
# test      formatter, linter, types, contracts, the site, and tests: those that are quick
# test-all  all of that with all tests, and those of reduction interpreted and with bounds checked

PYTHON ?= python3
BIN := .venv/bin
CPUS := https://download.pytorch.org/whl/cpu
PACKAGE := .venv/package
INSTALLED := .venv/installed
QUICK := HYPOTHESIS_PROFILE=quick
WORKERS ?= 2
# A file stays in one process, whose fixtures its tests share.
PYTEST := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile

.PHONY: demo test test-all lint docs bench clean

demo: $(PACKAGE)
	rm -rf demo
	$(BIN)/loss-barcodes run --data digits --model mlp --minima 6 --max-dim 2 --out demo/digits
	$(BIN)/loss-barcodes analytic himmelblau --out demo/himmelblau
	@echo "The pictures are in demo/digits and demo/himmelblau; the command is $(BIN)/loss-barcodes."

test: lint docs
	$(QUICK) $(PYTEST) -m "not (ecosystem or engine or browser or kill or long)"

test-all: lint docs
	$(PYTEST)
	$(QUICK) NUMBA_DISABLE_JIT=1 $(PYTEST) tests/reduction
	$(QUICK) NUMBA_BOUNDSCHECK=1 $(PYTEST) tests/reduction

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright --project pyproject.toml --pythonpath $(BIN)/python
	$(BIN)/lint-imports

docs: $(INSTALLED)
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build

bench: $(INSTALLED)
	for file in tests/benchmarks/*.py tests/benchmarks/*/*.py; do $(BIN)/python $$file; done

$(PACKAGE): pyproject.toml
	@echo "On Linux 3.2 GB are downloaded, most of it PyTorch and CUDA's libraries, and take 6 GB in .venv."
	@echo "A tenth of that without a GPU: stop this, install PyTorch for CPUs as below, and run make again."
	@echo "    $(PYTHON) -m venv .venv"
	@echo "    $(BIN)/python -m pip install torch torchvision --index-url $(CPUS)"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --editable .
	touch $(PACKAGE)

$(INSTALLED): $(PACKAGE)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $(INSTALLED)

clean:
	rm -rf .venv .cache demo docs/_build
