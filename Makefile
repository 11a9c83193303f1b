# One way to run things. `make` alone lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/sh
MAKEFLAGS += --no-builtin-rules --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
# The system's own Python where it is new enough: services run as an account that can't enter anyone's home.
PYTHON := $(shell for p in /usr/bin/python3 python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
# The system's Node where it is new enough, else the one from PyPI in the environment.
NODE_FITS := $(shell node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' 2>/dev/null && echo yes)
# An ACME client, only where the stack file asks an ACME CA.
ACME := $(shell grep -E '^ *certificates *= *"acme"' neurmatic.toml)
# Where images go, and what they are called.
REGISTRY ?= localhost
VERSION ?= $(shell sed -n 's/^version = "\(.*\)"/\1/p' neurmatic.toml | head -1)
export PATH := $(CURDIR)/$(BIN):$(PATH)

BACKEND_FILES := $(shell find backend/src backend/pyproject.toml -type f -not -name '*.pyc' 2>/dev/null)
FRONTEND_FILES := $(shell find frontend -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)

# What follows a failed installation: one clear next step. No target counts as made, so the next run takes up again.
OR_SAY = || { echo "$(1) could not be installed" >&2; echo "  next: see that the package registries are reachable, then run make again" >&2; exit 1; }

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---- running

.PHONY: up
up: build ## install what is missing, start the whole stack, say where it is and how it stands
	@$(BIN)/neurmatic up
	@$(BIN)/neurmatic verify --quick

.PHONY: down
down: ## stop the stack and keep its data
	@test -x $(BIN)/neurmatic || { echo "nothing was ever started here"; exit 0; }; $(BIN)/neurmatic down

.PHONY: status
status: ## show how the stack stands
	@$(BIN)/neurmatic status

# ---- building

.PHONY: build
build: packages $(VENV)/.tool build/.wheel frontend/dist/.built ## make everything that a release consists of

.PHONY: packages
packages:
	@scripts/install-packages $$(cat ops/src/neurmatic/remote/packages.txt) \
		$(if $(ACME),lego:lego) \
		$(if $(PYTHON),,python3:python3 '/usr/lib/python3.*/ensurepip:python3-venv')

$(UV): requirements/uv.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with its venv module is missing" >&2; echo "  next: as root, apt-get install python3 python3-venv" >&2; exit 1; }
	@echo "making the Python environment $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt $(call OR_SAY,uv)
	@touch $@

$(VENV)/.tool: $(UV) requirements/ops.txt ops/pyproject.toml
	@echo "installing the operator's tool and what it needs"
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/ops.txt $(if $(NODE_FITS),,-r requirements/node.txt) $(call OR_SAY,the packages of requirements/ops.txt)
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable ops
	@touch $@

build/.wheel: $(VENV)/.tool $(BACKEND_FILES)
	@echo "building the platform's wheel"
	@rm -rf build/wheels
	@$(UV) build --quiet --wheel --no-build-isolation --python $(BIN)/python --out-dir build/wheels backend
	@rm -f build/wheels/.gitignore
	@touch $@

frontend/node_modules/.installed: $(VENV)/.tool frontend/package-lock.json
	@echo "installing the frontend's packages"
	@cd frontend && npm ci --no-audit --no-fund --loglevel=error $(call OR_SAY,the packages of frontend/package-lock.json)
	@touch $@

frontend/dist/.built: frontend/node_modules/.installed $(FRONTEND_FILES)
	@echo "building the frontend"
	@cd frontend && npm run --silent build -- --logLevel warn
	@touch $@

# ---- testing

.PHONY: dev
dev: build $(VENV)/.dev

$(VENV)/.dev: $(VENV)/.tool requirements/dev.txt backend/pyproject.toml
	@echo "installing what the tests need"
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt $(call OR_SAY,the packages of requirements/dev.txt)
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable ops --editable backend
	@touch $@

PYTEST := $(BIN)/python -m pytest --quiet
COVER := $(BIN)/python -m coverage run --parallel-mode -m pytest --quiet

# Suites that start whole stacks. They wait more than they compute: four at once keep two cores busy. Those with containers compute most,
# and are spread among the others; the longest come early.
SLOW := test-container-controls test-releases test-acceptance test-restores test-contained-releases test-base-backups test-deploy-controls test-contained \
	test-edge test-readiness test-backup-controls test-containers test-faults test-stores test-development-controls test-recovery-controls \
	test-theirs test-remote-containers test-remote test-certificates test-platform

.PHONY: test
test: dev test-packages ## everything: lint, types, units, frontend, acceptance, readiness, platform, backups, browser
	@rm -f .coverage .coverage.*
	@$(MAKE) lint types
	@$(MAKE) --jobs=3 --output-sync=target test-backend test-ops test-frontend
	@$(MAKE) --jobs=4 --output-sync=target $(SLOW)
	@$(MAKE) test-browser
	@$(MAKE) coverage

.PHONY: test-packages
test-packages:
	@scripts/install-packages chromium:chromium certutil:libnss3-tools lego:lego snooze:snooze faketime:faketime mmdebstrap:mmdebstrap

.PHONY: lint
lint: dev ## ruff, import layers, the Dockerfiles, the platform's migrations, the frontend's lint
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/neurmatic migrations --all
	@$(BIN)/hadolint $(wildcard backend/Dockerfile frontend/Dockerfile deploy/images/*/Dockerfile)
	@cd frontend && npm run --silent lint

.PHONY: types
types: dev ## mypy, strict
	@$(BIN)/mypy ops/src/neurmatic backend/src/neurmatic_backend

.PHONY: test-ops
test-ops: dev ## the tool's own tests
	@$(COVER) ops/tests

# The TLS scanner has an environment of its own: it takes no cryptography as new as the product's.
build/sslyze/.installed: $(UV) requirements/sslyze.txt
	@echo "installing the TLS scanner"
	@$(UV) venv --quiet --clear --no-project --python $(BIN)/python build/sslyze
	@$(UV) pip install --quiet --python build/sslyze/bin/python --require-hashes -r requirements/sslyze.txt $(call OR_SAY,the TLS scanner)
	@touch $@

.PHONY: test-backend
test-backend: dev ## the platform's tests, against real PostgreSQL and Redis
	@$(COVER) backend/tests

.PHONY: test-frontend
test-frontend: dev ## the site's types and tests
	@cd frontend && npm run --silent types:check && npm run --silent typecheck && npm run --silent test

.PHONY: test-acceptance
test-acceptance: dev test-packages build/sslyze/.installed ## the whole system, broken in every way that it must survive
	@$(COVER) tests/acceptance --ignore tests/acceptance/test_certificates.py

.PHONY: test-certificates
test-certificates: dev test-packages ## certificates issued and renewed by a real ACME server
	@$(COVER) tests/acceptance/test_certificates.py tests/readiness/test_certificate_controls.py

.PHONY: test-edge
test-edge: dev ## the edge's readiness checks, green as rendered and red for each broken configuration
	@$(COVER) tests/readiness/test_edge_controls.py

.PHONY: test-backup-controls
test-backup-controls: dev test-packages ## the readiness checks of backups, green on a whole stack and red on each broken one
	@$(COVER) tests/readiness/test_backup_controls.py

.PHONY: test-recovery-controls
test-recovery-controls: dev test-packages ## the readiness checks of recovery, likewise
	@$(COVER) tests/readiness/test_recovery_controls.py

.PHONY: test-stores
test-stores: dev test-packages build/swift-venv/.installed ## the stores of backups and what is kept in them, against real S3-compatible servers
	@$(COVER) tests/backups/test_stores.py tests/backups/test_store_faults.py tests/backups/test_lifecycle.py tests/backups/test_prune.py tests/backups/test_dumps_s3.py

.PHONY: test-base-backups
test-base-backups: dev test-packages ## base backups, the archive, and any second of it
	@$(COVER) tests/backups/test_physical.py tests/backups/test_any_second.py

.PHONY: test-faults
test-faults: dev test-packages build/swift-venv/.installed ## backups broken in every way that they must survive, and by the clock
	@$(COVER) tests/backups/test_faults.py tests/backups/test_schedule.py

.PHONY: test-restores
test-restores: dev test-packages build/swift-venv/.installed ## restores, the runbook as it is written, and a fresh server
	@$(COVER) tests/backups/test_fresh_server.py tests/backups/test_restore.py tests/backups/test_runbook.py

.PHONY: test-remote
test-remote: dev test-packages ## commands on a server that ssh reaches, from the first bootstrap on
	@$(COVER) tests/remote --ignore tests/remote/test_containers.py

.PHONY: test-remote-containers
test-remote-containers: dev test-packages test-container-packages ## a server that ssh reaches, and the stack as containers on it
	@$(COVER) tests/remote/test_containers.py

# An environment of its own: a server to test against, no part of the product.
build/swift-venv/.installed: $(UV) requirements/swift.txt
	@echo "installing OpenStack Swift, a strict S3-compatible server for the tests"
	@$(UV) venv --quiet --clear --no-project --python $(BIN)/python build/swift-venv
	@$(UV) pip install --quiet --python build/swift-venv/bin/python --require-hashes -r requirements/swift.txt $(call OR_SAY,the packages of requirements/swift.txt)
	@touch $@

RELEASES := $(patsubst tests/releases/%.py,releases-%,$(wildcard tests/releases/test_*.py))

.PHONY: test-releases $(RELEASES)
test-releases: $(RELEASES) ## deploys and rollbacks: good days, bad releases, killed and interrupted at every step (--jobs=5 for speed)

$(RELEASES): releases-%: dev test-packages
	@$(COVER) tests/releases/$*.py

.PHONY: test-readiness
test-readiness: dev ## every readiness check, green on a whole application and red on each broken one
	@$(COVER) tests/readiness/test_controls.py

.PHONY: test-deploy-controls
test-deploy-controls: dev test-packages ## the readiness checks of deploys, green on a whole stack and red for each thing left out
	@$(COVER) tests/readiness/test_deploy_controls.py

.PHONY: test-containers
test-containers: dev test-container-packages ## the images and the compose files, on a real engine
	@$(PYTEST) $(addprefix tests/containers/test_,images.py production.py staging.py development.py)

.PHONY: test-theirs
test-theirs: dev test-packages test-container-packages ## applications that nobody here wrote, as containers
	@$(COVER) tests/containers/test_theirs.py

.PHONY: test-contained
test-contained: dev test-packages test-container-packages ## this repository's stack run as containers by the tool, on a real engine
	@$(COVER) tests/containers/test_running.py

.PHONY: test-contained-releases
test-contained-releases: dev test-packages test-container-packages ## deploys and rollbacks of containers: good, bad, killed, and from a registry
	@$(COVER) tests/containers/test_rolling.py

.PHONY: test-container-controls
test-container-controls: dev test-packages test-container-packages ## the readiness checks of containers, green in production, red for each thing broken
	@$(COVER) tests/containers/controls

.PHONY: test-development-controls
test-development-controls: dev test-packages test-container-packages ## the readiness check of development in containers, likewise
	@$(COVER) tests/containers/test_development_controls.py

.PHONY: test-container-packages
test-container-packages:
	@scripts/install-packages dockerd:docker.io docker-init:tini ip:iproute2 docker-registry:docker-registry iptables:iptables mmdebstrap:mmdebstrap openssl:openssl

.PHONY: test-platform
test-platform: dev ## this repository's stack, started and proven
	@$(COVER) tests/platform

.PHONY: test-browser
test-browser: dev test-packages ## the site in a real browser
	@$(PYTEST) tests/browser

.PHONY: coverage
coverage: ## report the branch coverage of the runs so far
	@$(BIN)/coverage combine --quiet && $(BIN)/coverage report --skip-covered --precision=1

# ---- documents and figures

.PHONY: docs
docs: dev ## generate the reference pages and the OpenAPI document
	@$(BIN)/neurmatic reference > docs/reference/stack-file.md
	@$(BIN)/neurmatic-backend openapi > docs/reference/openapi.json
	@cd frontend && npm run --silent types

# Replaced but for secrets/, which the operator's own copy may hold.
.PHONY: compose-files
compose-files: $(VENV)/.tool ## write deploy/ from the stack file: what `docker compose` needs, by environment
	@for environment in development staging production; do \
		rm -rf build/compose deploy/$$environment/config && \
		$(BIN)/neurmatic render --runtime containers --environment $$environment build/compose >/dev/null && \
		mkdir -p deploy/$$environment && cp -a build/compose/. deploy/$$environment/ || exit 1; \
	done

.PHONY: images
images: ## build the production images with this machine's Docker; REGISTRY and VERSION name them
	@for image in backend:backend/Dockerfile frontend:frontend/Dockerfile edge:deploy/images/edge/Dockerfile; do \
		docker build --file $${image#*:} --target production --tag $(REGISTRY)/$${image%%:*}:$(VERSION) \
			--build-arg VERSION=$(VERSION) --build-arg REVISION="$$(git rev-parse HEAD)" . || exit 1; \
	done

.PHONY: screenshots
screenshots: up test-packages ## take the documentation's pictures from the running stack
	@$(BIN)/neurmatic verify || true
	@$(BIN)/python scripts/screenshots.py

COMPILE := uv pip compile --quiet --upgrade --generate-hashes --no-header --no-annotate --python-version 3.11

.PHONY: requirements
requirements: $(UV) ## compile the pinned and hashed requirements from the pyproject files
	@cd requirements && $(COMPILE) uv.in -o uv.txt && $(COMPILE) node.in -o node.txt
	@cd requirements && $(COMPILE) ops.in ../ops/pyproject.toml -o ops.txt
	@cd requirements && $(COMPILE) ../backend/pyproject.toml -o backend.txt
	@cd requirements && $(COMPILE) bench.in -o bench.txt && $(COMPILE) swift.in -o swift.txt && $(COMPILE) reload.in -o reload.txt
	@cd requirements && $(COMPILE) sslyze.in -o sslyze.txt
	@cd requirements && $(COMPILE) dev.in ../backend/pyproject.toml --group ../backend/pyproject.toml:dev -o dev.txt

.PHONY: bench
bench: dev bench-packages build/bench-venv/.installed bench/peers/node_modules/.installed ## measure, side by side with the peers; BENCH="--quick" for less
	@$(BIN)/python bench/run.py $(BENCH)

.PHONY: bench-backups
bench-backups: dev ## measure backups and restores, side by side with the usual script and the engines bare; about half an hour
	@$(BIN)/python bench/backups.py --write $(BENCH)

.PHONY: bench-deploys
bench-deploys: dev build ## measure deploys, rollbacks, scaling and faults under load, in both runtimes; about half an hour, of one round (BENCH="--rounds 1") twelve minutes
	@$(BIN)/python bench/deploys.py --write $(BENCH)

.PHONY: bench-packages
bench-packages:
	@scripts/install-packages wrk:wrk hyperfine:hyperfine h2load:nghttp2-client

# An environment of the peers' own, so that the product's stays what it is.
build/bench-venv/.installed: $(UV) requirements/bench.txt
	@echo "installing the Python peers"
	@$(UV) venv --quiet --clear --no-project --python $(BIN)/python build/bench-venv
	@$(UV) pip install --quiet --python build/bench-venv/bin/python --compile-bytecode --require-hashes -r requirements/bench.txt
	@touch $@

bench/peers/node_modules/.installed: $(VENV)/.tool bench/peers/package-lock.json
	@echo "installing the Node peers"
	@cd bench/peers && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: clean
clean: ## remove what was built; the state folder stays
	@rm -rf build frontend/dist frontend/node_modules bench/peers/node_modules $(VENV) .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache
