"""Paths of the run directory, and files that one writes and the other reads."""

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from cv_attention.rundir.arrays import read_arrays, write_arrays
from cv_attention.rundir.contents import (
    PREDICTION_ARRAYS,
    ColumnEntry,
    ConfusionCounts,
    EpochRecord,
    Faithfulness,
    NonFinite,
    ProbeEntry,
    Probes,
)
from cv_attention.rundir.layout import EpochFile, RunLayout, runs_in

PAGE = (Path(__file__).parents[2] / "docs/rundir.md").read_text()
RUN = RunLayout(Path("run"))


@pytest.mark.parametrize(("epoch", "name"), [(0, "epoch-0000.npz"), (12345, "epoch-12345.npz"), (-1, "epoch--001.npz")])
def test_an_epoch_has_one_name_which_gives_it_back(epoch, name):
    assert EpochFile.MAPS.file_name(epoch) == name
    assert EpochFile.MAPS.epoch_of(Path("anywhere") / name) == epoch


def test_files_of_an_epoch_are_listed_in_order_and_others_are_not(tmp_path):
    run = RunLayout(tmp_path)
    run.maps.mkdir()
    for name in ("epoch-0010.json", "epoch-0002.json", "epoch--001.json", "epoch-old.json", "epoch-0003.json.partial"):
        (run.maps / name).touch()
    (run.maps / "epoch-0002.npz").touch()
    assert list(run.epoch_files(EpochFile.RECORD)) == [-1, 2, 10]
    assert list(run.epoch_files(EpochFile.MAPS)) == [2]
    assert run.epoch_files(EpochFile.GATES) == {}


def test_parts_of_the_curves_are_ordered_as_numbers(tmp_path):
    run = RunLayout(tmp_path)
    assert (run.metrics_files(), run.next_part()) == ([], 0)
    for part in (0, 2, 10):
        run.metrics_file(part).parent.mkdir(parents=True)
        run.metrics_file(part).touch()
    (run.metrics / "old").mkdir()
    assert [part for part, _ in run.metrics_files()] == [0, 2, 10]
    assert run.next_part() == 11


def test_runs_of_a_folder_have_a_configuration(tmp_path):
    for name in ("b", "a", "empty"):
        (tmp_path / name).mkdir()
    for name in ("b", "a"):
        RunLayout(tmp_path / name).config.touch()
    assert runs_in(tmp_path) == [tmp_path / "a", tmp_path / "b"]


CURVE = {"auc": [0.5], "curve": [[0.0, 1.0]]}
BOTH = {"random": {"insertion": CURVE, "deletion": CURVE}}


@pytest.mark.parametrize(
    "content",
    [
        Probes(("a", "b"), (ProbeEntry("0.png", "x.jpg", 1, (0.0, 1.0, 2.0, 3.0), ("dark",)), ProbeEntry("1.png"))),
        EpochRecord(
            3, None, {"m0": ColumnEntry("cam", "saliency", "cam")}, [1], [[0.2, 0.8]], [None], {"m0": {}}, decided=[]
        ),
        ConfusionCounts(2, [[0, 1, 5]]),
        Faithfulness(3, 4, [0.1, 0.2, 0.3], [1.0], [0], BOTH, BOTH),
    ],
)
def test_what_is_written_is_read(tmp_path, content):
    content.write(tmp_path / "folder" / "file.json")
    assert type(content).read(tmp_path / "folder" / "file.json") == content
    assert json.loads((tmp_path / "folder/file.json").read_text()).keys() == {field.name for field in fields(content)}


def test_an_epoch_that_is_not_stated_is_that_of_the_name(tmp_path):
    path = tmp_path / "epoch-0007.json"
    path.write_text('{"columns": {}}')
    assert EpochRecord.read(path).epoch == 7


@pytest.mark.parametrize("entry", [[0, 1], [0, 2, 1], [-1, 0, 1], [0, 0, "x"]])
def test_counts_of_another_form_are_refused(tmp_path, entry):
    (tmp_path / "c.json").write_text(json.dumps({"classes": 2, "counts": [entry]}))
    with pytest.raises(ValueError, match=r"counts must be|invalid literal"):
        ConfusionCounts.read(tmp_path / "c.json")


@pytest.mark.parametrize("compressed", [False, True])
def test_arrays_are_written_and_read(tmp_path, compressed):
    arrays = {"a": np.arange(6).reshape(2, 3), "name": np.array(["x"])}
    write_arrays(tmp_path / "maps" / "a.npz", arrays, compressed=compressed)
    found = read_arrays(tmp_path / "maps" / "a.npz")
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[name], arrays[name]) for name in arrays)
    assert [path.name for path in (tmp_path / "maps").iterdir()] == ["a.npz"]


KINDS = [Probes, ProbeEntry, EpochRecord, ColumnEntry, ConfusionCounts, Faithfulness, NonFinite]


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_names_every_field(kind):
    for field in fields(kind):
        assert f"`{field.name}`" in PAGE, f"docs/rundir.md lacks {kind.__name__}.{field.name}"


def test_the_page_names_every_array_of_the_predictions():
    assert all(f"`{name}`" in PAGE for name in PREDICTION_ARRAYS)


@pytest.mark.parametrize("kind", EpochFile)
def test_the_page_names_every_file_of_an_epoch(kind):
    assert f"`{kind.folder}/{kind.stem}-XXXX.{kind.suffix}`" in PAGE
