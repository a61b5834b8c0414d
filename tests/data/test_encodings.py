"""Tables in other encodings than UTF-8, without a suffix, or that are something else than they are called."""

import pytest

from cv_attention.config import Data, Table
from cv_attention.data.datamodule import load
from cv_attention.data.decoding.text import decode_text
from cv_attention.data.guessing import other_kind
from cv_attention.data.sources import webdataset
from cv_attention.data.tables.sheets import read_table
from tests.data.test_tables_as_written import opened, pictures

NAMES = [f"Größe {number}.png" for number in range(16)]
CLASSES = ["Biene", "Käfer"]


def text(sign: str = ",") -> str:
    rows = "".join(f"{name}{sign}{CLASSES[number % 2]}\r\n" for number, name in enumerate(NAMES))
    return f"path{sign}label\r\n{rows}"


@pytest.mark.parametrize(("name", "content"), [
    ("unicode.txt", text("\t").encode("utf-16")),  # what Excel calls Unicode text
    ("a.csv", text(";").encode("utf-16")), ("a.csv", b"\xfe\xff" + text().encode("utf-16-be")),
    ("a.csv", text().encode("utf-16-le")), ("a.csv", text().encode("utf-16-be")), ("a.csv", text().encode("utf-32")),
    ("a.csv", text().encode("utf-8-sig")), ("labels", text().encode()), ("labels.txt", text(";").encode()),
    ("a.tab", text("\t").encode()),
    ("labels", "".join(f'{{"path": "{n}", "label": "{CLASSES[i % 2]}"}}\n' for i, n in enumerate(NAMES)).encode()),
    ("a.ndjson", "".join(f'{{"path": "{n}", "label": "{CLASSES[i % 2]}"}}\n' for i, n in enumerate(NAMES)).encode()),
])  # fmt: skip
def test_tables_of_other_encodings_and_names(name, content, tmp_path):
    pictures(tmp_path, NAMES)
    assert opened(tmp_path, content, name)[0] == CLASSES


def test_an_encoding_that_nothing_says(tmp_path):
    pictures(tmp_path, NAMES)
    content = text(";").encode("cp1252")
    with pytest.raises(ValueError, match=r"line 2 is not UTF-8 \(byte 14\); .*set data.table.encoding, such as cp1252"):
        opened(tmp_path, content)
    assert opened(tmp_path, content, table=Table(encoding="cp1252"))[0] == CLASSES
    assert opened(tmp_path, text().encode("utf-8-sig"), table=Table(encoding="utf-8"))[0] == CLASSES
    for wrong in ("klingon", "base64", "a\0b"):
        with pytest.raises(ValueError, match=r"data\.table\.encoding: .*; expected a name such as cp1252"):
            opened(tmp_path, content, table=Table(encoding=wrong))


@pytest.mark.parametrize(("content", "message"), [
    (text().encode("utf-16")[:-1], r"line 17 is not UTF-16 \(byte \d+\); save it as UTF-8$"),
    (b"PK\x03\x04\x14\0\xff\xfe", "is not text, but an Excel workbook or a ZIP archive; save it as CSV"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1", "is not text, but an Excel workbook; save it as CSV"),
    (b"\x1f\x8b\x08\0\0\xff", "is not text, but packed by gzip; unpack it first"),
    (b"PAR1\x15\x04\xff", "is not text, but a Parquet file; call it .parquet"),
    (b"a.png 1\nb.png 2\n", "has no header: its first line is a.png 1; write path,label above it, and commas"),
])  # fmt: skip
def test_what_a_file_is_instead(content, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        opened(tmp_path, content)


def test_which_files_are_tables(tmp_path):
    (tmp_path / "README.txt").write_text("read me\nfirst, please\n")
    (tmp_path / "labels").write_text(text())
    with pytest.raises(FileNotFoundError, match=r"has no table .*; give '.*labels' itself"):
        load(Data(name="table", root=str(tmp_path), test_fraction=0.25))
    for name, message in [("a.xlsx", "; it is a workbook; save it as CSV"), ("a.bak", "; call it .csv if it holds")]:
        with pytest.raises(ValueError, match=message):
            opened(tmp_path, b"PK", name)
    assert other_kind(tmp_path / "labels", "folder") == "; it is a table: set data.name table"
    (tmp_path / "labels").write_bytes(bytes(range(256)))
    assert other_kind(tmp_path / "labels", "folder") == "; it is a file"


def test_other_texts_are_read_so_too(tmp_path):
    (tmp_path / "classes.txt").write_bytes("Käfer\nBiene\n".encode("utf-16"))
    assert webdataset._listed(tmp_path / "classes.txt") == ["Käfer", "Biene"]
    assert decode_text(b"", "'empty'") == ""
    (tmp_path / "nul.csv").write_bytes(b"path,label\n\0.png,a\n")  # a single zero does not make it UTF-16
    assert read_table(tmp_path / "nul.csv").columns["path"] == ["\0.png"]
