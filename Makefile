# Everything is installed into .venv and kept under .cache, inside the repository.
# PYTHON=… picks the interpreter for .venv, PIP_FLAGS=… reaches `pip install` (an index, a proxy).
# DATA=… names a folder of evaluation sets for `make bench`, RESULTS=… where its figures go as JSON.
PYTHON ?= python3
PIP_FLAGS ?=
DATA ?=
RESULTS ?= .cache/bench

BIN := .venv/bin
BENCH_DATA := $(if $(DATA),--data $(DATA))
DEFINITION := pyproject.toml configs/constraints.txt
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check $(PIP_FLAGS) -c configs/constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test test-editors bench lint clean

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: .venv/installed ## a real session with the language server: import, hover, complete, capture, forget
	@$(BIN)/python configs/demo/session.py

test: .venv/installed-dev ## every test, the editors' included
	$(BIN)/python -m pytest -n 3 || { \
	  echo "What failed while other tests kept the machine busy is asked once more, alone."; \
	  $(BIN)/python -m pytest --last-failed --last-failed-no-failures none; \
	}
	@$(MAKE) --no-print-directory test-editors

test-editors: .venv/installed-dev ## the VS Code extension in a real VS Code (needs node, npm and chromium)
	@missing=; for program in node npm chromium; do \
	  command -v $$program >/dev/null || missing="$$missing $$program"; \
	done; \
	if [ -n "$$missing" ]; then \
	  echo "VS Code tests skipped: not on this machine:$$missing"; \
	elif ! node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'; then \
	  echo "VS Code tests skipped: node 20.19 or later is needed, this is $$(node --version)"; \
	else \
	  tests/vscode/run.sh; \
	fi

bench: .venv/installed-dev ## eight minutes of the benchmarks: quality, hover, peers, scale, learning; figures under .cache/bench
	$(BIN)/python tests/benchmarks/recall_quality.py --quick $(BENCH_DATA) --json $(RESULTS)/recall_quality.json
	$(BIN)/python tests/benchmarks/hover_gold/run.py --json $(RESULTS)/hover_gold.json
	$(BIN)/python tests/benchmarks/peers.py --quick $(BENCH_DATA) --json $(RESULTS)/peers.json
	$(BIN)/python tests/benchmarks/recall_scale.py --quick $(BENCH_DATA) --json $(RESULTS)/recall_scale.json
	$(BIN)/python tests/benchmarks/consolidation.py --quick --json $(RESULTS)/consolidation.json
	$(BIN)/python tests/benchmarks/training.py --quick --json $(RESULTS)/training.json

lint: .venv/installed-dev ## style, types, and which room may import which
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports

clean: ## remove what was built, cached and remembered here; .venv stays
	rm -rf .cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
	rm -rf vscode-extension/build vscode-extension/dist vscode-extension/node_modules vscode-extension/*.vsix
	rm -rf tests/vscode/node_modules
	find server tests configs -type d -name __pycache__ -prune -exec rm -rf {} +

.venv/bin/pip:
	@found=$$($(PYTHON) --version 2>/dev/null || echo "not on this machine"); \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Remanence needs Python 3.11 or later; $(PYTHON) is $$found." >&2; \
	  echo "Name another one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; \
	  exit 1; \
	}
	$(PYTHON) -m venv .venv

.venv/installed: $(DEFINITION) | .venv/bin/pip
	@echo "Installing Remanence into .venv (once; PyTorch is the large part)"
	$(INSTALL) -e .
	@touch $@

.venv/installed-dev: $(DEFINITION) | .venv/bin/pip
	@echo "Installing Remanence and its development tools into .venv (once)"
	$(INSTALL) -e '.[dev]'
	@touch .venv/installed $@
