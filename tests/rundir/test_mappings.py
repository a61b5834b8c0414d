"""Reading files that hold a mapping: what is wrong is one line with the file, and what says nothing is told apart."""

import errno
import math
import os

import pytest

from cv_attention.rundir import Damaged, NewerFormat, NotRead, check_format, read_json, read_yaml
from cv_attention.version import __version__

READERS = pytest.mark.parametrize(("read", "kind"), [(read_json, "JSON"), (read_yaml, "YAML")], ids=["json", "yaml"])


@READERS
@pytest.mark.parametrize(("content", "message"), [
    (b"", "cannot be read: it is empty"),
    (b" \n\t \n", "cannot be read: it is empty|not YAML"),
    (b"abc\xff", "cannot be read: byte 3 is not UTF-8"),
    (b"[1, 2]", r"is not a mapping of names to values, it holds \[1, 2\]$"),
    (b"null", "is not a mapping of names to values, it holds None$"),
    (b'{"a": [', "cannot be read: it is not KIND: "),
    (b"[" * 100_000, "cannot be read: it is not KIND: nested too deeply$"),
])  # fmt: skip
def test_another_content_is_damage_in_one_line(read, kind, content, message, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(Damaged, match=message.replace("KIND", kind)) as raised:
        read(path)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("letters", "shown"), [(58, "'" + 58 * "x" + "'"), (59, "'" + 56 * "x" + "...")])
def test_a_long_content_is_cut_to_sixty_letters(letters, shown, tmp_path):
    (tmp_path / "file").write_text('"' + letters * "x" + '"')
    with pytest.raises(Damaged) as raised:
        read_json(tmp_path / "file")
    assert str(raised.value).endswith(f"it holds {shown}")
    assert len(shown) == 60


def test_names_must_be_texts(tmp_path):
    (tmp_path / "file").write_text("{1: a}")
    with pytest.raises(Damaged, match=r"is not a mapping of names to values, it holds \{1: 'a'\}"):
        read_yaml(tmp_path / "file")


@READERS
def test_a_file_that_is_not_there_or_not_let_be_read_is_not_damaged(read, kind, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none")
    with pytest.raises(Damaged, match="cannot be read: it is a folder"):
        read(tmp_path)
    for reason, words in [(PermissionError(13, "Permission denied"), "Permission denied"),
                          (OSError(errno.EIO, "Input/output error"), "Input/output error"),
                          (MemoryError(), "not enough memory")]:  # fmt: skip

        def refuse(*_, reason=reason, **__):
            raise reason

        with monkeypatch.context() as patched:
            patched.setattr("pathlib.Path.read_text", refuse)
            with pytest.raises(NotRead) as raised:
                read(tmp_path / "file")
        assert str(raised.value) == f"{tmp_path / 'file'} cannot be read now: {words}"


@READERS
def test_a_content_that_does_not_fit_into_memory_is_not_damage(read, kind, tmp_path, monkeypatch):
    (tmp_path / "file").write_text('{"seed": 0}')

    def refuse(*_, **__):
        raise MemoryError

    monkeypatch.setattr("json.loads" if kind == "JSON" else "yaml.safe_load", refuse)
    with pytest.raises(NotRead, match=r"file cannot be read now: not enough memory$"):
        read(tmp_path / "file")


@pytest.mark.parametrize(("reason", "number", "words"), [
    (PermissionError(13, "Permission denied"), 13, "Permission denied"),
    (MemoryError(), errno.ENOMEM, "not enough memory"),
    (RuntimeError("two\n  lines"), 0, "two lines"),
    (RuntimeError("x" * 300), 0, "x" * 200),
    (RuntimeError(), 0, "RuntimeError"),
])  # fmt: skip
def test_the_reason_is_one_line_and_its_number_the_systems(reason, number, words, tmp_path):
    error = NotRead(tmp_path / "file", reason)
    assert (error.errno, error.filename, str(error)) == (
        number, os.fspath(tmp_path / "file"), f"{tmp_path / 'file'} cannot be read now: {words}",
    )  # fmt: skip


@pytest.mark.parametrize("number", [0, -1, True, 1.0, "1", [1], math.nan])
def test_a_format_is_a_whole_number_from_one_on(number, tmp_path):
    check_format(tmp_path, None, known=1)
    check_format(tmp_path, 1, known=1)
    with pytest.raises(Damaged, match="its format must be a whole number from 1 on, got "):
        check_format(tmp_path, number, known=3)


@pytest.mark.parametrize(("writer", "by"), [("9.1", "cv_attention 9.1"), (None, "a later version"), (7, "a later")])
def test_a_newer_format_names_both_versions(writer, by, tmp_path):
    check_format(tmp_path, 2, known=2, writer=writer)
    with pytest.raises(NewerFormat, match=by) as raised:
        check_format(tmp_path, 3, known=2, writer=writer)
    assert f"this is {__version__}, which reads up to format 2" in str(raised.value)
