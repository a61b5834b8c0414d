"""How the environments are made, by uv and by pip, with stand-ins for both; and the table of versions that passed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import versions

ROOT = Path(__file__).parents[1]
STAND_IN = """#!/bin/sh
echo "$(basename "$0") $*" >> "$CALLS"
for last; do :; done
case "$1 $2" in "-m venv" | "venv --quiet") mkdir -p "$last/bin" && cp "$0" "$last/bin/python";; esac
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine whose `uv` and `python3` only write down what they were called with."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("uv", "python3", "python3.99"):
        (programs / name).write_text(STAND_IN)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    for name in ("UV", "PYTHON", "MAKEFLAGS", "MAKELEVEL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def made(machine, *variables):
    """What was called to install for the tests."""
    target = machine / "env"
    command = ["make", "-C", str(ROOT), f"VENV={target}", f"{target}/.installed-test", *variables]
    subprocess.run(command, check=True, capture_output=True)
    assert (target / ".installed").exists()
    calls = (machine / "calls").read_text()
    return calls.replace(str(target), "ENV").splitlines()


def test_uv_installs_where_it_is_found(machine):
    install = "uv pip install --quiet --python ENV/bin/python -e .[test]"
    assert made(machine) == ["uv venv --quiet --allow-existing ENV", install]
    (machine / "calls").unlink()
    (machine / "env" / ".installed-test").unlink()
    chosen = made(machine, "PYTHON=python3.99")
    assert chosen == ["uv venv --quiet --allow-existing --python python3.99 ENV", install]


@pytest.mark.parametrize("variable", ["UV=", "UV=no-such-program"])
def test_pip_installs_where_uv_is_hidden_or_missing(machine, variable):
    install = "python -m pip install --quiet --disable-pip-version-check -e .[test]"
    assert made(machine, variable) == ["python3 -m venv ENV", install]


@pytest.mark.parametrize(("variable", "pip"), [("UV=", "python -m pip install"), ("UV=uv", "uv pip install")])
def test_long_tests_install_the_networks_of_other_libraries(machine, variable, pip):
    target = machine / "env"
    command = ["make", "-C", str(ROOT), f"VENV={target}", f"{target}/.installed-zoo", variable]
    subprocess.run(command, check=True, capture_output=True)
    last = (machine / "calls").read_text().splitlines()[-1]
    assert last.startswith(pip)
    assert last.endswith("-e .[zoo]")


def test_uv_is_hidden_by_the_environment_too(machine, monkeypatch):
    monkeypatch.setenv("UV", "")
    assert made(machine)[0] == "python3 -m venv ENV"


def test_versions_are_resolved_by_the_program_that_their_name_says(machine, monkeypatch):
    monkeypatch.setattr(versions, "FOLDER", machine)
    monkeypatch.setattr(sys, "executable", str(machine / "programs" / "python3"))
    for name in versions.NAMES:
        assert not versions.is_ready(name)
        versions.install(name)
        assert versions.is_ready(name)
    calls = (machine / "calls").read_text().replace(str(machine), "")
    assert calls.splitlines() == [
        "uv venv --quiet --clear --python /programs/python3 /lowest",
        "uv pip install --quiet --resolution lowest-direct --python /lowest/bin/python -e .[test]",
        "python3 -m venv --clear /pip",
        "python -m pip install --quiet -e .[test]",
        "uv venv --quiet --clear --python /programs/python3 /newest",
        "uv pip install --quiet --resolution highest --python /newest/bin/python -e .[test]",
    ]


def test_uv_comes_by_pip_where_it_is_missing(machine, monkeypatch):
    monkeypatch.setattr(versions, "FOLDER", machine)
    monkeypatch.setattr(sys, "executable", str(machine / "programs" / "python3"))
    monkeypatch.setenv("UV", "")
    assert versions.find_uv() == str(machine / "uv" / "bin" / "uv")
    assert (machine / "calls").read_text().splitlines()[1] == "python -m pip install --quiet uv"


def test_the_table_tells_failures(tmp_path):
    report = tmp_path / "report.xml"
    report.write_text(
        '<testsuites><testsuite name="pytest" errors="1" failures="2" skipped="3" tests="10" time="61.7"/></testsuites>'
    )
    found = versions.counts(report)
    assert found == {"passed": 4, "failed": 3, "skipped": 3, "seconds": 62}
    assert versions.counts(tmp_path / "none.xml")["passed"] == 0
    row = {"versions": "pip", "python": "3.12.1", **dict.fromkeys(versions.PACKAGES, "1.0"), **found}
    assert versions.as_table([row]).splitlines()[2].startswith("| pip | 3.12.1 | 1.0 |")
    assert versions.as_table([row]).endswith("| 4 | 3 | 3 | 62 |\n")
