"""What is recorded of the probe images' texts, against reading them again from the checkpoint."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cv_attention import training
from cv_attention.alignment import align
from cv_attention.cli import main
from cv_attention.rundir import Damaged, NewerFormat, summary
from cv_attention.rundir.contents import Probes
from cv_attention.rundir.layout import EpochFile, RunLayout
from cv_attention.rundir.readings import ReadEpoch


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_options) -> Path:
    """A run of three epochs, of which the first and the last are recorded, and which both loggers saw."""
    root = tmp_path_factory.mktemp("readings")
    options = [*tiny_options, f"--log.root={root}", "--log.name=run", "--log.maps_every=4", "--trainer.max_epochs=3"]
    assert main(["fit", *options, "--log.tensorboard=true", "--log.wandb=offline", "--trainer.select=last"]) == 0
    return root / "run"


def test_the_last_epoch_is_what_the_checkpoint_reads(run):
    layout = RunLayout(run)
    assert list(layout.epoch_files(EpochFile.READING)) == list(layout.epoch_files(EpochFile.READING_WEIGHTS)) == [0, 2]
    record = ReadEpoch.read(layout.epoch_file(EpochFile.READING, 2))
    assert (record.epoch, record.unit, record.attends) == (2, "character", True)
    task = training.load(training.find_checkpoint(run, "last"), task=training.Transcriber)
    files = [layout.maps / entry.image for entry in Probes.read(layout.probes).probes]
    assert len(files) == len(record.probes) == 4
    assert sorted({len(probe.truth) for probe in record.probes}) == [1, 2, 3]
    with np.load(layout.epoch_file(EpochFile.READING_WEIGHTS, 2)) as arrays:
        weights = arrays["weights"]
    assert weights.dtype == np.float16
    for number, (file, probe) in enumerate(zip(files, record.probes, strict=True)):
        with Image.open(file) as picture:
            images = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None]
        with torch.no_grad():
            found = task.network.search(task.normalise(images))
        [reading] = task.network.readings(found)
        assert (probe.text, probe.units) == (reading.text, reading.units)
        assert probe.confidences == pytest.approx(reading.confidences, abs=1e-5)
        assert probe.confidence == pytest.approx(reading.confidence, abs=1e-5)
        assert list(probe.alignment) == align(reading.text, probe.truth)
        length = len(reading.units)
        expected = found.weights[0, :, :length].unflatten(-1, weights.shape[-2:])
        np.testing.assert_allclose(weights[number, :, :length], expected, rtol=1e-2, atol=1e-4)
        assert not weights[number, :, length:].any()


def test_the_files_are_among_the_checksums(run):
    listed = summary.read(run)["files"]
    assert {"maps/reading-0000.json", "maps/reading-0002.npz", "maps/probes.json", "maps/images/0000.png"} <= set(
        listed
    )


def test_the_loggers_have_a_picture_of_each_text(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    [folder] = {file.parent for file in (run / "tensorboard").rglob("events.*")}
    images = EventAccumulator(str(folder), size_guidance={"images": 0})
    images.Reload()
    assert images.Tags()["images"] == [f"maps/reading/{number}" for number in range(4)]
    assert [image.step for image in images.Images("maps/reading/0")] == [3, 9]
    assert len(list(run.glob("wandb/offline-run-*/files/media/images/maps/reading_*.png"))) == 8


@pytest.mark.long
def test_a_resumed_run_continues_the_recording(tiny_options, tmp_path, run):
    options = [*tiny_options, f"--log.root={tmp_path}", "--log.name=run", "--log.maps_every=1"]
    assert main(["fit", *options, "--trainer.max_epochs=1"]) == 0
    images = {path.name: path.read_bytes() for path in (tmp_path / "run/maps/images").iterdir()}
    first = (tmp_path / "run/maps/reading-0000.json").read_bytes()
    assert main(["fit", "--resume", str(tmp_path / "run"), "--trainer.max_epochs=2"]) == 0
    assert list(RunLayout(tmp_path / "run").epoch_files(EpochFile.READING)) == [0, 1]
    assert {path.name: path.read_bytes() for path in (tmp_path / "run/maps/images").iterdir()} == images
    assert (tmp_path / "run/maps/reading-0000.json").read_bytes() == first


def test_a_head_without_attention_leaves_texts_alone(tiny_options, tmp_path):
    assert main(["fit", *tiny_options, "--model.head=ctc", f"--log.root={tmp_path}", "--log.name=ctc"]) == 0
    layout = RunLayout(tmp_path / "ctc")
    assert not ReadEpoch.read(layout.epoch_file(EpochFile.READING, 0)).attends
    assert not layout.epoch_files(EpochFile.READING_WEIGHTS)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda content: content["probes"][0].pop("units"), "units"),
        (lambda content: content["probes"][0]["alignment"].clear(), "one place in the alignment"),
        (lambda content: content["probes"][0].update(confidence=2), "probabilities must be 0 to 1"),
        (lambda content: content.update(probes=None), "damaged"),
    ],
)
def test_damage_is_named(run, tmp_path, change, error):
    content = json.loads(RunLayout(run).epoch_file(EpochFile.READING, 2).read_text())
    path = tmp_path / "reading-0002.json"
    path.write_text(json.dumps({**content, "epoch": 3}))
    with pytest.raises(Damaged, match="SHA-256"):
        ReadEpoch.read(path)
    del content["sha256"]
    path.write_text(json.dumps({**content, "format": 2}))
    with pytest.raises(NewerFormat, match="has format 2"):
        ReadEpoch.read(path)
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(Damaged, match=error):
        ReadEpoch.read(path)
