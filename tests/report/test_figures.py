"""Figures of runs: the maps that were recorded, chosen by number, name and glob; from Python and by the command."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cv_attention import report
from cv_attention.cli import main
from cv_attention.drawing import overlay
from cv_attention.report.naming import column_name

SIGNED = "layer3.relevance"


def test_a_figure_shows_the_recorded_maps(run_directory, titles):
    sheet = report.figure(
        run_directory, rows=["1-2"], columns=["Grad-CAM", SIGNED], opacity=1, scale="image", colours="inferno"
    )
    assert list(sheet.maps) == ["Grad-CAM", SIGNED]
    with np.load(run_directory / "maps/epoch-0004.npz") as arrays:
        for key in ("grad_cam", "signed"):
            np.testing.assert_array_equal(sheet.maps[column_name(titles[key])], arrays[key][1:3].astype(np.float32))
        image = np.asarray(Image.open(run_directory / "maps/images/0002.png"))
        np.testing.assert_array_equal(sheet.picture(1, "Grad-CAM"), overlay(image, arrays["grad_cam"][2], 1))
    probes = json.loads((run_directory / "maps/probes.json").read_text())
    record = json.loads((run_directory / "maps/epoch-0004.json").read_text())
    for label, row in zip(sheet.labels, (1, 2), strict=True):
        assert label.startswith(probes["class_names"][probes["probes"][row]["label"]])
        assert f"{100 * max(record['probabilities'][row]):.0f} %" in label
    assert sheet.caption == f"{run_directory.name}, epoch 5; each map has its own scale"


def test_rows_and_columns_by_number_range_and_glob(run_directory):
    every = report.figure(run_directory)
    assert len(every.images) == 4
    assert next(iter(every.maps)) == "Grad-CAM"
    assert len(every.maps) == 5
    assert len(report.figure(run_directory, rows=[3, "0-1", 0]).images) == 3
    assert len(report.figure(run_directory, rows=["digit *"]).images) == 4
    blocks = report.figure(run_directory, columns=["layer*spatial*"])
    assert all("spatial" in title for title in blocks.maps)
    epochs = report.figure(run_directory, columns=["Grad-CAM"], epochs=[1, 5])
    assert list(epochs.maps) == ["Grad-CAM, epoch 1", "Grad-CAM, epoch 5"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rows": ["3-9"]}, "rows has 3-9, but the images are numbered from 0 to 3"),
        ({"rows": ["zebra"]}, "no image and no class is called zebra"),
        ({"columns": ["Grad-CAN"]}, r"no map is called Grad-CAN.*did you mean 'Grad-CAM'"),
        ({"epochs": [2]}, "no maps of epoch 2; recorded are 1, 3, 5"),
    ],
)
def test_what_is_not_there_is_named(run_directory, arguments, message):
    with pytest.raises(ValueError, match=message):
        report.figure(run_directory, **arguments)


def test_the_command_writes_figures_and_animations(run_directory, tmp_path, capsys):
    for name in ("a.pdf", "a.png"):
        arguments = ["--rows", "0", "2-3", "--columns", "Grad-CAM", "--width=3", "--dpi=60", "--scale=column"]
        assert main(["figure", str(run_directory), "-o", str(tmp_path / name), *arguments]) == 0
        assert capsys.readouterr().out == f"{tmp_path / name}\n"
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    with Image.open(tmp_path / "a.png") as opened:
        assert opened.width == 180
    movie = ["--rows=0", "--columns=Grad-CAM", "--width=2", "--dpi=50"]
    assert main(["figure", str(run_directory), "-o", str(tmp_path / "a.webp"), *movie]) == 0
    with Image.open(tmp_path / "a.webp") as opened:
        assert opened.n_frames == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "a.gif"], "must end in .svg, .pdf, .png, .webp, got 'a.gif'"),
        (["-o", "a.pdf", "--rows", "7"], "numbered from 0 to 3"),
        (["-o", "a.pdf", "--scale", "row"], "scale"),
        (["-o", "a.pdf", "--clip", "0"], "clip must be a percentage"),
    ],
)
def test_the_command_names_mistakes_in_one_line(run_directory, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["figure", str(run_directory), *arguments]) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
    assert not Path(arguments[1]).exists()


def test_runs_without_maps_are_refused(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.yaml").write_text("seed: 0\n")
    with pytest.raises(ValueError, match="run has no recorded maps"):
        report.figure(tmp_path / "run")
    with pytest.raises(FileNotFoundError, match="no run directory"):
        report.figure(tmp_path / "absent")
