"""A recorder of images that have several classes each, and what the page gets of it."""

import json

import numpy as np
import pytest
import torch

import cv_attention as cva
from cv_attention.report.read.recording import read_recording
from cv_attention.report.read.run_directory import read_run
from cv_attention.report.write.panels import PanelWriter
from cv_attention.rundir.contents import EpochRecord
from cv_attention.rundir.counts.label_counts import LabelCounts
from cv_attention.rundir.layout import EpochFile, RunLayout

LABELS = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0]])


@pytest.fixture
def recorded(tmp_path):
    torch.manual_seed(0)
    model = cva.backbones.build("resnet20", num_classes=3, width=4)
    recorder = cva.report.Recorder(tmp_path / "run", torch.rand(3, 3, 16, 16), LABELS, ["a", "b", "c"], several=True)
    recorder.log(model, epoch=0, val_map=0.5)
    return recorder, model


def test_probabilities_are_sigmoids(recorded):
    recorder, model = recorded
    model.eval()
    with torch.no_grad():
        logits = model(recorder.images.values)
    layout = RunLayout(recorder.run)
    record = EpochRecord.read(layout.epoch_file(EpochFile.RECORD, 0))
    torch.testing.assert_close(torch.tensor(record.probabilities), logits.sigmoid(), atol=2e-6, rtol=0)
    wanted = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, torch.tensor(LABELS).float(), reduction="none"
    )
    torch.testing.assert_close(torch.tensor(record.losses), wanted.mean(1))
    assert record.decided == [np.flatnonzero(row).tolist() for row in logits.sigmoid() >= 0.5]
    read = read_recording(layout)
    assert [probe.labels for probe in read.probes] == [(0, 2), (), (1,)]
    assert read.snapshots[0].decided == record.decided
    with pytest.raises(ValueError, match="test counts one class per image"):
        recorder.test(logits, [0, 1, 2])


def test_labels_that_do_not_fit_are_refused(tmp_path, recorded):
    images = torch.rand(3, 3, 16, 16)
    with pytest.raises(ValueError, match=r"array \(3, 2\), got \(3, 3\)"):
        cva.report.Recorder(tmp_path / "other", images, LABELS, ["a", "b"], several=True)
    with pytest.raises(ValueError, match=r"a tensor or array \(3, C\), got a list"):
        cva.report.Recorder(tmp_path / "other", images, [0, 1, 2], several=True)
    with pytest.raises(ValueError, match="must be 0 or 1"):
        cva.report.Recorder(tmp_path / "other", images, 2 * LABELS, several=True)
    recorder = cva.report.Recorder(tmp_path / "other", images, LABELS[:, :2], several=True)
    with pytest.raises(ValueError, match="labels have 2 classes, but the model gives 3 logits"):
        recorder.log(recorded[1], epoch=0)


def test_counts_reach_the_page(recorded):
    recorder, _ = recorded
    layout = RunLayout(recorder.run)
    LabelCounts(9, [0.5, 0.4, 0.3], [3, 2, 1], [3, 3, 0], [2, 1, 0], [[0, 1, 1]], [[0, 2, 1]]).write(
        layout.tested_labels
    )
    writer = PanelWriter(recorder.run / "page", "run0", read_run(recorder.run), {})
    assert writer.write()["testedLabels"]
    [shard] = (recorder.run / "page").rglob("*labels-test*")
    assert '"right":[2,1,0]' in shard.read_text().replace(" ", "")
    layout.tested_labels.write_text(json.dumps({"images": 1, "thresholds": [0.5], "true": [1, 2]}))
    writer = PanelWriter(recorder.run / "page", "run0", read_run(recorder.run), {})
    assert not writer.write()["testedLabels"]
    assert writer.notices == ["labels/test.json could not be read and is left out."]
