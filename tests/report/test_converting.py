"""Conversions for FiftyOne and COCO, read back plainly: files, values of maps, masks and boxes."""

import json

import numpy as np
import pytest
from PIL import Image

from cv_attention import report
from cv_attention.cli import main
from cv_attention.report.convert.coco import run_lengths


def pixels(path) -> np.ndarray:
    with Image.open(path) as opened:
        return np.array(opened)


def decoded(segmentation: dict) -> np.ndarray:
    """Decodes run lengths with plain loops."""
    height, width = segmentation["size"]
    flat, value = [], 0
    for count in segmentation["counts"]:
        flat += [value] * count
        value = 1 - value
    return np.array(flat + [0] * (height * width - len(flat))).reshape(width, height).T


@pytest.mark.parametrize("seed", range(4))
def test_run_lengths_give_the_mask_back(seed):
    mask = np.random.default_rng(seed).random((7, 5)) < (0.5, 0.0, 1.1, 0.2)[seed]
    found = run_lengths(mask)
    np.testing.assert_array_equal(decoded(found), mask)
    assert sum(found["counts"]) == mask.size
    assert run_lengths(np.array([[1, 0], [0, 1]], bool))["counts"] == [0, 1, 2, 1]


def test_fiftyone_gets_images_classes_boxes_and_maps(run_directory, tmp_path, titles):
    out = report.to_fiftyone(run_directory, tmp_path / "fo")
    metadata, samples = (json.loads((out / f"{name}.json").read_text()) for name in ("metadata", "samples"))
    assert "version" not in metadata  # which FiftyOne takes for its own newer layout
    assert metadata["media_type"] == "image"
    probes = json.loads((run_directory / "maps/probes.json").read_text())
    assert metadata["default_classes"] == probes["class_names"]
    fields = {title: name for name, title in metadata["info"]["maps"].items()}
    assert all(name.isidentifier() for name in fields.values())
    arrays = np.load(run_directory / "maps/epoch-0004.npz")
    for number, (sample, probe) in enumerate(zip(samples["samples"], probes["probes"], strict=True)):
        original = run_directory / "maps" / probe["image"]
        np.testing.assert_array_equal(pixels(out / sample["filepath"]), pixels(original))
        assert set(fields.values()) <= sample.keys()
        assert sample["ground_truth"] == {"_cls": "Classification", "label": probes["class_names"][probe["label"]]}
        assert 0 < sample["prediction"]["confidence"] <= 1
        assert sample["box"]["bounding_box"][2] == pytest.approx((probe["box"][2] - probe["box"][0]) / 64)
        for key in ("grad_cam", "signed"):
            label, raw = sample[fields[titles[key]]], arrays[key][number].astype(float)
            assert (label["_cls"], label["range"], label["signed"]) == ("Heatmap", [0, 255], key == "signed")
            levels = pixels(label["map_path"]).astype(float)
            values = label["low"] + levels / 255 * (label["high"] - label["low"])
            assert np.abs(values - raw).max() <= (label["high"] - label["low"]) / 255
    assert label["low"] == -label["high"]


def test_coco_gets_boxes_and_the_regions_of_maps(run_directory, tmp_path, titles):
    out = report.to_coco(run_directory, tmp_path / "coco", threshold=0.6)
    content = json.loads((out / "annotations.json").read_text())
    assert [one["name"] for one in content["categories"]] == [f"digit {i}" for i in range(10)]
    assert len({one["id"] for one in content["annotations"]}) == len(content["annotations"])
    heat = np.load(run_directory / "maps/epoch-0004.npz")["grad_cam"].astype(np.float32)
    for image in content["images"]:
        assert pixels(out / image["file_name"]).shape[1::-1] == (image["width"], image["height"])
        own = [one for one in content["annotations"] if one["image_id"] == image["id"]]
        [true] = [one for one in own if "map" not in one]
        assert true["bbox"][2:] == [24, 24]
        [found] = [one for one in own if one.get("map") == titles["grad_cam"]]
        mask = decoded(found["segmentation"])
        x, y, width, height = found["bbox"]
        assert found["area"] == mask.sum() == mask[y : y + height, x : x + width].sum()
        assert mask[:, x].any()
        assert mask[y].any()
        values = heat[image["id"]]
        large = np.asarray(Image.fromarray(values / values.max()).resize((64, 64), Image.Resampling.BILINEAR))
        np.testing.assert_array_equal(mask == 1, large >= 0.6)


def test_the_command_replaces_conversions_and_nothing_else(run_directory, tmp_path, capsys):
    out = tmp_path / "out"
    for _ in range(2):
        assert main(["convert", str(run_directory), "--to=coco", "-o", str(out)]) == 0
        assert capsys.readouterr().out == f"{out}\n"
    assert main(["convert", str(run_directory), "--to=fiftyone", "-o", str(out)]) == 2
    assert "holds something else" in capsys.readouterr().err
    assert main(["convert", str(run_directory), "--to=coco", "-o", str(out), "--threshold=0"]) == 2
    assert "threshold must be in (0, 1], got 0.0" in capsys.readouterr().err
    assert (out / "annotations.json").is_file()
