# The entry points of the repository; `make help` lists them. All paths are relative, since the path of a clone may
# contain blanks. Each target runs deploy/setup first, which makes .venv, and does nothing if nothing has changed.

PY := .venv/bin/python
PYTEST := $(PY) -m pytest
# Where the time of a long target goes.
SLOWEST := --durations=25 --durations-min=5
MAKEFLAGS += --no-print-directory

# Some machines set it; then every start would compile every module again.
unexport PYTHONDONTWRITEBYTECODE
# They may belong to another project; the environment in .venv must be used.
unexport VIRTUAL_ENV PYTHONHOME

.DEFAULT_GOAL := help
.PHONY: help run setup setup-dev down status test test-faults test-cluster test-kafka cluster kafka sweep soak check format bench \
  reference mutants compare-pytest pins clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

run: setup ## Start everything, run the samples, keep running until Ctrl-C; ONCE=1 ends with their verdict
	@$(PY) -m cli.main up $(if $(ONCE),--once)

setup: ## Make .venv with what Assay needs
	@sh deploy/setup runtime

setup-dev: ## Make .venv with what tests, checks and benchmarks need too
	@sh deploy/setup dev

down: setup ## End the stack, also if its supervisor was killed
	@$(PY) -m cli.main down

status: setup ## Show the parts of the stack
	@$(PY) -m cli.main status

test: setup-dev ## Run all tests but those of test-faults, test-cluster, test-kafka and soak; about 10 minutes on 2 cores
	@$(PYTEST) $(SLOWEST) -m "not faults and not cluster and not kafka and not soak" -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

test-faults: setup-dev ## Run the tests that kill processes, hostile tests, experiments and the browser; about 20 minutes
	@$(PYTEST) $(SLOWEST) -m faults -n 3 --dist loadfile --no-loadscope-reorder $(or $(ARGS),tests/integration/flows tests/faults \
	  tests/integration/services tests/integration/gate tests/integration/api tests/recipes tests/e2e)

test-cluster: setup-dev ## Run the tests that need a Kubernetes cluster: that of KUBECONFIG, else one that is started for them
	@sh deploy/test-cluster $(PYTEST) $(SLOWEST) -m cluster $(or $(ARGS),tests/cluster tests/contract)

cluster: ## Make a Kubernetes cluster on this machine with kind and Docker; DOWN=1 removes it
	@sh deploy/cluster $(if $(DOWN),down)

sweep: setup-dev ## Run every case of every sweep: kills at each step, here and in a cluster; 500 placements; hours
	@ASSAY_SWEEP=all $(PYTEST) -m "not cluster and not kafka and not soak" -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)
	@ASSAY_SWEEP=all sh deploy/test-cluster $(PYTEST) -m cluster tests/cluster/test_sweep_of_kills.py \
	  tests/cluster/test_lost_node.py tests/cluster/test_agreement.py tests/cluster/test_chaos_native.py \
	  tests/cluster/test_chaos_experiments.py tests/cluster/test_chaos_operators.py \
	  tests/cluster/test_chaos_operator_kills.py tests/contract/test_fault_providers.py $(ARGS)

test-kafka: setup-dev ## Run the tests that need a real Kafka broker: its programs come by Maven
	@sh deploy/kafka/programs
	@$(PYTEST) -m kafka $(or $(ARGS),tests/contract/test_brokers.py tests/integration/events)

kafka: ## Run a Kafka broker on 127.0.0.1:9092 until Ctrl-C, and on 9093 with TLS and a password
	@sh deploy/kafka/programs
	@echo 'Kafka on 127.0.0.1:9092. With SASL_SSL and PLAIN on 127.0.0.1:9093: user assay, password in .assay/kafka/password,'
	@echo 'certificate in .assay/kafka/ca.pem. Its log is .assay/kafka/broker.log. Ctrl-C ends it.'
	@exec sh deploy/kafka/broker .assay/kafka 9092 9093 9094

soak: setup-dev ## Run 1,000 tests through one worker and check for leaks; kill the leader of three Kafka brokers five times
	@$(PYTEST) -m soak $(ARGS)

check: setup-dev ## Run linter, formatter, import contracts (with circles) and type checker
	@$(PY) -m ruff check
	@$(PY) -m ruff format --check
	@$(PY) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'
	@$(PY) -m mypy

format: setup-dev ## Format the code
	@$(PY) -m ruff check --fix --exit-zero
	@$(PY) -m ruff format

bench: setup-dev ## Run the benchmarks, with peers in the same run; BENCH=bloat ARGS="--runs 200000" runs one
	@[ -n "$(BENCH)" ] || [ -z "$(ARGS)" ] || { echo 'ARGS belong to one benchmark: name it too, for example BENCH=bloat' >&2; exit 2; }
	@set -e; for file in $(if $(BENCH),benchmarks/bench_$(BENCH).py,benchmarks/bench_*.py); do \
	echo "== $$file"; PYTHONPATH=.:tests $(PY) "$$file" $(ARGS); done

mutants: setup-dev ## Change the code of scheduler and model at random, and count how many changes the tests notice; an hour
	@PYTHONPATH=.:tests $(PY) -m mutants $(ARGS)

compare-pytest: setup-dev ## Run public test suites by plain pytest and by Assay, and compare item for item; 20 minutes
	@PYTHONPATH=.:tests $(PY) benchmarks/compare_pytest.py $(ARGS)

reference: setup-dev ## Write docs/reference.md and docs/schema from the code
	@PYTHONPATH=. $(PY) docs/make_reference.py

pins: setup-dev ## Renew the pins of the requirements, with hashes for all Python versions and no index address
	@sh deploy/pins

clean: ## Remove .venv and caches; the state folder .assay stays
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .schemathesis build
