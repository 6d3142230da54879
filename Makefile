# `make run` and `make test` work in a fresh clone, with nothing but Python 3.11, pip, make and git.

PYTHON ?= python3
PORT ?= 8000
HOST ?= 127.0.0.1
# More than there are cores: many tests wait for processes of their own.
WORKERS ?= 6

VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet

.PHONY: run test faults lint format types check bench clean
.DEFAULT_GOAL := run

run: $(VENV)/.installed
	@HINDCAST_PLAIN_LOGS=1 exec $(BIN)/python manage.py up --demo --with-parent --host "$(HOST)" --port "$(PORT)"

# With TEST_DATABASE_URL and TEST_BROKER_URL the same suite runs on those.
test: $(VENV)/.installed-dev
	@exec $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(ARGS)

# Kills, pauses, cuts and floods on purpose: what `make test` does, too, and what takes longer (the marker `long`, which
# this -m lets in). Needs TEST_DATABASE_URL (PostgreSQL) and TEST_BROKER_URL; as root it fills small disks of its own.
faults: $(VENV)/.installed-dev
	@[ -n "$$TEST_DATABASE_URL" ] && [ -n "$$TEST_BROKER_URL" ] || { \
	    echo "Set TEST_DATABASE_URL to a PostgreSQL database, and TEST_BROKER_URL"; exit 2; }
	@exec $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m faults $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

check: lint types
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check --fail-level WARNING
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --file /dev/null

# Needs PostgreSQL (BENCH_DATABASE_URL, else the one on this machine); prints every figure of the README.
bench: $(VENV)/.installed-dev
	@for program in startup $(filter-out startup scratch soak%,$(basename $(notdir $(wildcard bench/*.py)))); do \
	    echo "== bench/$$program.py"; $(BIN)/python bench/$$program.py || exit 1; done

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find projects scheduler tests bench -name __pycache__ -type d -exec rm -rf {} +

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)
	@echo "Installing what Hindcast needs (once)"
	@$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)
	@echo "Installing what Hindcast and its tests need (once)"
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $(VENV)/.installed $@

$(VENV):
	@$(PYTHON) -c 'import sys; sys.exit("Hindcast needs Python 3.11 or newer; %s is %s. Name another: make PYTHON=python3.12" % (sys.executable, sys.version.split()[0]) if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $@
