"""What objects show in a notebook: their values, escaped, without scripts or requests, below 300 kB."""

import base64
import io
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

import cv_attention as cva
from cv_attention import judging, report
from cv_attention.comparison import compare
from cv_attention.drawing import COLOURS
from cv_attention.statistics import Interval
from cv_attention.study import StudyFolder, make_plan
from cv_attention.study import report as study_report
from cv_attention.tables import html_output, html_table

GREY = np.full((96, 96, 3), 120, np.uint8)


def shown(thing: object) -> str:
    """What a notebook gets, after what holds for every output."""
    text = thing._repr_html_()
    assert len(text) < 300_000
    assert not re.search(r"<script|\son\w+=|https?://|<link|@import|url\((?!data:)", text)
    assert set(re.findall(r'src="(\w+:[\w/]+)', text)) <= {"data:image/webp"}
    assert "color:inherit" in text
    styles = re.findall(r'style="([^"]*)"', text)
    assert not [one for one in styles if re.search(r"(?<![-\w])color:(?!inherit)", one)]  # the notebook's own
    assert not [one for one in styles if re.search(r"background:(?!none|linear-gradient)", one)]
    return text


def pictures(text: str) -> list[np.ndarray]:
    urls = re.findall(r'src="data:image/webp;base64,([^"]+)"', text)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(url))).convert("RGB")).astype(int) for url in urls]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = cva.backbones.build("resnet20", num_classes=3, width=4).eval()
    cva.insert(model, "cbam", at="stage")
    return model


def test_shown_maps_have_the_colours_of_their_values():
    heat = np.zeros((2, 96, 96), np.float32)
    heat[:, :48], heat[0, 60:], heat[1, 60:] = 1.0, -1.0, 0.5
    image, first, second = pictures(shown(cva.show([GREY], {"signed": heat[:1], "positive": heat[1:]}, opacity=1)))
    assert (np.abs(image - 120) <= 2).all()
    for row, place in ((20, 255), (54, 128), (85, 0)):
        assert np.abs(first[row, 48] - COLOURS["blue-red"][place]).max() <= 2
    for row, place in ((20, 255), (54, 0), (85, 128)):
        assert np.abs(second[row, 48] - COLOURS["inferno"][place]).max() <= 6  # WebP's own rounding is 3 to 6 here


def test_zero_of_a_signed_map_is_white():
    heat = np.zeros((1, 8, 8), np.float32)
    heat[0, 0, 0] = -3
    picture = pictures(shown(cva.show(np.zeros((8, 8, 3), np.uint8), heat, opacity=1, with_images=False)))[0]
    assert np.abs(picture[7, 7] - 245).max() <= 2


def test_show_takes_images_in_every_form(model):
    batch = torch.rand(2, 3, 32, 32)
    heat = cva.saliency.grad_cam(model, batch)
    expected = cva.show(batch, heat).images
    as_bytes = (batch * 255).round().to(torch.uint8)
    arrays = as_bytes.permute(0, 2, 3, 1).numpy()
    for images in (as_bytes, arrays, list(arrays), [Image.fromarray(one) for one in arrays], list(as_bytes)):
        for one, wanted in zip(cva.show(images, heat).images, expected, strict=True):
            np.testing.assert_array_equal(one, wanted)
    assert cva.show(batch[0], heat[:1]).images[0].shape == (32, 32, 3)
    grey = cva.show(batch[:, :1]).images[0]
    assert (grey[..., 0] == grey[..., 2]).all()
    stretched = cva.show((batch - 0.5) * 4).images  # normalized
    assert (min(one.min() for one in stretched), max(one.max() for one in stretched)) == (0, 255)


def test_show_takes_what_record_gives(model):
    images = torch.rand(2, 3, 32, 32)
    with cva.record(model) as maps:
        model(images)
    sheet = cva.show(images, maps)
    spatial = [name for name, found in maps.items() if found.kind != "channel"]
    assert list(sheet.maps) == spatial
    assert spatial
    np.testing.assert_array_equal(sheet.maps[spatial[0]][1], cva.to_heatmap(maps[spatial[0]])[1, 0].numpy())
    with pytest.raises(ValueError, match="channel gates have no positions"):
        cva.show(images, {"gate": next(found for found in maps.values() if found.kind == "channel")})


@pytest.mark.parametrize(
    ("images", "maps", "message"),
    [
        (torch.rand(2, 5, 8, 8), None, r"1 or 3 channels, got \(2, 5, 8, 8\)"),
        (torch.rand(2, 3, 8, 8), torch.rand(3, 1, 4, 4), "one for each of 2 images, got 3"),
        (torch.rand(2, 3, 8, 8), torch.rand(2, 4, 4, 4), "4 channels; give each target a column"),
        ("photo.jpg", None, "got a str"),
    ],
)
def test_show_says_what_does_not_fit(images, maps, message):
    with pytest.raises(ValueError, match=message):
        cva.show(images, maps)


def test_recorded_maps_show_themselves(model):
    with cva.record(model) as maps:
        model(torch.rand(2, 3, 32, 32))
    text = shown(maps)
    assert all(name in text and found.kind in text for name, found in maps.items())
    assert len(pictures(text)) == len(maps)
    one = cva.maps.RecordedMap(torch.arange(30.0).reshape(1, 1, 5, 6), "spatial")
    [picture] = pictures(shown(type(maps)({"<b>": one})))
    assert np.abs(picture[4, 5] - COLOURS["inferno"][255]).max() <= 2
    assert np.abs(picture[0, 0] - COLOURS["inferno"][0]).max() <= 2
    assert "no map yet" in type(maps)()._repr_html_()


def test_plans_and_usage_show_themselves():
    model = cva.backbones.build("resnet20", num_classes=3, width=4).eval()
    plan = cva.plan(model, "se", at="residual")
    text = shown(plan)
    assert all(site.name in text for site in plan.sites)
    assert f"{plan.added_parameters:,}" in text
    cva.insert(model, "se", at="stage")
    assert "layer1" in cva.usage(model, torch.rand(2, 3, 16, 16))._repr_html_()


def test_comparisons_show_their_verdicts(tmp_path):
    for name, block, right in (("a", "null", 0.5), ("b", "se", 0.7)):
        for seed in range(3):
            run = tmp_path / f"{name}{seed}"
            run.mkdir()
            (run / "config.yaml").write_text(f"seed: {seed}\nmodel: {{backbone: resnet20, block: {block}}}\n")
            (run / "summary.json").write_text(
                json.dumps({"test": {"accuracy": right + seed**2 / (100 if block == "se" else 90)}})
            )
    text = shown(compare(sorted(tmp_path.iterdir()), reference="plain"))
    assert "plain" in text
    assert "better by at least" in text


def test_evaluations_and_studies_show_themselves(tmp_path):
    facts = {"images": 64, "split": "test", "accuracy": 0.9, "target": "predicted"}
    table = {"grad_cam<b>": {"insertion_auc": Interval(0.61, 0.55, 0.67)}}
    text = shown(judging.Judged(facts, table=table, left_out={"rise": "no memory"}))
    assert "0.610 [0.550, 0.670]" in text
    assert "grad_cam&lt;b&gt;" in text
    assert "left out: rise: no memory" in text
    (tmp_path / "base.yaml").write_text("seed: 0")
    (tmp_path / "toy.yaml").write_text("{base: base.yaml, networks: {plain: {}, se: {model.block: se}}, seeds: 4}")
    plan = make_plan(tmp_path / "toy.yaml")
    assert "model.block: se" in shown(plan)
    results = study_report(plan, StudyFolder(tmp_path / "studies", "toy"), [], print, write=False)
    assert "0 of 4 blocks complete" in shown(results)


def test_runs_show_facts_and_maps(tmp_path):
    model = cva.backbones.build("resnet20", num_classes=2, width=4)
    with report.Recorder(
        tmp_path / "<run>", torch.rand(2, 3, 32, 32), [0, 1], class_names=["<cat>", "dog"]
    ) as recorder:
        recorder.log(model, epoch=0)
    text = shown(report.show(tmp_path / "<run>"))
    assert "&lt;run&gt;" in text
    assert len(pictures(text)) == 4
    assert "&lt;cat&gt;" in text


def test_many_large_images_stay_below_the_limit():
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (150, 200, 3), np.uint8) for _ in range(30)]
    text = shown(cva.show(images, {f"method {i}": random.normal(size=(30, 28, 28)) for i in range(5)}))
    assert re.search(r"\d+ of 30 images", text)
    rows = [(str(i), "x" * 50) for i in range(2000)]
    assert "1600 more rows" in html_output(html_table(("a", "b"), rows))
