"""Exports of several methods: each column equals the export of that method alone; options, resuming, pictures."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cv_attention.cli import main
from cv_attention.config import SaliencyExport
from cv_attention.drawing import overlay
from cv_attention.report.read.saliency_export import read_export
from cv_attention.saliency_export import export_saliency

SMALL = {"batch_size": 2, "shard_size": 4, "workers": 2, "accelerator": "cpu"}
METHODS = ["grad_cam", "layer_cam", "integrated_gradients"]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> Path:
    folder, random = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for number in range(5):
        Image.fromarray(random.integers(0, 256, (48, 60, 3), np.uint8)).save(folder / f"{number}.png")
    return folder


def rows_of(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]


def files_of(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_columns_are_those_of_the_methods_alone(photographs, tiny_checkpoint, tmp_path):
    out, options = tmp_path / "out", {"integrated_gradients": {"steps": 4}}
    several = SaliencyExport(**SMALL, method=METHODS, options=options, layers="layer3", overlays="png", attention=True)
    assert export_saliency(tiny_checkpoint, [photographs], out, several).explained == 5
    about, rows = json.loads((out / "export.json").read_text()), rows_of(out)
    assert [column["key"] for column in about["columns"]][:3] == METHODS
    assert about["layer"] == {"grad_cam": "layer3", "layer_cam": "layer3", "integrated_gradients": None}
    for place, method in enumerate(METHODS):
        alone, given = tmp_path / method, {} if place < 2 else options[method]
        layers = {"layers": "layer3"} if place < 2 else {}
        config = SaliencyExport(**SMALL, method=method, options=given, overlays="png", **layers)
        export_saliency(tiny_checkpoint, [photographs], alone, config)
        for row, single in zip(rows, rows_of(alone), strict=True):
            assert row["logits"] == single["logits"]
            entry, expected = row["maps"][place], single["maps"][0]
            assert {**entry, "overlay": None} == {**expected, "overlay": None}
            first, second = np.load(out / row["shard"])[method], np.load(alone / single["shard"])[method]
            np.testing.assert_array_equal(first, second)
            assert (out / entry["overlay"]).read_bytes() == (alone / expected["overlay"]).read_bytes()
            assert ("--" in entry["overlay"]) == (place > 0)
            assert "--" not in expected["overlay"]


def test_the_report_shows_them_as_columns_of_one_run(photographs, tiny_checkpoint, tmp_path):
    arguments = ["saliency", str(photographs), f"--checkpoint={tiny_checkpoint}", "-o", str(tmp_path / "out")]
    small = [f"--{name}={value}" for name, value in SMALL.items()]
    options = "--options={integrated_gradients: {steps: 2}}"
    assert main([*arguments, *small, options, "--method", *METHODS, "--overlays=none"]) == 0
    [snapshot] = read_export(tmp_path / "out").recording.snapshots
    assert [column.key for column in snapshot.columns] == METHODS
    maps = snapshot.load()
    assert {key: len(values) for key, values in maps.items()} == dict.fromkeys(METHODS, 5)
    assert (maps["integrated_gradients"] < 0).any()


def test_images_may_follow_the_methods(photographs, tiny_checkpoint, tmp_path, capsys):
    arguments = [f"--checkpoint={tiny_checkpoint}", "-o", str(tmp_path / "out"), "--accelerator=cpu", "--overlays=none"]
    assert main(["saliency", *arguments, "--method", "grad_cam", "layer_cam", str(photographs)]) == 0
    assert [entry["key"] for entry in rows_of(tmp_path / "out")[0]["maps"]] == ["grad_cam", "layer_cam"]
    assert main(["saliency", *arguments, "--method", "grad_cam", "misspelt.jpg"]) == 2
    assert "misspelt.jpg" in capsys.readouterr().err


def test_an_interrupted_export_of_several_methods_resumes(photographs, tiny_checkpoint, tmp_path):
    config = SaliencyExport(**SMALL, method=METHODS[:2])
    export_saliency(tiny_checkpoint, [photographs], tmp_path / "out", config)
    whole = files_of(tmp_path / "out")
    next((tmp_path / "out/overlays/000000").glob("*--layer_cam.jpg")).unlink()
    assert export_saliency(tiny_checkpoint, [photographs], tmp_path / "out", config).new == 4
    assert files_of(tmp_path / "out") == whole


def test_the_layout_of_one_method_is_as_before(photographs, tiny_checkpoint, tmp_path):
    export_saliency(tiny_checkpoint, [photographs], tmp_path / "out", SaliencyExport(**SMALL))
    about = json.loads((tmp_path / "out/export.json").read_text())
    assert (about["method"], about["format"]) == ("grad_cam", 1)
    assert not {"clip", "photographs", "captions"} & about.keys()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": []}, "at least one saliency method, got none"),
        ({"method": ["grad_cam", "rise", "grad_cam"]}, "method has grad_cam more than once"),
        ({"method": ["grad_cam", "layercam"]}, "unknown saliency method layercam.*layer_cam"),
        ({"method": METHODS, "options": {"steps": 4}}, r"given for each of them, such as \{grad_cam: .*got steps"),
        ({"method": METHODS, "options": {"grad_cam": 4}}, "options of grad_cam must be a mapping"),
        ({"method": METHODS, "options": {"integrated_gradients": {"stepz": 4}}}, "unknown option stepz of integrated"),
        ({"method": ["gradient", "rise"], "layers": "layer3"}, "unknown option layers of gradient"),
        ({"clip": 0.0}, "clip"),
    ],
)
def test_mistakes_are_named(settings, message, photographs, tiny_checkpoint, tmp_path):
    with pytest.raises(ValueError, match=message):
        export_saliency(tiny_checkpoint, [photographs], tmp_path / "out", SaliencyExport(**SMALL, **settings))
    assert not (tmp_path / "out").exists()


def test_overlays_at_the_size_of_the_photograph(photographs, tiny_checkpoint, tmp_path):
    config = SaliencyExport(
        **SMALL, method=METHODS[:2], overlays="png", panels="png", photographs=True, captions=True, clip=99
    )
    export_saliency(tiny_checkpoint, [photographs], tmp_path / "out", config)
    row = rows_of(tmp_path / "out")[0]
    photograph = np.asarray(Image.open(photographs / "0.png"))
    drawn = []
    for entry in row["maps"]:
        heat = np.load(tmp_path / "out" / row["shard"])[entry["key"]][row["row"]].astype(np.float32) * entry["scale"]
        expected = overlay(photograph, heat, clip=99, title=entry["key"], bar=True)
        drawn.append(np.asarray(Image.open(tmp_path / "out" / entry["overlay"])).astype(int))
        assert np.abs(drawn[-1] - expected)[:-20].max() <= 3  # the numbers below are of the maps before rounding
    panel = np.asarray(Image.open(tmp_path / "out" / row["panel"]))
    np.testing.assert_array_equal(panel[:, -drawn[1].shape[1] :], drawn[1])
    assert np.asarray(Image.open(tmp_path / "out" / row["input"])).shape == (32, 32, 3)
