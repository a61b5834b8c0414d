"""Atomic writes: whole or not at all, whatever happens in the middle."""

import os

import pytest

from cv_attention.rundir import files
from cv_attention.rundir.files import link_or_copy, replacing, write_bytes, write_text


def test_the_file_is_there_when_it_is_complete(tmp_path):
    path = tmp_path / "new/file.bin"
    with replacing(path, durable=True) as file:
        file.write(b"one")
        assert not path.exists()
    assert path.read_bytes() == b"one"
    write_text(path, "zwölf")
    assert path.read_text(encoding="utf-8") == "zwölf"
    assert [found.name for found in path.parent.iterdir()] == ["file.bin"]


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt])
def test_an_error_leaves_the_previous_file(error, tmp_path):
    path = tmp_path / "file"
    write_bytes(path, b"before")

    def fail() -> None:
        with replacing(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["file"]


def test_the_previous_file_can_be_kept(tmp_path):
    for content in (b"1", b"2", b"3"):
        write_bytes(tmp_path / "last", content, keep="previous")
    assert ((tmp_path / "last").read_bytes(), (tmp_path / "previous").read_bytes()) == (b"3", b"2")


def test_what_a_killed_process_left_is_replaced(tmp_path):
    (tmp_path / "file.partial").symlink_to(tmp_path / "elsewhere")
    write_bytes(tmp_path / "file", b"new")
    assert os.listdir(tmp_path) == ["file"]


def test_an_error_names_the_file(tmp_path):
    (tmp_path / "file.partial").mkdir()
    with pytest.raises(OSError) as caught:
        write_bytes(tmp_path / "file", b"new")
    assert caught.value.filename == str(tmp_path / "file")


@pytest.mark.parametrize("links", [True, False])
def test_a_link_or_a_copy(links, tmp_path, monkeypatch):
    if not links:

        def refuse(*_):
            raise OSError("no links here")

        monkeypatch.setattr(files.Path, "hardlink_to", refuse)
    (tmp_path / "source").write_bytes(b"network")
    (tmp_path / "path").write_bytes(b"before")
    link_or_copy(tmp_path / "source", tmp_path / "path")
    assert (tmp_path / "path").read_bytes() == b"network"
    assert (tmp_path / "path").samefile(tmp_path / "source") == links
    assert sorted(os.listdir(tmp_path)) == ["path", "source"]
