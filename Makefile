# The roof: every way in. `make help` lists the targets.
PYTHON  ?= python3
SWEEP   ?= sweeps/laptop.yaml
NAME     = $(basename $(notdir $(SWEEP)))
RESULTS ?= results/$(NAME)
PY      := .venv/bin/python
# One process more than two cores, since those that drive Ray wait much; a file stays whole, and in its turn.
CORES   := -n 3 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup reproduce quick plan expand sweep submit report figures claims doctor test test-full test-system test-big check format bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  Variables: SWEEP=$(SWEEP) RESULTS=$(RESULTS) PYTHON=$(PYTHON); RAY_ADDRESS joins a cluster."

setup: .venv/.done ## make .venv from requirements.lock (the other targets do it when needed)

.venv/.done: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
	  || { echo "Python 3.11 to 3.13 is needed; $(PYTHON) is $$($(PYTHON) -V). Say make PYTHON=python3.11 ..."; exit 2; }
	@echo "setting up .venv (a few minutes, once)"
	@rm -rf .venv && $(PYTHON) -m venv .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-warn-script-location -r requirements.lock
	@touch $@

reproduce: sweep report ## train the sweep, fit the laws, draw the figures, write the report
	@echo "report: $(RESULTS)/report.html"

quick: ## the same with 20 tiny runs, in about a minute
	@$(MAKE) --no-print-directory reproduce SWEEP=sweeps/quick.yaml

plan: setup ## price the sweep: tokens and FLOPs by study; with CLUSTER=gpus=64,type=h100 hours, memory and order on it
	@$(PY) -m sweeps plan $(SWEEP) $(if $(CLUSTER),--cluster $(CLUSTER))

expand: setup ## list the sweep's runs
	@$(PY) -m sweeps expand $(SWEEP)

sweep: setup ## train the runs of SWEEP that are not done
	@$(PY) -m sweeps run $(SWEEP)

submit: setup ## send SWEEP to the Ray cluster at ADDRESS, with its results under STORE, s3://bucket/results say
	@$(PY) -m cluster submit $(SWEEP) $(if $(ADDRESS),--address $(ADDRESS)) $(if $(STORE),--results $(STORE)) --follow

report: setup ## claims, figures and report.html from the tables in RESULTS alone
	@$(PY) -m analysis report $(RESULTS)

figures: setup ## redraw the figures from the tables in RESULTS alone
	@$(PY) -m analysis figures $(RESULTS)

claims: setup ## judge the paper's claims from the tables in RESULTS alone
	@$(PY) -m analysis claims $(RESULTS)

doctor: setup ## what is wrong with this machine, or the cluster at RAY_ADDRESS, for SWEEP
	@$(PY) -m cluster doctor $(SWEEP)

test: setup ## the tests, with real Ray and real DeepSpeed inside
	@OMP_NUM_THREADS=1 $(PY) -m pytest $(CORES) -m "not full and not big and not system"

test-full: setup ## the tests with their long counts
	@OMP_NUM_THREADS=1 $(PY) -m pytest $(CORES) -m "not big and not system"

test-system: setup ## the tests of what needs further packages, which it installs: Chromium, Slurm, namespaces as machines, trackers
	@command -v chromium >/dev/null && command -v slurmctld >/dev/null && command -v munged >/dev/null && command -v ip >/dev/null \
	  || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium slurmctld slurmd slurm-client munge iproute2; }
	@$(PY) -m pip install --quiet --disable-pip-version-check -c requirements.lock -r tests/requirements-system.txt
	@$(PY) -m pytest tests -m system

test-big: setup ## the exact threshold over 2^31 + 1,000 weights; needs 20 GiB of memory
	@$(PY) -m pytest -m big

check: setup ## lint and types
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

format: setup ## sort imports, format, and mend what the linter can
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

bench: setup ## what the fit, masking, selection, a lane, the orchestration and the text cost, side by side with others
	@$(PY) -m pip install --quiet --disable-pip-version-check -r bench/requirements.txt
	@$(PY) -m bench.fit
	@$(PY) -m bench.train
	@$(PY) -m bench.prune
	@$(PY) -m bench.laptop
	@$(PY) -m bench.overhead
	@$(PY) -m bench.corpus

clean: ## remove .venv and caches; data/ and results/ stay
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache
