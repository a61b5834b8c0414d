"""The import graph and the sizes of files, as the design wants them."""

import importlib
import inspect
import pkgutil
import subprocess
from pathlib import Path

import pytest

import cv_attention
from benchmarks.structure import folders, graph

ROOT = Path(__file__).parents[1]


def test_no_imports_go_in_a_circle():
    """Also none inside functions or behind TYPE_CHECKING."""
    pytest.importorskip("grimp")
    assert graph(ROOT)["modules in circles"] == ""


def test_files_are_short():
    assert folders(ROOT)["files above 300 lines"] == []


def test_folders_are_small():
    assert folders(ROOT)["folders of more than 14 files"] == []


def test_no_module_is_hidden_by_a_function():
    """As `maps.record` the function would hide `maps.record` the module, under one name for both."""
    hidden = [
        f"{package.__name__}.{name}"
        for package in packages()
        for name in getattr(package, "__all__", [])
        if (Path(str(package.__file__)).parent / f"{name}.py").exists() and not inspect.ismodule(getattr(package, name))
    ]
    assert hidden == []


def packages():
    found = [cv_attention]
    for entry in pkgutil.walk_packages(cv_attention.__path__, "cv_attention."):
        if entry.ispkg:
            found.append(importlib.import_module(entry.name))
    return found


def test_the_repository_is_small():
    """Weights and pictures that a command left behind are easily committed, and stay in the history for good."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    sizes = {name: (ROOT / name).stat().st_size for name in listed.stdout.split("\0") if (ROOT / name).is_file()}
    assert [name for name, size in sizes.items() if size > 500_000] == []
    assert sum(sizes.values()) < 30e6
