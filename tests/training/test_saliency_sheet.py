"""``cv-attention saliency --sheet``: a figure of what was just explained, for papers."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from cv_attention import report
from cv_attention.cli import main

METHODS = ["grad_cam", "input_x_gradient", "layer_cam", "gradient", "eigen_cam", "hires_cam"]  # more than figures show


@pytest.fixture
def arguments(tmp_path, tiny_checkpoint):
    random = np.random.default_rng(0)
    for number in range(3):
        Image.fromarray(random.integers(0, 256, (48, 60, 3), np.uint8)).save(tmp_path / f"{number}.png")
    images = [str(tmp_path / f"{number}.png") for number in range(3)]
    fixed = [f"--checkpoint={tiny_checkpoint}", f"-o={tmp_path / 'out'}", "--accelerator=cpu"]
    return ["saliency", *images, *fixed, "--method", *METHODS]


def test_the_sheet_shows_every_method_with_real_text(arguments, tmp_path, capsys):
    assert main([*arguments, "--sheet=svg"]) == 0
    assert capsys.readouterr().out.endswith(f"{tmp_path / 'out/sheet.svg'}\n")
    drawn = (tmp_path / "out/sheet.svg").read_text()
    words = " ".join(re.findall(r"<text[^>]*>([^<]*)", drawn))
    expected = report.figure(tmp_path / "out", columns=["*"])
    assert list(expected.maps) == ["Grad-CAM", "Input × gradient", "LayerCAM", "Gradient", "EigenCAM", "HiResCAM"]
    assert all(title in words for title in expected.maps)
    rows = [json.loads(line) for line in (tmp_path / "out/manifest.jsonl").read_text().splitlines()]
    assert len(expected.images) == len(rows) == 3
    some = report.figure(tmp_path / "out", columns=["LayerCAM", "input_x*", "hires_cam", "Eigen*"])
    assert list(some.maps) == ["LayerCAM", "Input × gradient", "HiResCAM", "EigenCAM"]
    assert drawn.count("<image") >= 3 * (1 + len(METHODS))


@pytest.mark.long
def test_a_sheet_of_a_finished_export(arguments, tmp_path):
    """The same command once more explains nothing, and writes the figure in another format."""
    assert main(arguments) == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/shards").iterdir()}
    assert main([*arguments, "--sheet=pdf"]) == 0
    assert (tmp_path / "out/sheet.pdf").read_bytes().startswith(b"%PDF")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out/shards").iterdir()} == before


@pytest.mark.parametrize("name", ["maps", "inputs"])
def test_what_a_sheet_needs_is_asked_for_before_anything_is_computed(arguments, tmp_path, capsys, name):
    assert main([*arguments, "--sheet=svg", f"--{name}=none"]) == 2
    assert f"--sheet shows the {name} of the export, so they cannot be none" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
