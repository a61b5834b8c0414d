"""Counts, curves and readings that cannot be right are refused, whichever of their entries is wrong."""

import json
import math

import pytest

from cv_attention.alignment import align
from cv_attention.rundir import Damaged, sealed
from cv_attention.rundir.contents import ColumnEntry, EpochRecord, Faithfulness, ProbeEntry, Probes
from cv_attention.rundir.counts.label_counts import LabelCounts
from cv_attention.rundir.layout import READING_FORMAT
from cv_attention.rundir.readings import ReadEpoch, ReadProbe

COUNTS = LabelCounts(9, [0.5, 0.25], [4, 5], [3, 6], [2, 5], [[0, 1, 3]], [[1, 0, 2]])


def written(path, content):
    path.write_text(json.dumps(content))
    return path


def test_counts_of_several_classes_are_written_and_read(tmp_path):
    COUNTS.write(tmp_path / "labels/test.json")
    assert LabelCounts.read(tmp_path / "labels/test.json") == COUNTS


@pytest.mark.parametrize("name", ["together", "mistaken"])
@pytest.mark.parametrize("entry", [[0, 1], [0, 1, 2, 3], [0, 2, 1], [2, 0, 1], [-1, 0, 1], [0, -1, 1], [0, 1, -1], []])
def test_pairs_are_two_classes_and_a_number_of_images(name, entry, tmp_path):
    path = written(tmp_path / "c.json", {**vars(COUNTS), name: [[1, 0, 99], entry]})
    with pytest.raises(ValueError, match=r"pairs must be \[class, class, images\]"):
        LabelCounts.read(path)


@pytest.mark.parametrize("name", ["true", "decided", "right"])
@pytest.mark.parametrize("values", [[1], [1, 2, 3]])
def test_every_class_has_its_counts(name, values, tmp_path):
    with pytest.raises(ValueError, match="one number for each class"):
        LabelCounts.read(written(tmp_path / "c.json", {**vars(COUNTS), name: values}))


def faithfulness(**curve):
    right = {"auc": [0.5, 0.25], "curve": [[0.0, 1.0], [0.0, 0.5]]}
    both = {"grad_cam": {"insertion": right, "deletion": {**right, **curve}}}
    about = {"epoch": 3, "step": 4, "mean": [0.1, 0.2, 0.3], "kernel": [1.0], "classes": [0, 1]}
    return {**about, "curves": both, "baselines": both}


@pytest.mark.parametrize("curve", [
    {"auc": [0.5]}, {"auc": [0.5, 0.25, 0.1]}, {"curve": [[0.0, 1.0]]}, {"auc": [0.5, math.nan]},
    {"auc": [math.inf, 0.5]}, {"curve": [[0.0, 1.0], [0.0, math.nan]]}, {"curve": [[-math.inf, 1.0], [0.0, 0.5]]},
])  # fmt: skip
def test_a_curve_is_finite_and_has_a_row_for_each_image(curve):
    Faithfulness.of(faithfulness())
    with pytest.raises(ValueError, match="a curve must be finite and have one row for each image"):
        Faithfulness.of(faithfulness(**curve))


def test_what_a_probe_does_not_say_is_unknown(tmp_path):
    """Class 0 and a box at the corner are known; nothing, null and an empty list are not."""
    entries = [{"image": "0.png"}, {"image": "1.png", "label": 0, "box": [0, 0, 4, 2], "labels": [0], "flags": ["a"]},
               {"image": "2.png", "label": None, "box": None, "labels": None, "flags": None, "name": ""},
               {"image": "3.png", "labels": []}]  # fmt: skip
    found = Probes.read(written(tmp_path / "probes.json", {"probes": entries}))
    assert found == Probes((), (
        ProbeEntry("0.png"), ProbeEntry("1.png", None, 0, (0.0, 0.0, 4.0, 2.0), ("a",), (0,)),
        ProbeEntry("2.png", ""), ProbeEntry("3.png", labels=()),
    ))  # fmt: skip


def test_a_column_that_says_little_has_the_name_of_its_array(tmp_path):
    content = {"epoch": 0, "step": 0, "columns": {"m0": {}, "m1": {"title": "cam", "source": "saliency", "kind": "x"}}}
    found = EpochRecord.read(written(tmp_path / "epoch-0009.json", content))
    assert found.columns == {"m0": ColumnEntry("m0", "", ""), "m1": ColumnEntry("cam", "saliency", "x")}
    assert (found.epoch, found.step) == (0, 0)


def probe(**changes):
    aligned = tuple(align(("1", "7"), ("1", "2", "7")))
    return {**vars(ReadProbe("17", 0.5, ("1", "7"), (1.0, 0.0), "127", ("1", "2", "7"), aligned)), **changes}


@pytest.mark.parametrize(("changes", "message"), [
    ({"confidences": [0.5]}, "one probability and one place"),
    ({"confidences": [0.5, 0.5, 0.5]}, "one probability and one place"),
    ({"units": ["1", "7", "9"], "confidences": [1, 1, 1]}, "one probability and one place"),
    ({"true_units": ["1", "2"]}, "each true unit must have one place in the alignment"),
    ({"true_units": ["1", "2", "7", "9"]}, "each true unit must have one place in the alignment"),
    ({"confidences": [0.5, 1.5]}, "probabilities must be 0 to 1"),
    ({"confidences": [-0.5, 0.5]}, "probabilities must be 0 to 1"),
    ({"confidence": 1.01}, "probabilities must be 0 to 1"),
    ({"confidence": math.nan}, "probabilities must be 0 to 1"),
])  # fmt: skip
def test_units_of_a_reading_have_their_places_and_probabilities(changes, message, tmp_path):
    def content(entry):
        about = {"epoch": 2, "step": None, "unit": "character", "attends": True, "probes": [entry]}
        return sealed(json.loads(json.dumps(about, default=vars)), READING_FORMAT)

    found = ReadEpoch.read(written(tmp_path / "right.json", content(probe())))
    assert (found.epoch, found.step, found.probes[0].confidences) == (2, None, (1.0, 0.0))
    with pytest.raises(Damaged, match=message):
        ReadEpoch.read(written(tmp_path / "wrong.json", content(probe(**changes))))
