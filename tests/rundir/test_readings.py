"""The table of readings: any text survives it, and what is torn is named."""

import csv

import pytest

from cv_attention.rundir import Damaged
from cv_attention.rundir.readings import ReadText, read_readings, write_readings

STRANGE = ["", " ", "a,b", 'say "no"', "two\nlines", "cr\rhere", "\r\n", "שלום", "é😀", "=1+1", "null", "a\x00b"]


def test_any_text_survives(tmp_path):
    rows = [ReadText(f"{i}, {text}.png", text, 0.25, text[::-1], 0.5) for i, text in enumerate(STRANGE)]
    write_readings(tmp_path / "readings.csv", rows)
    assert read_readings(tmp_path / "readings.csv") == rows
    with (tmp_path / "readings.csv").open(encoding="utf-8", newline="") as file:  # as any other program reads it
        assert [row["text"] for row in csv.DictReader(file)] == STRANGE
    assert (tmp_path / "readings.csv").read_bytes().endswith(b"\n")


def test_without_any_truth_there_are_three_fields(tmp_path):
    path = tmp_path / "readings.csv"
    write_readings(path, [ReadText("a.png", "12", 0.123456789)])
    assert path.read_text() == "file_name,text,confidence\na.png,12,0.123457\n"
    assert read_readings(path) == [ReadText("a.png", "12", 0.123457)]


def test_a_truth_can_be_empty_or_unknown(tmp_path):
    rows = [ReadText("a", "", 1.0, "", 0.0), ReadText("b", "7", 0.0, None, None), ReadText("c", "7", 1.0, "", 1.0)]
    write_readings(tmp_path / "readings.csv", rows)
    assert read_readings(tmp_path / "readings.csv") == rows


def test_fields_that_are_not_known_are_ignored(tmp_path):
    (tmp_path / "readings.csv").write_text("colour,file_name,text,confidence\nred,a,12,0.5\n")
    assert read_readings(tmp_path / "readings.csv") == [ReadText("a", "12", 0.5)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no field file_name"),
        (b"file_name,text\n", "no field confidence"),
        (b"file_name,text,confidence\na,12\n", "line 2: it has more or fewer fields"),
        (b"file_name,text,confidence\na,12,0.5,7\n", "line 2: it has more or fewer fields"),
        (b"file_name,text,confidence\na,12,high\n", "line 2: could not convert"),
        (b"file_name,text,confidence\na,12,1.5\n", "line 2: confidence must be 0 to 1, got 1.5"),
        (b"file_name,text,confidence\na,12,nan\n", "line 2: confidence must be 0 to 1, got nan"),
        (b'file_name,text,confidence\na,"12', "unexpected end of data"),
        (b"file_name,text,confidence\n\xff,12,0.5\n", "codec can't decode"),
    ],
)
def test_damage_is_named(content, message, tmp_path):
    (tmp_path / "readings.csv").write_bytes(content)
    with pytest.raises(Damaged, match=message) as raised:
        read_readings(tmp_path / "readings.csv")
    assert "readings.csv is damaged at line" in str(raised.value)
