# make run     the terminal front end on a demo taxonomy        make test    what CI runs
# make check   format, lint, types, import contracts            make faults  kill and cut, every point of a session
# make bench   figures of speed, for reading                    make clean   take away what was installed here
# make model   set a model up, to chat with                     make test-vllm   the client against real servers
# make test-page   report.html in a real Chromium               make test-emulate   a pull request on npm's emulate
# make tour    the whole product in a few minutes, offline
SHELL := /bin/sh
.DEFAULT_GOAL := run

# The first Python that runs and is new enough: a name on the path may be a shim that does not.
PYTHON ?= $(shell for one in python3.12 python3.11 python3.13 python3 python; do \
	$$one -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$one; break; }; done)
PIP := .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
PY := .venv/bin/python

.venv/run: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "labbot needs Python 3.11 or newer on the path; install it and run make again."; exit 1; }
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	$(PIP) --editable .
	@touch $@

.venv/dev: .venv/run
	$(PIP) --editable '.[dev,local,mlx,train]'
	@touch $@

.venv/tour: .venv/run
	$(PIP) --editable '.[local,train]'
	@touch $@

.PHONY: run model tour test check faults test-vllm test-page test-emulate bench clean
run: .venv/run
	@$(PY) -m bot terminal

model: .venv/run
	@$(PY) -m pipeline model setup $(NAME)

tour: .venv/tour
	@$(PY) -m pipeline.touring $(ARGS)

check: .venv/dev
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	.venv/bin/lint-imports --no-cache

test: check
	$(PY) -m pytest -n logical --dist loadfile

faults: .venv/dev
	$(PY) -m pytest -m faults

test-vllm: .venv/dev
	$(PY) -m pytest -m vllm tests/vllm

test-page: .venv/dev
	$(PY) -m pytest -m page tests/page -rs -s

test-emulate: .venv/dev
	$(PY) -m pytest -m emulate tests/emulate -rs

bench: .venv/dev
	$(PY) -m tests.bench.shape
	$(PY) -m tests.bench.shell
	$(PY) -m tests.bench.check
	$(PY) -m tests.bench.faq
	$(PY) -m tests.bench.screen --short
	$(PY) -m tests.bench.terminal
	$(PY) -m tests.bench.engine
	$(PY) -m tests.bench.chat
	$(PY) -m tests.bench.pool
	$(PY) -m tests.bench.generation --short
	$(PY) -m tests.bench.duplicates --short
	$(PY) -m tests.bench.training
	$(PY) -m tests.bench.discord --seconds 20 --conversations 20
	$(PY) -m tests.bench.slack --seconds 20 --conversations 20 --workspaces 5

clean:
	rm -rf .venv .cache *.egg-info
