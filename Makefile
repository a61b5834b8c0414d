# `make demo` trains the embedded default and prints the path of its report; `make test` runs all checks, and the tests
# but the long ones.
VENV ?= .venv
PYTHON ?= python3
# Installs where it is found, unless it is set to nothing: `make UV= test` takes venv and pip.
UV ?= uv
BIN := $(VENV)/bin
TESTS ?= tests
QUICK := -n 2 --dist worksteal -m "not long and not shared"
# Every package's warnings are errors, but for two: the compiler of torch 2.11; Lightning 2.6 with torch 2.15.
STRICT := -W error -W "ignore:The .grad attribute of a Tensor that is not a leaf Tensor is being accessed:UserWarning" \
	-W "ignore:\`isinstance(treespec, LeafSpec)\` is deprecated:FutureWarning"
export NO_ALBUMENTATIONS_UPDATE = 1

.PHONY: help demo docs test test-strict test-shared test-long test-versions format clean \
	check check-types check-style check-layers check-words

help:
	@echo "make demo           trains a small network for two minutes and prints the path of its report"
	@echo "make test           style, types, layers, wording, and all tests but the long ones"
	@echo "make test-long      the tests that take minutes"
	@echo "make test-strict    make test, with every package's warnings as errors"
	@echo "make test-versions  the tests that other packages can break, on their lowest and newest versions"
	@echo "make test-shared    the tests on real photographs, if they are next to the repository"
	@echo "make docs           builds the site of guides and API reference, and prints the path of its first page"
	@echo "make check          style, types, layers and wording"
	@echo "make format         fixes the style"
	@echo "make clean          removes the environment"
	@echo "UV= takes pip and venv; PYTHON=python3.12 another interpreter; VENV=folder another environment"

demo: $(VENV)/.installed
	$(BIN)/python train.py --config configs/digits.yaml

test: check
	$(BIN)/python -m pytest $(QUICK) $(TESTS)

# For those who work on this package: other packages' warnings say what their next versions will break.
test-strict: check
	$(BIN)/python -m pytest $(QUICK) $(STRICT) $(TESTS)

# On real photographs, if they are next to the repository.
test-shared: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m shared $(TESTS)

# Minutes rather than seconds: every family of networks, every block through the compilers.
test-long: $(VENV)/.installed-zoo
	$(BIN)/python -m pytest -n 2 --dist worksteal --timeout 900 -m long $(TESTS)

# The lowest, the pip-resolved and the newest versions that pyproject.toml allows, each in an environment of its own.
test-versions:
	UV="$(UV)" $(PYTHON) tests/versions.py $(VERSIONS)

# Links are checked; the pages open from file:// and load nothing from the network.
docs: $(VENV)/.installed-docs
	$(BIN)/python docs/site/build.py

# Side by side: the type checker takes as long as the others together.
check: $(VENV)/.installed-test
	@$(MAKE) --no-print-directory -j2 --output-sync=target check-types check-style check-layers check-words

check-types:
	$(BIN)/pyright --pythonpath $(BIN)/python

check-style:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

check-layers:
	$(BIN)/lint-imports

check-words:
	$(BIN)/python docs/words.py

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV)

$(VENV)/.installed: pyproject.toml
	$(call install,-e '.[train]')

$(VENV)/.installed-test: pyproject.toml
	$(call install,-e '.[test]')
	@touch $(VENV)/.installed

# And the libraries whose networks only the long tests look at. A comma would end the argument of `call`.
$(VENV)/.installed-zoo: $(VENV)/.installed-test
	$(call install,-e '.[zoo]')

$(VENV)/.installed-docs: pyproject.toml
	$(call install,-e '.[docs]')

# uv chooses an interpreter unless PYTHON names one.
define install
	@if [ -n "$(UV)" ] && command -v "$(UV)" >/dev/null; then \
		set -ex; \
		"$(UV)" venv --quiet --allow-existing $(if $(filter file,$(origin PYTHON)),,--python "$(PYTHON)") $(VENV); \
		"$(UV)" pip install --quiet --python $(BIN)/python $(1); \
	else \
		set -ex; $(PYTHON) -m venv $(VENV); $(BIN)/python -m pip install --quiet --disable-pip-version-check $(1); \
	fi
	@touch $@
endef
