"""`cv-attention recall`: images named by a folder of labelled ones, hostile folders, and what is left of an export."""

import csv
import json
import os
import re
import signal

import numpy as np
import pytest
import torch
from PIL import Image

import cv_attention as cva
from cv_attention import config, recall_export, training
from cv_attention.cli import main
from cv_attention.config import RecallExport
from cv_attention.recall_export import run
from cv_attention.recall_export.pictures import Reason, because

SMALL = {"accelerator": "cpu", "batch_size": 2, "shard_size": 4, "workers": 2}
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 40, 210)}


def picture(path, colour, size=(40, 30), seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(-25, 26, (size[1], size[0], 3))
    Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)).save(path)


@pytest.fixture
def classifier():
    """A small network that tells colours apart although it was never trained to."""
    torch.manual_seed(0)
    experiment = config.Experiment(model=config.Model(backbone="convnet"))
    return training.Classifier(experiment, training.DataFacts(("cat", "dog"), (0.5,) * 3, (0.2,) * 3, (32, 32))).eval()


@pytest.fixture
def checkpoint(classifier, tmp_path):
    """The same network as a file of weights of ours."""
    from cv_attention.training.export.deployment import export

    return export(classifier, "safetensors", tmp_path / "network.safetensors").path


@pytest.fixture
def parts(tmp_path):
    for number, (name, colour) in enumerate(COLOURS.items()):
        for each in range(3):
            picture(tmp_path / "parts" / name / f"{each}.png", colour, seed=10 * number + each)
    return tmp_path / "parts"


@pytest.fixture
def photos(tmp_path):
    """Ten images of other sizes, of which one is broken and one has 16 bits of grey."""
    for number in range(9):
        colour = list(COLOURS.values())[number % 3]
        picture(tmp_path / "photos" / f"{number}.png", colour, (20 + 9 * number, 70 - 5 * number), seed=100 + number)
    (tmp_path / "photos/5.png").write_text("no image")
    Image.fromarray(np.full((20, 20), 40_000, np.uint16)).save(tmp_path / "photos/9.png")
    return tmp_path / "photos"


def table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_images_are_named_as_by_hand(classifier, parts, photos, tmp_path):
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    done = recall_export.recall_images(classifier, parts, [photos], tmp_path / "out", RecallExport(nearest=9, **SMALL))
    assert (done.recognised, done.failed, done.left, done.new) == (9, 1, 0, 10)
    assert "5.png" in done.first_failure
    rows = table(done.classes)
    assert [row["class"] for row in rows[:8]] == [list(COLOURS)[n % 3] for n in range(9) if n != 5]
    files = sorted(parts.rglob("*.png"))
    support = recall_export.open_support(parts, classifier, RecallExport())
    prepare = support.prepare()
    pixels = [prepare(0, item).pixels for item in support.items]
    images = classifier.normalise(torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2))
    memory = cva.heads.recall(support.reader, images, [file.parent.name for file in files])
    pixels = prepare(0, recall_export.run.find_items([photos / "4.png"], tmp_path, 0)[0]).pixels
    found = memory.read(classifier.normalise(torch.from_numpy(pixels).permute(2, 0, 1)[None]))
    row = next(row for row in rows if row["file_name"] == str(photos / "4.png"))
    assert float(row["confidence"]) == pytest.approx(float(found.confidences[0]), rel=1e-3)
    for place, (index, weight) in enumerate(found.because(9)[0], 1):
        assert row[f"image_{place}"] == str(files[index])
        assert row[f"class_{place}"] == files[index].parent.name
        assert float(row[f"weight_{place}"]) == pytest.approx(weight, rel=1e-2)
    assert sum(float(row[f"weight_{place}"]) for place in range(1, 10)) == pytest.approx(1, abs=1e-3)
    assert all(torch.equal(value, before[name]) for name, value in classifier.state_dict().items())
    assert classifier.network(torch.zeros(1, 3, 32, 32)).shape == (1, 2)  # it still has its head


def test_pictures_show_the_image_and_the_labelled_ones(classifier, parts, photos, tmp_path):
    out = tmp_path / "out"
    recall_export.recall_images(classifier, parts, [photos], out, RecallExport(nearest=4, **SMALL))
    texts = [path.read_text() for path in sorted((out / "shards").glob("*.jsonl"))]
    rows = [json.loads(line) for text in texts for line in text.splitlines()]
    assert [row["error"] is None for row in rows] == [number != 5 for number in range(10)]
    for row in rows:
        if row["error"] is None:
            with Image.open(out / row["picture"]) as drawn:
                assert drawn.size == (8 + 136 * 5 + 16, 188)
    red = np.full((128, 128, 3), (200, 0, 0), np.uint8)
    drawn = because(
        red, "אבג 🔩\n" * 40, 0.5, [Reason(red[:64], "nut", 1.0, "a"), Reason(red, "bolt", 0.25, "b" * 300)]
    )
    assert drawn.shape == (188, 8 + 136 * 3 + 16, 3)
    assert (drawn[8 + 64, 8 + 64] == (200, 0, 0)).all()
    bar = drawn[8 + 128 + 7, 160 + 136 : 160 + 136 + 128]  # of the second labelled image, a quarter of its width
    assert 30 <= int((bar == (0x9E, 0x9E, 0x9E)).all(1).sum()) <= 32


def test_an_interrupted_export_resumes(classifier, parts, photos, tmp_path, monkeypatch):
    whole = recall_export.recall_images(classifier, parts, [photos], tmp_path / "whole", RecallExport(**SMALL))
    process, count = run._Recalling.process, iter(range(9))

    def struck(self, batch):
        if next(count) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        process(self, batch)

    monkeypatch.setattr(run._Recalling, "process", struck)
    out = tmp_path / "out"
    stopped = recall_export.recall_images(classifier, parts, [photos], out, RecallExport(**SMALL))
    assert (stopped.signal, stopped.recognised, stopped.left) == (signal.SIGTERM, 4, 6)
    again = recall_export.recall_images(classifier, parts, [photos], out, RecallExport(**SMALL))
    assert (again.recognised, again.new, again.left) == (9, 6, 0)
    assert again.classes.read_bytes() == whole.classes.read_bytes()
    next((out / "because/000001").glob("*.png")).write_bytes(b"torn")
    assert recall_export.recall_images(classifier, parts, [photos], out, RecallExport(**SMALL)).new == 4
    with pytest.raises(ValueError, match="holds another export: its nearest is 5, not 2"):
        recall_export.recall_images(classifier, parts, [photos], out, RecallExport(nearest=2, **SMALL))
    picture(parts / "red/0.png", COLOURS["blue"], (41, 30))
    with pytest.raises(ValueError, match="holds another export: its support_sha256"):
        recall_export.recall_images(classifier, parts, [photos], out, RecallExport(**SMALL))


def test_the_command_names_images_and_leaves_one_out(checkpoint, parts, photos, tmp_path, capsys):
    (parts / "red/broken.png").write_text("no image")
    picture(parts / "Red/copy.png", COLOURS["red"], seed=0)
    command = ["recall", str(parts), str(photos), "--checkpoint", str(checkpoint), "--accelerator=cpu"]
    assert main([*command, "-o", str(tmp_path / "out"), "--leave-one-out", "--nearest=500", "--pictures=none"]) == 0
    out, err = capsys.readouterr()
    # the copy and its original name each other
    assert out.startswith("leave one out: 8 of 10 labelled images named rightly, 80.0 % [49.0, 94.3] (Wilson, 95 %)")
    assert f"9 images named, 1 left out: {tmp_path / 'out/classes.csv'}" in out
    assert "left out: '" + str(parts / "red/broken.png") in err
    assert "red/0.png is the same image as " in err
    assert "but in the class 'red' and not 'Red'" in err
    assert "differ in case alone: 'Red', 'red'" in err
    assert f"left out: '{photos / '5.png'}' is not an image" in err
    assert len(table(tmp_path / "out/classes.csv")[0]) == 3 + 3 * 10
    assert not (tmp_path / "out/because").exists()
    assert main([*command[:2], *command[3:], "--leave-one-out", "--prototypes=true"]) == 0
    assert "of 10 labelled images named rightly" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("prepare", "arguments", "words"),
    [
        (lambda parts: [os.rename(parts / n, f"{parts}{n}") for n in ("red", "blue")], [], "only the class 'green'"),
        (lambda parts: (parts / "void").mkdir(), [], r"class folder '.*/void' contains no images"),
        (lambda parts: [f.write_text("") for f in (parts / "red").iterdir()], [], "class 'red' of .* has no image"),
        (lambda parts: None, ["--strength=0"], "strength must be above 0 or null, got 0"),
        (lambda parts: None, ["--nearest=0"], "nearest must be in"),
        (lambda parts: [f.unlink() for f in parts.glob("*/[12].png")], ["--leave-one-out"], "has a single"),
        (lambda parts: None, ["--model=timm/test_resnet"], "not both"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(checkpoint, parts, photos, tmp_path, capsys, prepare, arguments, words):
    prepare(parts)
    command = ["recall", str(parts), str(photos), "--checkpoint", str(checkpoint), "-o", str(tmp_path / "out")]
    assert main([*command, "--accelerator=cpu", *arguments]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert re.search(words, error)


def test_images_are_needed(parts, checkpoint, capsys):
    assert main(["recall", str(parts), "--checkpoint", str(checkpoint)]) == 2
    assert "give images to name after the folder of labelled ones, or --leave-one-out" in capsys.readouterr().err
    assert main(["recall", str(parts), str(parts), "--checkpoint", str(checkpoint)]) == 2
    assert "give the folder to write to: -o OUT" in capsys.readouterr().err
