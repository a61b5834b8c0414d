"""JSON files with a format number and a checksum."""

import json
import re

import pytest

from cv_attention.rundir import Damaged, NewerFormat, read_sealed, sealed

CONTENT = {"seed": 0, "test": {"accuracy": 0.5}, "names": ["é", None]}


def test_what_was_written_is_read(tmp_path):
    path = tmp_path / "file.json"
    path.write_text(json.dumps(sealed(CONTENT, 3)))
    assert read_sealed(path, 3) == {"format": 3, **CONTENT}


@pytest.mark.parametrize("change", [{"seed": 1}, {"test": {}}, {"new": 0}, {"format": 1}])
def test_a_changed_value_is_damage(change, tmp_path):
    path = tmp_path / "file.json"
    path.write_text(json.dumps({**sealed(CONTENT, 2), **change}))
    with pytest.raises(Damaged, match=re.escape(f"{path} is damaged: its content does not have the SHA-256")):
        read_sealed(path, 2)


def test_a_file_without_anything_is_damage(tmp_path):
    path = tmp_path / "file.json"
    path.write_text("{}")
    with pytest.raises(Damaged, match="is damaged: it holds nothing"):
        read_sealed(path, 2)


def test_files_from_before_checksums_are_read_and_newer_ones_are_not(tmp_path):
    path = tmp_path / "file.json"
    path.write_text(json.dumps(CONTENT))
    assert read_sealed(path, 2) == CONTENT
    path.write_text(json.dumps(sealed(CONTENT, 3)))
    with pytest.raises(NewerFormat):
        read_sealed(path, 2)
