# `make demo` trains the embedded default and prints the path of its report; `make test` runs all checks, and the tests
# but the long ones.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
TESTS ?= tests
export NO_ALBUMENTATIONS_UPDATE = 1

.PHONY: demo test test-shared test-long check format clean

demo: $(VENV)/.installed
	$(BIN)/python train.py --config configs/digits.yaml

test: check
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not long and not shared" $(TESTS)

# On real photographs, where they lie beside the repository.
test-shared: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m shared $(TESTS)

# Minutes rather than seconds: every family of networks, every block through the compilers.
test-long: $(VENV)/.installed-zoo
	$(BIN)/python -m pytest -n 2 --dist worksteal --timeout 900 -m long $(TESTS)

check: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV)

# uv where it is present, venv and pip where it is not.
$(VENV)/.installed: pyproject.toml
	$(call install,-e .)

$(VENV)/.installed-test: pyproject.toml
	$(call install,-e '.[test]')
	@touch $(VENV)/.installed

# And the libraries whose networks only the long tests look at.
$(VENV)/.installed-zoo: $(VENV)/.installed-test
	$(call install,-e '.[test,zoo]')

define install
	@if command -v uv >/dev/null; then \
		set -ex; uv venv --quiet --allow-existing $(VENV); uv pip install --quiet --python $(BIN)/python $(1); \
	else \
		set -ex; $(PYTHON) -m venv $(VENV); $(BIN)/python -m pip install --quiet --disable-pip-version-check $(1); \
	fi
	@touch $@
endef
