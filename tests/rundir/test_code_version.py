"""The version of the code tells edits of one commit apart; a repository is made for the test."""

import shutil
import subprocess
from pathlib import Path

import pytest

from cv_attention.rundir import code_version as module
from cv_attention.version import __version__

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package in a repository with one commit, in the place of this one."""
    package = tmp_path / "package"
    (package / "rundir").mkdir(parents=True)
    (package / "model.py").write_text("a = 1\n")
    (tmp_path / "notes.md").write_text("first\n")
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "one"],
    ):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    monkeypatch.setattr(module, "__file__", str(package / "rundir/code_version.py"))
    return package


def version():
    return module.code_version.__wrapped__()


def test_a_clean_checkout_is_its_commit(package):
    head = subprocess.run(["git", "-C", str(package), "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert version() == f"{__version__}+{head.stdout[:12]}"


def test_edits_are_told_apart(package):
    clean, model = version(), package / "model.py"
    model.write_text("a = 2\n")
    first = version()
    model.write_text("a = 3\n")
    second = version()
    (package / "new block é.py").write_text("b = 1\n")
    third = version()
    model.unlink()
    assert len({clean, first, second, third, version()}) == 5
    assert first.startswith(f"{clean}-dirty-")
    subprocess.run(["git", "-C", str(package), "checkout", "-q", "."], check=True)
    (package / "new block é.py").unlink()
    assert version() == clean


def test_what_is_not_the_package_does_not_count(package):
    (package.parent / "notes.md").write_text("second\n")
    (package.parent / "config.yaml").write_text("seed: 0\n")
    assert "dirty" not in version()


def test_an_installed_package_is_its_version(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "__file__", str(Path(tmp_path) / "package/rundir/code_version.py"))
    assert version() == __version__
