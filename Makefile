# `make help` lists what can be done.  Only Python 3.11+ and make are needed; the rest is set up.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
CDK := $(CURDIR)/node_modules/.bin/cdk
export PATH := $(BIN):$(CURDIR)/node_modules/.bin:$(PATH)
# What is installed is what is pinned, whatever this machine's pip is told elsewhere.
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_REQUIRE_VIRTUALENV := 1
# Where Python finds what Lambda finds in a layer and a gateway in its package.
export PYTHONPATH := $(CURDIR):$(CURDIR)/layers/forecourt/python:$(CURDIR)/edge
# Packages are compiled at their first import (see infra/local/prepare.py), once.
export PYTHONDONTWRITEBYTECODE :=

# Options of the targets below, for example `make demo SALES=200` or `make replay FILLS=500`.
SALES ?=
SEEDS ?=
STAGES ?=
FILLS ?=
MEMBERS ?=
RUN ?=
# Said before anything is set up.
is_count = $(shell [[ '$($1)' =~ ^[1-9][0-9]*$$ ]] && echo yes)
$(foreach each,SALES SEEDS FILLS MEMBERS,$(if $($(each)),$(if $(call is_count,$(each)),,\
    $(error $(each)=$($(each)) is no positive whole number))))
$(if $(STEP),$(if $(filter begin drop anew,$(STEP)),,$(error STEP=$(STEP) is none of begin, drop and anew)))

.PHONY: help
help: ## list the targets
	@echo 'Forecourt, a loyalty platform for petrol stations.'
	@echo
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /|/' | awk -F'|' '{ printf "  make %-10s %s\n", $$1, $$2 }'

##### Setting up

STACK_READY := $(VENV)/.stack-ready
TEST_READY := $(VENV)/.test-ready
CDK_READY := node_modules/.cdk-ready

.PHONY: setup
setup: $(STACK_READY) $(CDK_READY) ## install what the demo needs into .venv and node_modules

$(VENV)/.made:
	@$(PYTHON) infra/local/prepare.py check
	@echo 'setup: virtual environment .venv'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(STACK_READY): requirements/stack.txt | $(VENV)/.made
	@$(BIN)/python infra/local/prepare.py install requirements/stack.txt
	@touch $@

$(TEST_READY): requirements/test.txt $(STACK_READY) | $(VENV)/.made
	@$(BIN)/python infra/local/prepare.py install requirements/test.txt
	@touch $@

$(CDK_READY): package.json $(STACK_READY)
	@echo 'setup: the CDK command line'
	@$(BIN)/npm install --silent --no-audit --no-fund --no-package-lock
	@touch $@

##### Seeing it run

.PHONY: demo
demo: setup ## see sales become points; SALES=200: so many, then reconcile
	@$(BIN)/python -m infra.local.demo $(if $(SALES),--sales $(SALES))

.PHONY: replay
replay: setup $(TEST_READY) ## run 11,830 real petrol purchases; FILLS=500: the first so many
	@$(BIN)/python -m infra.local.replay $(if $(FILLS),--fills $(FILLS))

.PHONY: sim
sim: setup ## run SEEDS histories of the ledger, print the first that fails
	@$(BIN)/python -m tests.simulation $(if $(SEEDS),--seeds $(SEEDS))

.PHONY: bench
bench: setup $(TEST_READY) ## measure costs and speed, write build/bench.json
	@$(BIN)/python -m tests.bench

.PHONY: match-eval
match-eval: setup $(TEST_READY) ## judge sales of MEMBERS simulated members, 100,000 unless told
	@$(BIN)/python -m tests.bench.match_eval $(if $(MEMBERS),--members $(MEMBERS))

##### Proving it right

.PHONY: test
test: setup $(TEST_READY) ## run all tests; STAGES="unit edge": these stages
	@$(BIN)/python -m tests.stages $(STAGES)

.PHONY: chaos
chaos: setup $(TEST_READY) ## sell 2,000 times while everything breaks; SALES=500: so often
	@CHAOS_SALES=$(or $(SALES),2000) $(BIN)/python -m pytest -q -s tests/e2e/test_chaos.py

.PHONY: format
format: $(TEST_READY) ## format the code and mend what can be mended by itself
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

.PHONY: rotate
rotate: setup ## rotate a stack's identity key; STEP=begin, drop or anew
	@$(BIN)/python -m infra.rotate $(if $(STEP),--$(STEP))

.PHONY: verify
verify: setup ## verify a deployed stack's ledger; RUN=id: watch that run
	@$(BIN)/python -m infra.verify $(if $(RUN),--run $(RUN))

##### Into AWS, with the credentials of the environment

.PHONY: synth
synth: setup ## write the CloudFormation template to build/cdk.out
	@$(CDK) synth --quiet
	@echo 'build/cdk.out/Forecourt.template.json'

.PHONY: deploy
deploy: setup ## deploy into the AWS account of your credentials
	@$(CDK) bootstrap
	@$(CDK) deploy

.PHONY: destroy
destroy: setup ## remove the stack from AWS; tables, keys, users stay behind
	@$(CDK) destroy

##### Cleaning up

.PHONY: clean
clean: ## remove everything that was built or installed here
	rm -rf build $(VENV) node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -rf .pytest_cache .hypothesis
