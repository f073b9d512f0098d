# make run    install what is locked, then the main job: real candles in, a verdict and a forecast out (out/report.html)
# make live   install what exchanges need as well: coincast fetch, coincast replay
# make test   everything that must hold: format, lint, types, tests
# make check  format, lint and types alone
# make bench  measured against peers, as tables
# make study  what each step adds to the forecast, on the study data (docs/skill.md)
# make proof  the long proofs, whole; their results are committed in bench/proof

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: run live test check bench study proof lock clean

run: $(VENV)/run
	$(BIN)/coincast run --sample btc-1d --out out

live: $(VENV)/live

# Tests start hundreds of processes: what is compiled once is kept, whatever the environment says.
test: export PYTHONDONTWRITEBYTECODE :=
test: check
	$(BIN)/pytest -n 2 --dist worksteal

check: $(VENV)/test
	$(BIN)/ruff format --check --quiet src tests bench
	$(BIN)/ruff check --quiet src tests bench
	$(BIN)/mypy

bench: $(VENV)/test
	$(BIN)/python -m bench

study: $(VENV)/test
	$(BIN)/python -m bench.skill

proof: $(VENV)/test
	$(BIN)/python -m bench.proof

# Two steps: first all that is locked, by hash; then the project itself, which may ask for nothing more.
$(VENV)/%: requirements-%.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) --require-hashes -r $<
	$(INSTALL) --no-deps --no-build-isolation -e .
	touch $@

# The locks hold every platform's hashes and no address of an index. uv makes them; nothing else needs it.
LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet
lock:
	$(LOCK) pyproject.toml requirements.in --extra test -o requirements-test.lock
	$(LOCK) pyproject.toml requirements.in --extra live -c requirements-test.lock -o requirements-live.lock
	$(LOCK) pyproject.toml requirements.in -c requirements-test.lock -o requirements-run.lock

clean:
	rm -rf $(VENV) out
