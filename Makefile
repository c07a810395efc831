# Two habits need nothing installed by hand: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
UV := $(BIN)/uv pip
# The certificates of the machine, so that uv works behind a company's proxy as pip does.
export UV_SYSTEM_CERTS := true
# A shell that forbids bytecode files would have every process compile Dagster, pandas and this project anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install
install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(UV) install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev,production]'
	@touch $@

.PHONY: lock
lock: ## resolve the newest versions that pyproject.toml allows into constraints.txt
	$(UV) compile --quiet --universal --python-version 3.11 --all-extras --no-annotate --no-header \
	  --no-emit-index-url --upgrade pyproject.toml --output-file constraints.txt

.PHONY: demo
demo: install ## one simulated day, every fault switched on, into a folder lake
	@$(BIN)/telemetria demo

.PHONY: dev
dev: install ## Dagster's UI with the demo's history, three simulated carriers and the schedules
	@$(BIN)/telemetria dev --port $(or $(PORT),3000)

.PHONY: test
test: install ## every test, of those in many variants a few (under six minutes on two cores)
	@$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --durations 20

.PHONY: long
long: install ## the tests' other variants: seeds, worlds, S3 for a folder, properties with all their examples
	@$(BIN)/pytest --numprocesses 2 --durations 20 -m 'long or hypothesis' --hypothesis-profile long

# The peers stay out of the project's own environment.
$(VENV)-bench/installed: pyproject.toml constraints.txt $(VENV)/installed
	@test -x $(VENV)-bench/bin/python || $(PYTHON) -m venv $(VENV)-bench
	@echo "Installing into $(VENV)-bench ..."
	@$(UV) install --quiet --compile-bytecode --python $(VENV)-bench/bin/python --constraint constraints.txt \
	  --editable '.[bench]'
	@touch $@

.PHONY: bench
bench: $(VENV)-bench/installed ## speed and memory as ratios, beside peers and the floor (three quarters of an hour)
	@$(VENV)-bench/bin/python benchmarks/run.py

.PHONY: golden
golden: install ## a month and a half of three carriers in every order of arrival, held against its known truth
	@$(BIN)/python -m telemetria_pipeline_tests.golden

.PHONY: fuzz
fuzz: install ## 10,000 mutated boletins, 2,000 misleading ones, and 200 stories of corrections
	@$(BIN)/python benchmarks/fuzz_boletins.py --count 10000
	@$(BIN)/python -m telemetria_pipeline_tests.fuzz.meanings --count 2000
	@$(BIN)/python -m telemetria_pipeline_tests.fuzz.corrections --count 200

.PHONY: crash
crash: install ## Dagster killed twenty times while boletins are on their way; then every row is counted
	@$(BIN)/python benchmarks/crash.py

.PHONY: faults
faults: install ## every fault of API, store, process, input and Dagster many times over; then all is there, once
	@$(BIN)/python -m telemetria_pipeline_tests.faults

.PHONY: week
week: install ## a simulated week with the real daemon, outages and a halt of two days (an hour)
	@$(BIN)/python -m telemetria_pipeline_tests.week

.PHONY: sources
sources: install ## thirty sources, one dead, one slow, one misspelt: how long the hours of the others wait
	@$(BIN)/python benchmarks/sources.py

.PHONY: tick
tick: install ## what a tick of the sensor for stale days asks of S3, for 20 sources and 62 days
	@$(BIN)/python benchmarks/tick.py

.PHONY: inbox
inbox: install ## 2,000 small boletins from the inbox to their answers, a hundred in a run: files a minute
	@$(BIN)/python benchmarks/inbox.py

.PHONY: production
production: install ## killed, frozen and cut-off workers, brokers and databases away: survived / tried, on real services
	@$(BIN)/python -m telemetria_pipeline_tests.workers

.PHONY: check
check: install ## lint, format, types, secrets in tracked files, known vulnerabilities of the locked versions
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python scripts/scan_secrets.py
	@$(BIN)/python scripts/audit_dependencies.py

.PHONY: format
format: install
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: clean
clean: ## remove the demo's lake and history; the virtual environment stays
	rm -rf data
