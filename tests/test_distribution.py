"""The wheel and the source distribution: what they hold, and what they say about themselves."""

import email
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from markdown_it import MarkdownIt  # comes with rich

pytest.importorskip("hatchling")
from docs import release

ROOT = Path(__file__).parents[1]
ADDRESS = "https://example.org/someone/cv_attention"
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    pytest.importorskip("hatchling")
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(out)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1", "CV_ATTENTION_URL": ADDRESS}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def wheel(built) -> zipfile.ZipFile:
    [path] = built.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.fixture(scope="module")
def metadata(wheel) -> email.message.Message:
    return described(wheel)


def described(wheel: zipfile.ZipFile) -> email.message.Message:
    [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    return email.message_from_string(wheel.read(name).decode())


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel):
    listed = subprocess.run(["git", "ls-files", "cv_attention"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == set(listed.stdout.split())
    assert "cv_attention/py.typed" in held


def test_the_core_depends_on_three_packages_with_lower_bounds(metadata):
    core = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    assert sorted(line.split(">=")[0] for line in core) == ["numpy", "pillow", "torch"]
    assert not any("<" in line or "==" in line for line in core)


def test_the_metadata_is_what_an_index_shows(metadata):
    assert metadata["Author"] == "The cv_attention authors"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "Typing :: Typed" in metadata.get_all("Classifier")
    assert "Grad-CAM" in metadata["Keywords"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload().lstrip().startswith("# cv_attention")


def test_a_release_links_to_its_repository(metadata):
    urls = dict(line.split(", ") for line in metadata.get_all("Project-URL"))
    assert urls["Homepage"] == ADDRESS
    assert urls["Issues"] == f"{ADDRESS}/issues"


def test_the_readme_of_a_release_has_absolute_links_alone(metadata):
    text = metadata.get_payload()
    markdown = MarkdownIt("commonmark").parse(text)
    tokens = [token for block in markdown for token in [block, *(block.children or [])]]
    links = [str(token.attrs["href"]) for token in tokens if "href" in token.attrs]
    pictures = re.findall(r'(?:src|srcset)="([^"]*)"', text)
    assert len(links) > 20
    assert len(pictures) == 2
    for link in [*links, *pictures]:
        kind = "raw" if link in pictures else "tree" if link.endswith("/") else "blob"
        path = link.removeprefix(f"{ADDRESS}/{kind}/main/").partition("#")[0]
        assert path != link, "a relative link"
        assert (ROOT / path).exists(), link


@pytest.mark.parametrize("address", ["example.org/cv_attention", "http://example.org", "https://example.org/x?y"])
def test_another_address_is_refused_in_one_line(address, tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "CV_ATTENTION_URL": address}, capture_output=True, text=True
    )
    assert done.returncode
    assert f"must be the https address of the repository, got '{address}'" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def source(built, tmp_path_factory) -> Path:
    """The unpacked source distribution, outside of git."""
    [path] = built.glob("*.tar.gz")
    out = tmp_path_factory.mktemp("source")
    with tarfile.open(path) as archive:
        archive.extractall(out, filter="data")
    [source] = out.iterdir()
    return source


def wheel_of(folder: Path, out: Path) -> zipfile.ZipFile:
    """Builds the wheel of a folder without being told an address."""
    environment = {name: value for name, value in os.environ.items() if name != "CV_ATTENTION_URL"}
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    [path] = out.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_source_distribution_builds_the_same_wheel(source, wheel, metadata, tmp_path):
    again = wheel_of(source, tmp_path)
    assert sorted(again.namelist()) == sorted(wheel.namelist())
    assert described(again).as_string() == metadata.as_string()  # with its links


def test_a_build_takes_the_address_that_it_was_cloned_from(source, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(source, copy)
    (copy / "PKG-INFO").unlink()
    alone = described(wheel_of(copy, tmp_path / "alone"))
    assert alone.get_all("Project-URL") is None
    assert alone.get_payload().strip() == (ROOT / "README.md").read_text(encoding="utf-8").strip()
    for command in (["init", "-q"], ["remote", "add", "origin", "git@example.org:someone/cv_attention.git"]):
        subprocess.run(["git", "-C", str(copy), *command], check=True)
    urls = described(wheel_of(copy, tmp_path / "cloned")).get_all("Project-URL")
    assert f"Homepage, {ADDRESS}" in urls


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://example.org/someone/cv_attention.git", ADDRESS),
        ("https://name:token@example.org/someone/cv_attention/", ADDRESS),
        ("git@example.org:someone/cv_attention.git", ADDRESS),
        ("ssh://git@example.org:2222/someone/cv_attention", ADDRESS),
        *(
            (local, "")
            for local in ("/home/me/cv_attention", "../cv_attention", "file:///home/me", "C:/me", "me@host:a", "")
        ),
    ],
)
def test_addresses_of_remotes(remote, address):
    assert release.web_address(remote) == address
