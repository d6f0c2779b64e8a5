# `make help` lists the targets.

BIN = .venv/bin
PYTEST = $(BIN)/pytest
# Only folders that hold Python: mypy refuses others.
CODE = siprec kemi rtpengine web control srs tests $(if $(wildcard bench/*.py),bench)

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format docs bench bench-api

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup:  ## install what is missing: Debian packages, .venv
	@deploy/setup.sh

demo: setup  ## record one call between two endpoints that speak, and show what happened
	$(BIN)/python -m siprec_control.demo

# The tests that measure time run after the others, by themselves.
test: setup  ## run all tests
	@# They start some thousand processes of ours, which need not compile themselves each time.
	@$(BIN)/python -m compileall -q $(CODE)
	$(PYTEST) -n 3 --dist loadfile -m "not alone" --ignore=tests/siprec
	$(PYTEST) -n 2 tests/siprec --cov=siprec --cov-branch --cov-fail-under=100
	$(PYTEST) -n 0 -m alone

lint: setup  ## check format, style, types, imports, spelling and shell scripts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports
	git ls-files -z | xargs -0 $(BIN)/codespell
	git ls-files -z '*.sh' .ci/run | xargs -0 shellcheck

format: setup  ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup  ## draw docs/states.md from the transition table
	$(BIN)/python -c 'from siprec.states_doc import states_markdown as s; print(s(), end="")' >docs/states.md

bench: setup  ## load the stack with calls and print a table
	$(BIN)/python bench/run.py

bench-api: setup  ## compare call set-up while the API is idle, dead, hung, and at its rate limit
	$(BIN)/python bench/api.py
