# Runs on a fresh Debian or Ubuntu machine: scripts/prepare installs missing packages.
TOX = .venv/tox/bin/python -m tox

.PHONY: help demo test lint format integration scenarios soak pack release promote lock \
        propose-lock clean

help: ## Show this
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST)

demo: ## Form a cluster of LXD daemons and break it; ARGS="--help" for the options
	@scripts/prepare demo $(ARGS)
	@PYTHONPATH="$(CURDIR)/library/src:$(CURDIR)/src:$(CURDIR)/lib" .venv/demo/bin/python -m demo $(ARGS)

test: ## Lint, check types and run all tests; ARGS="-e unit" for one environment of tox
	@scripts/prepare test $(ARGS)
	@$(TOX) run $(ARGS)

lint: ## Check style, spelling, types, scripts and workflows
	@scripts/prepare tox
	@$(TOX) run -e lint,static

format: ## Format the code and apply automatic fixes
	@scripts/prepare tox
	@$(TOX) run -e format

integration: ## Run the integration tests on Juju 3; ARGS="--driver local" to run them without Juju
	@scripts/prepare integration $(ARGS)
	@$(TOX) run -e integration -- $(ARGS)

scenarios: ## Run the scenarios; ARGS="--cloud=jubilant" to run them on a real Juju
	@scripts/prepare scenarios $(ARGS)
	@$(TOX) run -e scenarios -- $(ARGS)

soak: ## Run many schedules of faults; ARGS="--schedules 20000 --hypothesis-seed 7"
	@scripts/prepare tox
	@$(TOX) run -e soak -- $(ARGS)

pack: ## Pack the charm for this machine's base and build the package, into dist/; test both
	@scripts/prepare pack
	@$(TOX) run -e pack

release: ## Upload the charms in dist/ to Charmhub, and release them to CHANNEL=latest/edge
	@scripts/release upload "$(CHANNEL)"

promote: ## Release the charms of the channel FROM= to the channel TO=
	@scripts/release promote "$(FROM)" "$(TO)"

lock: ## Lock the dependencies; ARGS="--upgrade" for the newest versions
	@scripts/prepare tox
	@$(TOX) run -e lock -- $(ARGS)

propose-lock: ## Open a pull request with the changes of `make lock`, by GitHub's gh
	@scripts/propose-lock

clean: ## Remove environments, packed charms and caches
	rm -rf .hypothesis .pytest_cache .ruff_cache .tox .venv dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
