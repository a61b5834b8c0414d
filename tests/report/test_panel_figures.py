"""Figures of panels: the numbers that were recorded, by Python and by the command; colours are those of the page."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cv_attention import report
from cv_attention.cli import main
from cv_attention.figures import PALETTE, Chart, Sheet
from tests.report import panel_run

PAGE = Path(report.__file__).parent / "page"


@pytest.fixture(scope="module")
def run(make_run, tmp_path_factory) -> Path:
    return panel_run.add_panels(make_run(tmp_path_factory.mktemp("figures") / "a", epochs=6, probes=4))


def arrays(run: Path, name: str) -> dict[str, np.ndarray]:
    with np.load(run / "maps" / name) as opened:
        return dict(opened)


def test_colours_of_lines_are_those_of_the_page():
    sheet = (PAGE / "styles/curves.css").read_text()
    light = sheet.partition(":root[data-theme")[0]
    assert re.findall(r"\.line-\d \{\s*--colour: (#\w+);", light) == list(PALETTE)


def test_curves_hold_what_was_logged(run):
    chart = report.figure(run, panel="curves")
    titles = [part.title for part in chart.parts]
    assert titles == ["Loss", "Accuracy", "Learning rate"]
    files = sorted(run.glob("metrics/*/*.csv"))
    rows = [row for path in files for row in csv.DictReader(path.read_text().splitlines())]
    logged = {int(row["step"]): float(row["val_accuracy"]) for row in rows if row["val_accuracy"]}
    [accuracy] = chart.parts[1].lines
    assert accuracy.y == pytest.approx([logged[step] for step in sorted(logged)])
    assert list(accuracy.x) == [1, 2, 3, 4, 5, 6]
    assert chart.parts[1].percent
    steps = report.figure(run, panel="curves", columns=["val_*"], by="step", log=True)
    assert [part.title for part in steps.parts] == ["Loss", "Accuracy"]
    assert list(steps.parts[1].lines[0].x) == sorted(logged)
    assert steps.parts[0].log


def test_curves_are_smoothed_as_tensorboard_does(run):
    [plain] = report.figure(run, panel="curves", columns=["train_loss"]).parts[0].lines
    [soft] = report.figure(run, panel="curves", columns=["train_loss"], smoothing=0.9).parts[0].lines
    weights = 0.9 ** np.arange(len(plain.y))[::-1]
    assert soft.y[-1] == pytest.approx(np.average(plain.y, weights=weights))
    assert soft.y[0] == plain.y[0]


def test_several_runs_have_a_colour_each_and_training_is_dashed(run):
    chart = report.figure([run, run], panel="curves")
    assert [(line.label, line.colour, line.dash) for line in chart.parts[0].lines] == [
        ("a · Train loss", 0, 1), ("a · Val loss", 0, 0), ("a · Train loss", 1, 1), ("a · Val loss", 1, 0),
    ]  # fmt: skip


def test_confusion_counts_and_shares(run):
    counts = np.zeros((10, 10), int)
    for truth, guess, number in json.loads((run / "confusion/test.json").read_text())["counts"]:
        counts[truth, guess] = number
    [matrix] = report.figure(run, panel="confusion").parts
    np.testing.assert_array_equal(matrix.counts, counts)
    np.testing.assert_allclose(matrix.shares(), counts / counts.sum(1, keepdims=True))
    assert matrix.names[3] == "digit 3"
    errors = report.figure(run, panel="confusion", epochs=[2], errors=True)
    assert np.isnan(np.diag(errors.parts[0].shares())).all()
    assert errors.parts[0].title == "Validation split, epoch 2"
    assert errors.parts[0].counts.tolist() != counts.tolist()


def test_heads_of_an_image_and_what_a_position_attends_to(run):
    sheet = report.figure(run, rows=[1], panel="attention", epochs=[5])
    assert isinstance(sheet, Sheet)
    recorded = arrays(run, "heads-0004.npz")[panel_run.PAIRWISE]
    assert list(sheet.maps) == ["head 1", "head 2"]
    for number, heads in enumerate(sheet.maps.values()):
        np.testing.assert_array_equal(heads[0], recorded[1, number].astype(np.float32))
    one = sheet.limits(0, "head 1")
    assert one == sheet.limits(0, "head 2")
    assert (one.low, one.high) == (0, pytest.approx(2 / 16, rel=1e-3))  # twice the uniform weight
    assert recorded[1].max() < 2 / 16
    looking = report.figure(run, rows=[1], panel="attention", epochs=[5], query=(2, 3))
    pairwise = arrays(run, "pairwise-0004.npz")[panel_run.PAIRWISE]
    np.testing.assert_array_equal(looking.maps["head 2"][0], pairwise[1, 1, 2 * 4 + 3].astype(np.float32))
    image = np.asarray(Image.open(run / "maps/images/0001.png"))
    changed = (looking.images[0] != image).any(2)
    rows, columns = np.nonzero(changed)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (32, 47, 48, 63)  # the third row, fourth column
    assert not changed[34:46, 50:62].any()  # a frame


def test_gates_sorted_by_their_medians(run):
    [plot] = report.figure(run, rows=[2], panel="gates", epochs=[3]).parts
    quantiles = arrays(run, "gates-0002.npz")[f"quantiles:{panel_run.GATE}"].astype(float)
    order = np.argsort(-quantiles[2], kind="stable")
    wide, middle, own = plot.lines
    np.testing.assert_allclose(wide.band, quantiles[[0, 4]][:, order])
    np.testing.assert_allclose(middle.band, quantiles[[1, 3]][:, order])
    np.testing.assert_allclose(middle.y, quantiles[2][order])
    np.testing.assert_allclose(own.y, arrays(run, "epoch-0002.npz")["gate2"][2].astype(float)[order])
    assert own.dots


def test_faithfulness_of_one_image_and_the_mean(run):
    content = json.loads((run / "maps/faithfulness.json").read_text())
    insertion, deletion = report.figure(run, rows=[1], panel="faithfulness").parts
    both = content["curves"]["Grad-CAM"]
    assert insertion.lines[0].y == both["insertion"]["curve"][1]
    assert deletion.lines[0].y == both["deletion"]["curve"][1]
    assert [line.label for line in insertion.lines] == ["Grad-CAM, AUC 0.500", "random map, AUC 0.500"]
    mean = report.figure(run, panel="faithfulness").parts[0].lines[0]
    np.testing.assert_allclose(mean.y, np.mean(both["insertion"]["curve"], 0))
    assert mean.label == "Grad-CAM, AUC 0.550"
    assert mean.band is not None


def test_use_of_blocks_over_the_epochs(run, tmp_path):
    with pytest.raises(ValueError, match="a did not record how much its blocks are used"):
        report.figure(run, panel="usage")
    import shutil

    copied = shutil.copytree(run, tmp_path / "used")
    for epoch in (0, 2):
        path = copied / f"maps/epoch-{epoch:04d}.json"
        content = json.loads(path.read_text())
        path.write_text(json.dumps({**content, "blocks": {"layer1.attention": {"change": 0.1 * epoch}}}))
    [plot] = report.figure(copied, panel="usage").parts
    assert [(line.label, line.x, line.y) for line in plot.lines] == [("layer1", [1, 3], [0.0, 0.2])]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"panel": "curve"}, "panel must be one of curves, confusion, .*, got 'curve'"),
        ({"panel": "curves", "errors": True}, "errors does not apply to a figure of curves"),
        ({"panel": "curves", "columns": ["val_los"]}, "no metric is called val_los.*did you mean 'val_loss'"),
        ({"panel": "curves", "smoothing": 1}, r"smoothing must be in \[0, 1\), got 1"),
        ({"panel": "confusion", "epochs": [9]}, "a has no confusion of epoch 9; recorded are 1, 2, 3, 4, 5, 6"),
        ({"panel": "attention", "query": (4, 0)}, r"query must be a row and a column of 4 × 4 positions, got \(4, 0\)"),
        ({"panel": "gates", "columns": ["x"]}, "no gate is called x"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_told(run, options, message):
    with pytest.raises(ValueError, match=message):
        report.figure(run, **options)


def test_the_command_writes_the_same_in_every_format(run, tmp_path, capsys):
    for name in ("a.pdf", "a.svg", "a.png"):
        arguments = ["--panel=curves", "--smoothing=0.5", "--columns", "val_*", "--width=3.4", "--dpi=100"]
        assert main(["figure", str(run), str(run), "-o", str(tmp_path / name), *arguments]) == 0
        assert capsys.readouterr().out == f"{tmp_path / name}\n"
    drawn = report.figure([run, run], panel="curves", columns=["val_*"], smoothing=0.5)
    assert isinstance(drawn, Chart)
    assert (tmp_path / "a.svg").read_bytes() == drawn.rendered("svg", width=3.4)
    assert "epochs trained" in re.sub(r"<[^>]+>", "", (tmp_path / "a.svg").read_text())
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    with Image.open(tmp_path / "a.png") as opened:
        assert opened.width == 340
        assert opened.convert("RGB").getpixel((1, 1)) == (255, 255, 255)
    assert "<img" in drawn._repr_html_()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--log=true"], "--log needs --panel"),
        (["--panel=curves", "--clip=99"], "--clip does not apply to --panel curves"),
        (["--panel=gates", "--query", "1", "1"], "query does not apply to a figure of gates"),
    ],
)
def test_the_command_names_options_of_something_else(run, tmp_path, capsys, arguments, message):
    assert main(["figure", str(run), "-o", str(tmp_path / "a.pdf"), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "a.pdf").exists()
