# Entrances. All paths are relative: the folder of a clone may have blanks in its name. `make help` lists the targets.
# Everything is set up on the way: deploy/setup makes .venv and does nothing when nothing changed, without network.

PY := .venv/bin/python
PYTEST := $(PY) -m pytest
MAKEFLAGS += --no-print-directory

# Set on some machines; every start would compile every module again.
unexport PYTHONDONTWRITEBYTECODE
# Of another shell or another project: the one in .venv is meant.
unexport VIRTUAL_ENV PYTHONHOME

.DEFAULT_GOAL := help
.PHONY: help run setup setup-dev down status test test-faults soak check format bench pins clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

run: setup ## Start everything, run the samples, stay until Ctrl-C; ONCE=1 ends with their verdict
	@$(PY) -m cli.main up $(if $(ONCE),--once)

setup: ## Make .venv with what Assay runs on
	@sh deploy/setup runtime

setup-dev: ## Make .venv with what its tests, checks and benchmarks need besides
	@sh deploy/setup dev

down: setup ## End the stack, also one whose supervisor was killed
	@$(PY) -m cli.main down

status: setup ## Show the parts of the stack
	@$(PY) -m cli.main status

test: setup-dev ## Run all tests but the kills, the nasty ones and the browser; under 10 minutes on 2 cores
	@$(PYTEST) -m "not faults and not soak" -n 2 --dist loadfile $(ARGS)

test-faults: setup-dev ## Run the kills, the nasty tests and the browser; under 12 minutes
	@$(PYTEST) -m faults -n 3 --dist loadfile $(ARGS)

soak: setup-dev ## Run 1,000 tests through one worker and look for leaks
	@$(PYTEST) -m soak $(ARGS)

check: setup-dev ## Lint, format, import contracts, types
	@$(PY) -m ruff check
	@$(PY) -m ruff format --check
	@$(PY) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'
	@$(PY) -m mypy

format: setup-dev ## Bring the code into the one format
	@$(PY) -m ruff check --fix --exit-zero
	@$(PY) -m ruff format

bench: setup-dev ## Run the benchmarks, peers in the same run; BENCH=bloat ARGS="--runs 200000" runs one of them
	@[ -n "$(BENCH)" ] || [ -z "$(ARGS)" ] || { echo 'ARGS are of one benchmark: name it too, as BENCH=bloat' >&2; exit 2; }
	@set -e; for file in $(if $(BENCH),benchmarks/bench_$(BENCH).py,benchmarks/bench_*.py); do \
	echo "== $$file"; PYTHONPATH=.:tests $(PY) "$$file" $(ARGS); done

pins: setup-dev ## Pin the requirements anew, with hashes for all Pythons and no address
	@sh deploy/pins

clean: ## Remove .venv and caches; the state folder .assay stays
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build
