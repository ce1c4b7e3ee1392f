# `make demo` and `make test` need Python 3.11 or newer, make and a C compiler; all else goes into private
# environments in this directory. PYTHON=python3.13 chooses another Python.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MADE_FROM := pyproject.toml scripts/environment.py src/runworthy/__init__.py

.DELETE_ON_ERROR:
.PHONY: help demo test quick lint format bench judges build clean

help:
	@echo 'make demo    check real files of this machine against several targets'
	@echo 'make test    run the tests; PYTEST_ARGS="-k musl" chooses among them'
	@echo 'make quick   those that need no judges and take no long time: under two minutes'
	@echo 'make lint    ruff, mypy, import-linter'
	@echo 'make format  let ruff rewrite the source'
	@echo 'make bench   measure the budgets'
	@echo 'make judges  install the real loaders that tests ask (Debian, as root)'
	@echo 'make build   source distribution and wheel into dist/'
	@echo 'make clean   remove everything that was made here'

demo:
	@$(PYTHON) scripts/demo.py

test: $(VENV)/test.stamp
	$(BIN)/python -m pytest -n auto --maxprocesses 8 $(PYTEST_ARGS)

quick: $(VENV)/test.stamp
	$(BIN)/python -m pytest -n auto --maxprocesses 8 -m 'not judge and not slow' $(PYTEST_ARGS)

lint: $(VENV)/lint.stamp $(VENV)/test.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(VENV)/lint.stamp
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/test.stamp
	$(BIN)/python -m bench $(BENCH_ARGS)

judges:
	bash tests/judges/setup.sh $(JUDGES)

build: $(VENV)/test.stamp
	$(BIN)/python -m build --outdir dist

# Two groups in one environment: pip must not run twice at once.
$(VENV)/test.stamp $(VENV)/lint.stamp: $(VENV)/%.stamp: $(MADE_FROM)
	$(PYTHON) scripts/environment.py $(VENV) $*
	@touch $@
$(VENV)/lint.stamp: | $(VENV)/test.stamp

clean:
	rm -rf .venv .demo-venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests scripts -name __pycache__ -type d -exec rm -rf {} +
