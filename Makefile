# Everything that a person does with this checkout. The first target makes .venv/; nothing is installed outside of it.
# PYTHON=/path/to/python3 chooses the interpreter (3.11 or newer).

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test browser sigstore coverage lint bench faults worlds fuzz guards pyz page wheel clean

BIN := .venv/bin
STAMP := .venv/.installed

# Without a home, programs would write their caches to / or to a directory named ~.
ifeq ($(strip $(HOME)),)
export HOME := $(CURDIR)/.venv/home
endif
export PYTHON
# What is compiled is kept: the tests start thousands of processes.
unexport PYTHONDONTWRITEBYTECODE

# How long the parsers are fuzzed, all together.
SECONDS ?= 180

# Which points of the fault programme are tried: every STEPth.
STEP ?= 5

help: ## say what can be made
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

demo: $(STAMP) ## tell the whole story on sample data, in about a minute
	$(BIN)/retentiond demo $(ARGS)

test: $(STAMP) ## run every test
	$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

browser: $(STAMP) ## try the page in a real browser (Chromium; CHROMIUM=/path names one)
	$(BIN)/python -m pytest tests/browser $(ARGS)

sigstore: $(STAMP) ## have npm's @sigstore/verify read a receipt
	$(BIN)/python -m pytest tests/sigstore $(ARGS)

coverage: $(STAMP) ## run every test, with branch coverage (half as long again)
	$(BIN)/python -m pytest -n auto --dist worksteal --cov --cov-report=term $(ARGS)

lint: $(STAMP) ## style, types, imports and budgets
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/house/budgets.py

faults: $(STAMP) ## kill, cut and freeze runs and check the invariants (an hour; STEP=1, every point: half a day)
	$(BIN)/python -m tests.faults.killing --records 100000 --kills 30 --seed 1 $(ARGS)
	$(BIN)/python -m tests.faults.foreground --rows 1000000 --times 2
	$(BIN)/python -m tests.faults.replicas --seconds 300
	$(BIN)/python -m tests.faults.logs --entries 200000 --kills 20
	$(BIN)/python -m tests.faults.programme --step $(STEP)
	$(BIN)/python -m tests.faults.overlapped --step $(STEP)
	$(BIN)/python -m tests.replay.killing --step $(STEP)

worlds: $(STAMP) ## close 100 of 1,000 accounts, erase 50 users of others, and look at all that is left (15 minutes)
	$(BIN)/python -m tests.worlds $(ARGS)

fuzz: $(STAMP) ## fuzz the verifier's parsers for SECONDS=180 in all; what is found is kept in tests/fuzz/found
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(ARGS)

guards: $(STAMP) ## take each guard out and check that exactly its own test goes red (20 minutes)
	$(BIN)/python -m tests.guards.removal $(ARGS)

bench: $(STAMP) ## measure against peers, side by side (minutes)
	@for script in tests/benchmarks/bench_*.py; do \
	    echo "== $$script"; $(BIN)/python "$$script" || exit 1; \
	done

pyz: $(STAMP) ## build dist/retentiond-verify.pyz, the verifier in one file
	@mkdir -p dist
	$(BIN)/python -c "from pathlib import Path; from retentiond.verify.pyz import build; build(Path('dist/retentiond-verify.pyz'))"

page: $(STAMP) ## build dist/retentiond-verify.html, the verifier as a page for browsers
	@mkdir -p dist
	$(BIN)/retentiond receipt page -o dist/retentiond-verify.html

wheel: $(STAMP) ## build dist/retentiond-*.whl
	$(BIN)/python -m build --wheel --no-isolation --outdir dist .

clean: ## remove everything that was made here, .venv/ too
	rm -rf .venv dist build htmlcov .coverage .coverage.*
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): requirements/dev.lock requirements/install.sh pyproject.toml
	@sh requirements/install.sh
	@touch $@
