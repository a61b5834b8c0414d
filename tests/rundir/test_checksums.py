"""Listings of checksums, as ``sha256sum`` writes them and reads them."""

import shutil
import subprocess

import pytest

from cv_attention.rundir.checksums import changed, checksum, listing


@pytest.fixture
def listed(tmp_path):
    """A listing in a folder, of files next to it, above it and outside of that folder."""
    for name in ("shards/a.bin", "shards/two words.bin", "inputs/b.png", "c.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    sums = tmp_path / "shards/all.sha256"
    sums.write_text(listing(sums.parent, {path: checksum(path) for path in files}))
    return sums


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs coreutils")
def test_the_listing_is_that_of_sha256sum(listed):
    names = [line[66:] for line in listed.read_text().splitlines()]
    written = subprocess.run(["sha256sum", *names], cwd=listed.parent, capture_output=True, text=True, check=True)
    assert written.stdout == listed.read_text()
    assert names == ["../c.txt", "../inputs/b.png", "a.bin", "two words.bin"]


def test_nothing_has_changed_and_no_listing_lists_nothing(listed, tmp_path):
    assert list(changed(listed, tmp_path)) == []
    assert list(changed(tmp_path / "none.sha256", tmp_path)) == []


@pytest.mark.parametrize("name", ["shards/a.bin", "inputs/b.png", "c.txt"])
@pytest.mark.parametrize("gone", [False, True])
def test_a_file_that_changed_or_is_gone_is_named(name, gone, listed, tmp_path):
    path = tmp_path / name
    if gone:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes() + b"!")
    assert list(changed(listed, tmp_path)) == [path]


@pytest.mark.parametrize("line", range(4))
@pytest.mark.parametrize(
    "damage",
    {
        "a digit that is none": lambda text: "g" + text[1:],
        "a capital": lambda text: text.replace(next(c for c in text if c in "abcdef"), "A", 1),
        "a digit less": lambda text: text[1:],
        "one blank": lambda text: text.replace("  ", " ", 1),
        "no name": lambda text: text[:66],
        "empty": lambda text: "",
        "a comment": lambda text: "# " + text,
        "cut": lambda text: text[:40],
    }.items(),
    ids=lambda damage: damage[0],
)
def test_a_line_that_cannot_be_read_makes_the_listing_itself_one_that_changed(damage, line, listed, tmp_path):
    """The file of the line can be verified no more, whatever the other lines say."""
    lines = listed.read_text().splitlines()
    lines[line] = damage[1](lines[line])
    listed.write_text("\n".join(lines) + "\n")
    assert listed in list(changed(listed, tmp_path))


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe\x00", b"\x00" * 300])
def test_another_content_is_a_listing_that_changed(content, listed, tmp_path):
    listed.write_bytes(content)
    assert listed in list(changed(listed, tmp_path))


def test_a_file_outside_of_the_folder_is_never_opened(listed, tmp_path):
    outside = tmp_path.parent / f"{tmp_path.name}-outside.txt"
    outside.write_text("outside")
    listed.write_text(listing(listed.parent, {outside: checksum(outside)}))
    assert list(changed(listed, tmp_path)) == [listed]
