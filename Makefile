# Two commands matter: `make lab` and `make test`. Works with GNU make 3.81 (macOS).

# The newest Python that all was run on, else another; `make PYTHON=python3.11 ...` picks another one for a fresh .venv.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3.10 python3.14 python3; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; \
	then echo $$p; break; fi; done)
BIN := .venv/bin
UV ?= $(BIN)/uv
UPGRADE ?=
FAST := not server and not browser and not matrix and not soak

# Many containers set it: then every start of a process would compile all modules again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help lab stop test test-all check format lock sizes widgets course mutants bench bench-quick bench-views cluster
help:
	@echo "make lab       install, start server and worker, open JupyterLab; Ctrl-C ends them"
	@echo "make stop      end all that was left running: server, workers, JupyterLab"
	@echo "make test      the tests, and what they cover; make test-all adds the long ones, on each Python there is"
	@echo "make check     format, lint, types and the fast tests, in some minutes"
	@echo "make mutants   plant faults on purpose, and see each caught by a test, in 10 minutes"
	@echo "make format    put the code into its format"
	@echo "make lock      write requirements.lock anew; UPGRADE=--upgrade for newer versions"
	@echo "make course    the notebooks, and their solutions, from course/*.md"
	@echo "make sizes     lines of code by folder; fails if something is too large"
	@echo "make widgets   bundle the live view's scripts and check their types (needs Node.js and npm)"
	@echo "make bench     measure it beside the peer, in 15 minutes; make bench-quick in 5"
	@echo "make bench-views  measure the live view in a browser, in 7 minutes"
	@echo "make cluster   a real cluster, tormented, in 5 minutes (Linux, PostgreSQL; Go builds it once)"

# Nothing is installed again until the lock or the metadata changes. uv installs in seconds what
# takes pip a minute; where it cannot, pip does. What is half made goes.
.venv/.ready: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "streamlib needs Python 3.10 or later: install one, or name it: make PYTHON=/path/to/python3 ..." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { echo "streamlib needs Python 3.10 or later, and $(PYTHON) is not: make PYTHON=/path/to/python3 ..." >&2; exit 1; }
	@test -w . || { echo "this folder cannot be written, and .venv goes into it: copy the checkout to a folder of your own" >&2; exit 1; }
	@echo "installing into .venv with $(PYTHON) (once) ..."
	@tools/install.sh "$(PYTHON)"
	@touch $@

lab: .venv/.ready
	@$(BIN)/streamlib lab

stop: .venv/.ready
	@$(BIN)/streamlib stop

# Two processes share out what is measured, and what is not; between them the browser's tests have
# the machine for themselves.
MEASURED := tests/core tests/wire tests/host tests/client tests/server
PYTEST := $(BIN)/python -m pytest
SHARED := -q -n 2 --dist loadfile --no-loadscope-reorder

# All three are run, also behind one that fails: a failure hides no other.
test: .venv/.ready
	@failed=0; \
	$(PYTEST) $(SHARED) -m "measured and not soak" $(MEASURED) --cov --cov-report= || failed=1; \
	$(PYTEST) -q -m "browser and not soak and not matrix" tests/browser || failed=1; \
	$(PYTEST) $(SHARED) -m "not measured and not browser and not soak and not matrix" || failed=1; \
	exit $$failed

# By a draw, every other one of rows that differ by a value is tried, each notebook in one of three
# ways, and the oldest or the newest Python whole; everything, in well over an hour: make test-all ALL=1.
ALL ?=
test-all: export STREAMLIB_ALL := $(ALL)
# Beside the browser, which waits a lot, the simulated worlds take what is left, with least priority.
LONG := (soak or matrix) and not spare
test-all: test
	@failed=0; said=$$(mktemp); \
	export STREAMLIB_SEEDS=$${STREAMLIB_SEEDS:-$$$$}; echo "the draw of this run: STREAMLIB_SEEDS=$$STREAMLIB_SEEDS"; \
	$(PYTEST) $(SHARED) -n 3 -m "$(LONG) and not alone and not browser" || failed=1; \
	nice -n 19 $(PYTEST) -q -m spare tests/world >"$$said" 2>&1 & spare=$$!; \
	$(PYTEST) -q -m "$(LONG) and browser" tests/browser || failed=1; \
	wait $$spare || failed=1; cat "$$said"; rm "$$said"; \
	$(PYTEST) -q -m "$(LONG) and alone" tests/faults tests/lab/lessons || failed=1; \
	exit $$failed

check: .venv/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -m "$(FAST)"

format: .venv/.ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: .venv/.ready
	$(UV) pip compile pyproject.toml --all-extras --universal --python-version 3.10 \
		--generate-hashes --no-emit-index-url --no-header --no-annotate $(UPGRADE) -o requirements.lock

sizes: .venv/.ready
	@$(BIN)/python tools/sizes.py

# The bundle is committed: only who changes the scripts needs this, or Node.js.
WIDGETS := streamlib/lab/widgets/js
$(WIDGETS)/node_modules/.package-lock.json: $(WIDGETS)/package-lock.json
	@npm --prefix $(WIDGETS) ci --no-audit --no-fund

widgets: $(WIDGETS)/node_modules/.package-lock.json
	@npm --prefix $(WIDGETS) run --silent types
	@npm --prefix $(WIDGETS) run --silent build

course: .venv/.ready
	@$(BIN)/python tools/course.py

mutants: .venv/.ready
	@$(BIN)/python tools/mutants.py

bench: .venv/.ready
	@$(BIN)/python -m bench

bench-quick: .venv/.ready
	@$(BIN)/python -m bench --quick

bench-views: .venv/.ready
	@$(BIN)/python -m bench.views

cluster: .venv/.ready
	@$(BIN)/python -m cluster
