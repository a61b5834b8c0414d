"""The panels of the page, clicked and typed in: what they show compared with what was recorded."""

import importlib.util
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from cv_attention import report
from cv_attention.saliency.metrics.faithfulness import ranks
from tests.quick import quick_first, quick_only

pytestmark = pytest.mark.browser

_spec = importlib.util.spec_from_file_location("panel_run", Path(__file__).with_name("panel_run.py"))
assert _spec is not None
assert _spec.loader is not None
panel_run = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(panel_run)
ALL = "scale=image&columns=0,1,2,3,4,5,6"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, make_run: Callable[..., Path]) -> Path:
    root = tmp_path_factory.mktemp("panels")
    for seed, name in enumerate(("a", "b")):
        panel_run.add_panels(make_run(root / name, epochs=6, probes=4, seed=seed), seed)
    report.build(root / "a")
    report.build([root / "a", root / "b"])
    return root / "a"


@pytest.fixture
def opened(open_page, run: Path) -> Callable[..., object]:
    def open_one(address: str = "", width: int = 1280):
        return open_page(address, index=run / "report/index.html", width=width)

    return open_one


def pixels(locator) -> np.ndarray:
    height, width, values = locator.evaluate(
        "(c) => [c.height, c.width, [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]]"
    )
    return np.array(values, dtype=np.uint8).reshape(height, width, 4)


def scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.floor(255 * (values - low) / (high - low) + 0.5)


def grey(values: np.ndarray) -> np.ndarray:
    return scaled(values, values.min(), values.max())


def read(run: Path, name: str) -> dict[str, np.ndarray]:
    with np.load(run / f"maps/{name}.npz") as arrays:
        return {key: arrays[key].astype(float) for key in arrays}


def test_a_click_on_a_site_shows_its_maps(opened) -> None:
    page = opened()
    sites = page.page.locator(".site")
    assert sites.count() == 3
    assert "900 FLOPs; changes its input by 2.0 %" in sites.nth(1).get_attribute("aria-label")
    hint = page.page.locator(".network-frame .hint").text_content()
    assert "change their inputs by 1.0 % to 3.0 %; without them 12.5 % of the predictions change" in hint
    assert page.page.locator(".network .part-name").all_text_contents() == ["conv1", "layer1", "layer2", "layer3", "fc"]
    sites.nth(1).click()
    page.settle()
    assert page.page.locator("select[name=site]").input_value().startswith("layer2.2.bn2.attention.")
    heads = page.page.locator(".heads").text_content()
    assert "layer2.2.bn2" in heads
    assert "layer1.0" not in heads
    assert page.page.locator(".site.chosen").count() == 1
    sites.nth(2).focus()
    page.page.keyboard.press("Enter")
    assert page.page.locator("select[name=site]").input_value().startswith("layer3.2.bn2.attention.")


def test_confusion_is_painted_and_a_click_lists_the_samples(opened, run: Path) -> None:
    page = opened("#scale=image&epoch=3&colours=grey")
    select = page.page.locator("select[name=counted]")
    for choice, name in (("test", "test"), ("validation", "epoch-0002")):
        select.select_option(choice)
        page.page.wait_for_timeout(150)
        matrix = np.zeros((10, 10))
        for true, guess, count in json.loads((run / f"confusion/{name}.json").read_text())["counts"]:
            matrix[true, guess] = count
        shares = matrix / matrix.sum(1, keepdims=True)
        drawn = pixels(page.page.locator(".confusion-map"))[..., 0]
        assert np.abs(drawn - 255 * shares).max() <= 1
        text = page.page.locator("section[aria-labelledby=classes] .counted").inner_text()
        assert f"{int(np.trace(matrix))} of {int(matrix.sum())} right" in text
        worst = page.page.locator(".per-class tbody tr").first
        recall = np.diag(shares)
        assert int(worst.get_attribute("data-class")) == int(recall.argmin())
        assert f"{100 * recall.min():.1f} %" in worst.inner_text()
    box = page.page.locator(".confusion-map").bounding_box()
    page.page.locator(".confusion-map").click(position={"x": box["width"] * 0.75, "y": box["height"] * 0.35})
    assert "label=3" in page.page.evaluate("location.hash")
    assert "predicted=7" in page.page.evaluate("location.hash")


def test_class_switch_changes_the_map(opened, run: Path, titles: dict[str, str]) -> None:
    page = opened(f"#epoch=3&opacity=1&smooth=0&colours=grey&{ALL}")
    page.panel("display")
    found = read(run, "classes-0002")
    labels = [probe["label"] for probe in json.loads((run / "maps/probes.json").read_text())["probes"]]
    for target, probe in itertools.product(["true", "second", "third", "difference"], (0, 2)):
        page.page.locator("select[name=target]").select_option(target)
        page.settle()
        classes = found["classes"][probe].astype(int).tolist()
        places = {"true": classes.index(labels[probe]), "second": 1, "third": 2}
        drawn = page.pixels(titles["grad_cam"], probe)
        if target != "difference":
            assert np.abs(drawn[..., 0] - grey(found["Grad-CAM"][probe, places[target]])).max() <= 1
            continue
        difference = found["Grad-CAM"][probe, 0] - found["Grad-CAM"][probe, classes.index(labels[probe])]
        most = np.abs(difference).max()
        if most == 0:  # predicted rightly: nothing differs
            assert len(np.unique(drawn.reshape(-1, 4), axis=0)) == 1
            continue
        reddish = drawn[..., 0].astype(int) - drawn[..., 2]
        assert (reddish[difference > 0.4 * most] > 20).all()
        assert (reddish[difference < -0.4 * most] < -20).all()


def test_the_attention_of_the_network_does_not_follow_the_class(opened, titles: dict[str, str]) -> None:
    page = opened(f"#epoch=3&opacity=1&smooth=0&colours=grey&{ALL}")
    before = page.pixels(titles["layer2"])
    page.panel("display")
    page.page.locator("select[name=target]").select_option("true")
    assert np.array_equal(page.pixels(titles["layer2"]), before)


def test_gates_of_the_image_and_over_the_data_set(opened, run: Path) -> None:
    page = opened("#epoch=3")
    page.page.locator("select[name=site]").select_option(panel_run.GATE)
    page.page.locator(".spread").wait_for()
    statistics = read(run, "gates-0002")
    medians = statistics[f"quantiles:{panel_run.GATE}"][2]
    dots = page.page.locator(".gate-dot")
    order = [int(dot.get_attribute("data-channel")) for dot in dots.all()]
    assert (np.diff(medians[order]) <= 0).all()
    with np.load(run / "maps/epoch-0002.npz") as arrays:
        gates = arrays["gate2"][0].astype(float)
    heights = {int(dot.get_attribute("data-channel")): float(dot.get_attribute("cy")) for dot in dots.all()}
    ranked = sorted(heights, key=lambda channel: heights[channel])  # the highest gate lies at the top
    assert ranked[0] == int(gates.argmax())
    assert ranked[-1] == int(gates.argmin())
    bars = page.page.locator(".histogram .count")
    counts = statistics[f"histogram:{panel_run.GATE}"]
    tall = np.array([float(bar.get_attribute("height")) for bar in bars.all()])
    np.testing.assert_allclose(tall / tall.max(), counts / counts.max(), atol=1e-3)
    drawn = pixels(page.page.locator(".gate-bars"))
    filled = (drawn[:, 2::8, 3] > 0).sum(0)
    assert filled[0] > filled[-1]
    page.page.locator(".by-class").wait_for()
    by_class = pixels(page.page.locator(".by-class"))
    assert by_class.shape[:2] == (10, 32)


def test_a_click_on_a_position_shows_where_it_looks(opened, run: Path) -> None:
    page = opened("#scale=image&epoch=5&opacity=1&smooth=0&colours=grey")
    page.page.locator("select[name=site]").select_option(panel_run.PAIRWISE)
    picker = page.page.locator(".query .overlaid")
    picker.wait_for()
    box = picker.bounding_box()
    picker.click(position={"x": box["width"] * 0.4, "y": box["height"] * 0.6})  # row 2, column 1 of 4 x 4
    page.until("document.querySelector('[name=query-row]').value === '2'")
    page.until("document.querySelector('[name=query-column]').value === '1'")
    page.settle()
    found = read(run, "pairwise-0004")[panel_run.PAIRWISE]
    looks = page.page.locator(".looks")
    for head in (0, 1):  # both heads at one scale
        drawn = pixels(looks.locator("canvas").nth(head))[..., 0]
        assert np.abs(drawn - scaled(found[0, head, 9], found[0, :, 9].min(), found[0, :, 9].max())).max() <= 1
        mark, frame = (looks.locator(name).nth(head).bounding_box() for name in (".query-mark", ".frame"))
        assert mark["x"] - frame["x"] == pytest.approx(frame["width"] / 4, abs=1)
        assert mark["y"] - frame["y"] == pytest.approx(frame["height"] / 2, abs=1)
    assert "What row 2, column 1 attends to" in page.page.locator(".attention-body").inner_text()
    received = read(run, "heads-0004")[panel_run.PAIRWISE][0]
    drawn = pixels(page.page.locator(".heads-at-one-scale:not(.looks) canvas").nth(1))[..., 0]
    assert np.abs(drawn - scaled(received[1], received.min(), received.max())).max() <= 1
    page.page.get_by_role("button", name="Next image").first.click()
    for name, query in (("query-column", 10), ("query-row", 14)):
        page.page.locator(f"[name={name}]").focus()
        page.page.keyboard.press("ArrowRight")
        page.until(f"location.hash.includes('query={query}')")
        page.settle()
        drawn = pixels(looks.locator("canvas").first)[..., 0]
        every = found[1, :, query]
        assert np.abs(drawn - scaled(every[0], every.min(), every.max())).max() <= 1


@pytest.mark.parametrize("images", quick_only([2], [1, 2]))
def test_heads_start_at_zero_with_the_uniform_weight_marked(opened, run: Path, images: int) -> None:
    page = opened(f"#epoch=5&opacity=1&smooth=0&colours=grey&site={panel_run.PAIRWISE}&sample={images - 1}&query=5")
    looks = page.page.locator(".looks")
    looks.wait_for()
    page.settle()
    every = read(run, "pairwise-0004")[panel_run.PAIRWISE][images - 1, :, 5]
    most = max(every.max(), 2 * every.mean((1, 2)).max())
    for head in (0, 1):
        drawn = pixels(looks.locator("canvas").nth(head))[..., 0]
        assert np.abs(drawn - scaled(every[head], 0, most)).max() <= 1
    ends = looks.locator(".shared-scale .scale > span")
    assert [float(ends.nth(i).inner_text()) for i in (0, 2)] == pytest.approx([0, most], rel=0.006)
    mark = float(looks.locator(".bar").evaluate("(bar) => getComputedStyle(bar, '::before').left").removesuffix("px"))
    width = looks.locator(".bar").bounding_box()["width"]
    assert mark / width == pytest.approx(every.mean() / most, abs=0.02)


def test_layers_and_heads_are_one_matrix_at_one_scale(opened, run: Path) -> None:
    page = opened("#epoch=5&opacity=1&smooth=0&colours=grey&site=layers-heads&sample=1")
    table = page.page.locator(".head-matrix")
    table.wait_for()
    page.settle()
    received = read(run, "heads-0004")[panel_run.PAIRWISE][1]
    relative = received / received.mean((1, 2), keepdims=True)
    assert table.locator("canvas").count() == 2
    for head in (0, 1):
        drawn = pixels(table.locator("canvas").nth(head))[..., 0]
        assert np.abs(drawn - scaled(relative[head], 0, max(2, relative.max()))).max() <= 1


def test_spatial_maps_through_the_epochs(opened, run: Path, titles: dict[str, str]) -> None:
    page = opened("#scale=image&epoch=1&opacity=1&smooth=0&colours=grey")
    page.page.locator("select[name=site]").select_option(titles["layer2"])
    page.page.locator(".film canvas").nth(2).wait_for()
    for number, epoch in enumerate(panel_run.EPOCHS):
        drawn = pixels(page.page.locator(".film canvas").nth(number))[..., 0]
        with np.load(run / f"maps/epoch-{epoch:04d}.npz") as arrays:
            assert np.abs(drawn - grey(arrays["layer2"][0].astype(float))).max() <= 1
    page.page.locator(".film-frame").nth(2).click()
    assert page.epoch() == "epoch 5"


def masked_by_hand(run: Path, sample: int, count: int, kind: str) -> np.ndarray:
    image = np.asarray(Image.open(run / f"maps/images/{sample:04d}.png").convert("RGB"), float)
    with np.load(run / "maps/epoch-0004.npz") as arrays:
        heat = torch.from_numpy(arrays["grad_cam"][sample].astype(np.float32))[None, None]
    order = ranks(F.interpolate(heat, (64, 64), mode="bilinear", align_corners=False))[0, 0].numpy()
    mean = 255 * np.array(panel_run.MEAN)
    kernel = np.array([0.1, 0.2, 0.4, 0.2, 0.1])
    soft = image - mean
    for axis in (0, 1):
        soft = np.apply_along_axis(np.convolve, axis, soft, kernel, "same")
    first, rest = (mean + 0 * image, image) if kind == "deletion" else (image, soft + mean)
    return np.where(order[..., None] < count, first, rest)


@pytest.mark.parametrize("kind", quick_first(["deletion", "insertion"]))
def test_scrubber_masks_the_image_as_the_curve_does(opened, run: Path, kind: str) -> None:
    page = opened("#sample=2")
    page.page.locator("select[name=kind]").select_option(kind)
    page.page.locator("input[name=masked]").fill("3")
    page.until("document.querySelector('input[name=masked]').value === '3'")
    page.page.wait_for_timeout(200)
    drawn = pixels(page.page.locator(".masked"))[..., :3].astype(float)
    off = np.abs(drawn - masked_by_hand(run, 2, 3 * 512, kind)).max(-1)
    assert (off <= 1.01).mean() > 0.995  # rounding may swap a few pixels of nearly equal saliency
    value = 0.9 - 0.3 if kind == "deletion" else 0.1 + 0.3
    assert f"{100 * value:.1f} %" in page.page.locator(".legend-value").filter(visible=True).all_inner_texts()


def test_table_of_faithfulness_has_its_baselines(opened) -> None:
    page = opened()
    rows = page.page.locator(".faith-table tbody tr")
    assert [rows.nth(i).get_attribute("data-map") for i in range(rows.count())] == ["Grad-CAM", "random"]
    assert rows.first.locator("td").first.inner_text().startswith("0.55\n")  # the mean of 0.4, 0.5, 0.6, 0.7
    assert rows.first.locator("td").nth(1).inner_text() == "0.5\n0.5–0.5"
    assert rows.nth(1).get_attribute("class") == "baseline"


def test_several_runs_are_compared_in_a_table(open_page, run: Path) -> None:
    page = open_page(index=run.parent / "comparison/index.html")
    table = page.page.locator("table.runs")
    names = table.locator("tbody th").all_inner_texts
    assert names() == ["a", "b"]
    table.get_by_role("button", name="Images/s").click()
    assert names() == ["b", "a"]
    assert "513.5" in table.locator("tbody tr").first.inner_text()
    table.get_by_role("button", name="Images/s").click()
    assert names() == ["a", "b"]
    table.get_by_role("button", name="b", exact=True).click()
    assert table.locator("tr.chosen th").inner_text() == "b"


@pytest.mark.parametrize("width", quick_only([360], [1280, 360]))
def test_panels_fit_on_narrow_screens(opened, width: int) -> None:
    page = opened(width=width)
    page.page.wait_for_timeout(300)
    assert page.page.evaluate("document.documentElement.scrollWidth") == width


def test_torn_panels_are_left_out_and_told(run: Path, tmp_path: Path) -> None:
    import shutil

    torn = shutil.copytree(run, tmp_path / "torn", ignore=shutil.ignore_patterns("report"))
    (torn / "maps/faithfulness.json").write_text('{"epoch": 1')
    (torn / "maps/gates-0002.npz").write_bytes(b"PK\x03\x04torn")
    (torn / "confusion/test.json").write_text('{"classes": 2, "counts": [[0, 5, 1]]}')
    index = report.build(torn)
    (path,) = index.parent.glob("data/report.*.js")
    [found] = json.loads(path.read_text().removeprefix("window.cvAttentionReport=").removesuffix(";\n"))["runs"]
    assert sorted(notice.split(" ")[0] for notice in found["notices"]) == [
        "confusion/test.json", "maps/faithfulness.json", "maps/gates-0002.npz"
    ]  # fmt: skip
    assert found["panels"]["faithfulness"] is None
    assert set(found["panels"]["gates"]) == {"0", "4"}


def test_names_in_the_panels_stay_text(open_page, run: Path, tmp_path: Path) -> None:
    import shutil

    evil = "<img src=x onerror=\"document.title='owned'\">"
    bad = shutil.copytree(run, tmp_path / "bad", ignore=shutil.ignore_patterns("report"))
    summary = json.loads((bad / "summary.json").read_text())
    summary["network"][0]["name"] = summary["sites"][0]["label"] = summary["sites"][0]["name"] = evil
    summary["class_names"] = [evil] * 10
    (bad / "summary.json").write_text(json.dumps(summary))
    probes = json.loads((bad / "maps/probes.json").read_text())
    probes["class_names"] = [evil] * 10
    (bad / "maps/probes.json").write_text(json.dumps(probes))
    curves = json.loads((bad / "maps/faithfulness.json").read_text())
    curves["curves"][evil] = curves["curves"]["Grad-CAM"]
    (bad / "maps/faithfulness.json").write_text(json.dumps(curves))
    page = open_page(index=report.build(bad))
    page.page.wait_for_timeout(300)
    assert page.page.locator("img[onerror]").count() == 0
    assert "owned" not in page.page.title()
    assert evil in page.page.locator(".per-class").inner_text()
