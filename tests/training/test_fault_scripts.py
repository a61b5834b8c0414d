"""The scripts in `benchmarks/faults` name functions of the package that exist, so that an attack is not skipped."""

import importlib
from pathlib import Path

import pytest

from benchmarks.faults import kills
from benchmarks.faults.fuzz_targets import TARGETS

SCRIPTS = sorted(path.stem for path in Path(kills.__file__).parent.glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_can_be_imported(name):
    importlib.import_module(f"benchmarks.faults.{name}")


@pytest.mark.parametrize("phase", kills.PHASES)
def test_every_phase_is_one_of_a_kind_of_work(phase):
    module, name = kills.PHASES[phase]
    found = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    assert callable(found)
    assert sum(phase in phases for phases in kills.OF.values()) == 1


@pytest.mark.long  # trains nothing, but writes files of every format
@pytest.mark.filterwarnings("ignore:left out")
@pytest.mark.parametrize("name", TARGETS)
def test_what_fuzzing_starts_from_is_read(name, tmp_path):
    """Most of the files are whole; those that are not, on purpose, are refused as the target says."""
    target, read = TARGETS[name](), 0
    for data in target.corpus:
        try:
            target.read(data, tmp_path)
            read += 1
        except target.errors:
            pass
    assert read > len(target.corpus) / 2
