# make demo    installs what is missing, draws a toy product, trains on it, and says where the pictures are
# make test    installs what is missing, checks the style and runs the tests
# make audit   asks for known vulnerabilities of the pinned versions, where there is a network
#
# Both work in .venv and install again only after pyproject.toml or constraints.txt changed.
# Another Python: make PYTHON=python3.12 demo

PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/pip
INSTALL := $(PIP) install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test audit
.DELETE_ON_ERROR:

demo: $(VENV)/train.stamp
	rm -rf demo/toy demo/run
	$(VENV)/bin/protores demo --out demo

# One torch thread per test process: they share the cores.
test: export OMP_NUM_THREADS := 1
test: $(VENV)/dev.stamp
	$(VENV)/bin/ruff check .
	$(VENV)/bin/pytest -n auto -m "not long"

# In an environment of its own: what it brings is none of ours.
audit: $(VENV)/audit/bin/python
	-$(VENV)/audit/bin/pip install --quiet --disable-pip-version-check pip-audit
	$(VENV)/audit/bin/python tools/audit.py

$(VENV)/audit/bin/python: | $(PIP)
	$(PYTHON) -m venv $(VENV)/audit

$(VENV)/train.stamp: pyproject.toml constraints.txt | $(PIP)
	$(INSTALL) -e '.[train]'
	touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(PIP)
	$(INSTALL) -e '.[train,dev]'
	touch $@ $(VENV)/train.stamp

$(PIP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "protores needs Python 3.11 or newer; name one: make PYTHON=python3.12 demo" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) \
		|| { echo "this Python cannot make virtual environments; install its venv package (apt: python3-venv)" >&2; exit 1; }
