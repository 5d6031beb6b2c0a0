# make        everything, running: the site, the sandbox utilities, worker and scheduler, PostgreSQL and Valkey
# make test   the tests
# make help   the rest
.DEFAULT_GOAL := run
.PHONY: run stop test chaos bench lint deploy-check format clean help manage messages
.SILENT:

# A new Python process costs twice as much where nothing compiled is kept, and the tests start hundreds.
unexport PYTHONDONTWRITEBYTECODE

UV_VERSION := 0.13.8
PYTHON := .venv/bin/python
INSTALLED := .venv/.installed
# the sandbox's pages are Jinja's, not Django's
TEMPLATES := git ls-files --cached --others --exclude-standard 'templates/*.html' ':!templates/sandbox'

$(INSTALLED): pyproject.toml uv.lock portal/local/bootstrap.sh
	uv=$$(sh portal/local/bootstrap.sh $(UV_VERSION)) && UV_PYTHON_DOWNLOADS=never "$$uv" sync --frozen --quiet
	touch $@

run: $(INSTALLED)  ## run everything; ports: make PORT=8080 SANDBOX_PORT=8081 SANDBOX_TLS_PORT=8082
	exec $(PYTHON) -m portal.local run

stop: $(INSTALLED)  ## stop what make started
	$(PYTHON) -m portal.local stop

manage: $(INSTALLED)  ## a manage.py command on the same database: make manage do="createsuperuser"
	$(PYTHON) -m portal.local manage $(do)

test: $(INSTALLED)  ## the tests, side by side; some of them, one by one: make test only="tests/espi -k daylight"
	$(PYTHON) -m pytest $(or $(only),-n 5 --dist loadscope --no-loadscope-reorder)

chaos: $(INSTALLED)  ## what goes wrong with processes, networks and utilities, done on purpose; some of it: make chaos only="F09 workers"
	$(PYTHON) -m tests.chaos $(only)

.venv/.bench: $(INSTALLED)
	uv=$$(sh portal/local/bootstrap.sh $(UV_VERSION)) && UV_PYTHON_DOWNLOADS=never "$$uv" sync --frozen --quiet --group bench
	touch $@

bench: .venv/.bench  ## what was promised of speed, memory and space, measured; some of it: make bench only="--only parsing --rounds 9"
	$(PYTHON) -m tests.bench $(only)

lint: $(INSTALLED)  ## style, formatting of code and templates, types
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	$(TEMPLATES) | xargs -r .venv/bin/djade --target-version 5.2 --check
	.venv/bin/mypy

deploy-check: $(INSTALLED)  ## the files of a deployment: compose schema, Dockerfile, proxy, list of variables
	uv=$$(sh portal/local/bootstrap.sh $(UV_VERSION)) && UV_PYTHON_DOWNLOADS=never "$$uv" sync --frozen --quiet --group deploy
	.venv/bin/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	.venv/bin/hadolint Dockerfile
	SITE_ADDRESS=localhost .venv/bin/caddyserver validate --config deploy/Caddyfile --adapter caddyfile 2>&1 | tail -n 1
	SECRET_KEY=none $(PYTHON) manage.py env_example --check

format: $(INSTALLED)  ## rewrite code and templates in the common style
	.venv/bin/ruff check --fix --exit-zero
	.venv/bin/ruff format
	$(TEMPLATES) | xargs -r .venv/bin/djade --target-version 5.2 || true

messages: $(INSTALLED)  ## bring new texts into locale/*/django.po, and compile them: docs/translations.md
	$(PYTHON) -m tests.messages

clean:  ## remove everything make made: packages, caches, and the demo data in var/
	if [ -x $(PYTHON) ]; then $(PYTHON) -m portal.local stop; fi
	rm -rf .venv .uv var staticfiles .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## this list
	sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 16
