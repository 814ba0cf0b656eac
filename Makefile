# Runs on a fresh Debian or Ubuntu machine: scripts/prepare installs what is missing.
TOX = .venv/tox/bin/python -m tox

.PHONY: help demo test lint format integration soak list-integration pack release promote lock \
        propose-lock clean

help: ## Show this
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST)

demo: ## Form a cluster of LXD daemons and break it; ARGS="--help" for the options
	@scripts/prepare demo $(ARGS)
	@PYTHONPATH="$(CURDIR)/library/src:$(CURDIR)/src:$(CURDIR)/lib" .venv/demo/bin/python -m demo $(ARGS)

test: ## Lint, check types and run all tests; ARGS="-e unit" for one environment of tox
	@scripts/prepare test $(ARGS)
	@$(TOX) run $(ARGS)

lint: ## Check style, spelling, types, shell scripts and workflows
	@scripts/prepare tox
	@$(TOX) run -e lint,static

format: ## Format the code and put right what can be put right without asking
	@scripts/prepare tox
	@$(TOX) run -e format

integration: ## Tell the stories on a Juju; ARGS="--driver local" for one in memory, on LXD daemons
	@scripts/prepare integration $(ARGS)
	@$(TOX) run -e integration -- $(ARGS)

soak: ## Run many schedules of faults; ARGS="--schedules 20000 --hypothesis-seed 7"
	@scripts/prepare tox
	@$(TOX) run -e soak -- $(ARGS)

list-integration: ## List the modules of the integration tests, as JSON for a workflow's output
	@/usr/bin/python3 scripts/integration_modules.py

pack: ## Pack the charm for this machine's own base and build the package, into dist/; try both
	@scripts/prepare pack
	@$(TOX) run -e pack

release: ## Upload the charms in dist/ to Charmhub and release them to CHANNEL=latest/edge
	@scripts/release upload "$(CHANNEL)"

promote: ## Release to channel TO= what channel FROM= holds
	@scripts/release promote "$(FROM)" "$(TO)"

lock: ## Lock the dependencies anew; ARGS="--upgrade" for the newest versions
	@scripts/prepare tox
	@$(TOX) run -e lock -- $(ARGS)

propose-lock: ## Open a pull request with what `make lock` changed, by GitHub's gh
	@scripts/propose-lock

clean: ## Remove environments, packed charms and caches
	rm -rf .hypothesis .pytest_cache .ruff_cache .tox .venv dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
