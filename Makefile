# `make demo` shows it work, `make test` checks it, `make help` lists the rest. Setting up is a stamp file: a second make is instant.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TEST_READY := $(VENV)/.ready-to-test
WEB_READY := $(VENV)/.ready-web
DEMO := build/demo
BENCHMARKS := $(sort $(wildcard benchmarks/[!_]*.py))
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test conformance bench site docs lock clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

setup: $(TEST_READY) ## Install everything into .venv, and the system packages that the tests need

demo: $(READY) ## Search, train, measure and publish two small models of handwritten digits, with their site
	$(BIN)/zoo build specs/demo.toml --out $(DEMO)/zoo --work $(DEMO)/work --site $(DEMO)/site
	@printf '\nThe site: file://%s\n' "$(CURDIR)/$(DEMO)/site/index.html"

test: $(TEST_READY) ## Lint, type-check, check the layers, run the tests on two cores
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

conformance: $(TEST_READY) ## Compare 1,000 random networks in every runtime on two cores (ARGS="--networks 200" for fewer)
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/conformance -n 2 --dist loadgroup --networks 1000 --publish $(ARGS)

bench: $(READY) ## Run every benchmark; each prints its machine and a ratio to its peer
	@for file in $(BENCHMARKS); do echo "== $$file"; $(BIN)/python "$$file" || exit 1; done

site: $(WEB_READY) ## Render the published zoo into build/site
	$(BIN)/zoo site

docs: $(READY) ## Write the generated pages and schemas anew: command line, JSON Schema of the specs
	$(BIN)/zoo schema --write specs/schema
	$(BIN)/python -m typer microzoo.cli utils docs --name zoo --title "Command line" --output site/pages/reference/cli.md

lock: $(READY) ## Resolve requirements/*.txt again, keeping what still fits (ARGS=--upgrade for the newest)
	$(LOCK) $(ARGS) --extra tflm --extra wasm --extra ethos --group dev pyproject.toml -o requirements/all.txt
	echo uv | $(LOCK) $(ARGS) - -o requirements/uv.txt
	PATH="$(CURDIR)/$(BIN):$$PATH" npm install --prefix tools/web --package-lock-only --loglevel=error
	$(BIN)/python tools/web/no_addresses.py tools/web/package-lock.json

clean: ## Remove what was generated and the caches; keep .venv and the search history in build/work
	rm -rf build/demo build/site dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find generator tests benchmarks site -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements/all.txt requirements/uv.txt pyproject.toml tools/system.sh tools/setup.sh
	sh tools/system.sh build
	sh tools/setup.sh $(VENV)
	@touch $@

$(WEB_READY): $(READY) tools/web.sh tools/web/package.json tools/web/package-lock.json
	sh tools/web.sh $(VENV)
	@touch $@

$(TEST_READY): $(WEB_READY)
	sh tools/system.sh test
	@touch $@
