# Two commands: `make run` ends with a shop that you can search, `make test` checks everything.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHOP ?= shop
STAMP := $(VENV)/.installed

.PHONY: run test lint types imports unit serve-size lock clean

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("wares needs Python 3.11 or newer; set PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	# torch first and pinned: a later build would bring several GB of CUDA packages
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(STAMP)

run: $(STAMP)
	$(BIN)/wares demo $(SHOP)
	$(BIN)/wares serve --shop $(SHOP) --console

test: lint types imports unit

lint: $(STAMP)
	$(BIN)/ruff check -q .
	$(BIN)/ruff format -q --check .

types: $(STAMP)
	$(BIN)/pyright --pythonpath $(BIN)/python

imports: $(STAMP)
	$(BIN)/lint-imports

unit: $(STAMP)
	$(BIN)/pytest -q -n 2 --dist loadfile --cov --cov-report=term:skip-covered --cov-report=

# The size of an install that only serves: no torch, no data engine, no console.
serve-size:
	rm -rf serve-venv && $(PYTHON) -m venv serve-venv
	serve-venv/bin/pip install -q --disable-pip-version-check -c constraints.txt .
	du -sm serve-venv/lib | cut -f1

lock: $(STAMP)
	$(BIN)/pip freeze --exclude-editable | grep -v '^nvidia\|^triton' > constraints.txt

clean:
	rm -rf $(VENV) serve-venv
