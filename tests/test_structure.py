"""The import graph and the sizes of files, as the design wants them."""

from pathlib import Path

import pytest

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
