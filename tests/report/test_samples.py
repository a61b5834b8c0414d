"""The list of samples: filters, order, search, and ten thousand of them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cv_attention import report
from tests.report.written import only_run, payload

pytestmark = pytest.mark.browser
MakeRun = Callable[..., Path]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory, make_run: MakeRun) -> Path:
    """A run of 30 named samples, three epochs; some are flagged."""
    run = make_run(tmp_path_factory.mktemp("many") / "many", epochs=3, every=1, probes=30)
    path = run / "maps/probes.json"
    content = json.loads(path.read_text())
    for i, probe in enumerate(content["probes"]):
        probe |= {"name": f"scan{(i * 7) % 30}{'-left' if i % 3 else '-right'}.png"}
        if i % 10 == 0:
            probe["flags"] = ["blurred"]
    path.write_text(json.dumps(content))
    report.build(run)
    return run


@pytest.fixture(scope="module")
def known(many: Path) -> dict:
    run = only_run(many / "report/index.html")
    labels = np.array([probe["label"] for probe in run["probes"]])
    predicted = np.array([epoch["predictions"] for epoch in run["epochs"]])
    confidence = np.array(run["epochs"][1]["confidence"])
    names = [probe["name"] for probe in run["probes"]]
    return {"run": run, "labels": labels, "predicted": predicted, "right": predicted == labels,
            "confidence": confidence, "names": names}  # fmt: skip


def test_filters_and_search_leave_what_they_say(open_page, many: Path, known: dict) -> None:
    opened = open_page("#epoch=2&columns=", index=many / "report/index.html")
    page, right = opened.page, known["right"]
    opened.panel("filters")

    def expect(wanted: np.ndarray) -> None:
        assert 0 < wanted.sum() < 30
        assert opened.listed() == wanted.sum()
        shown = opened.order()
        assert shown == np.flatnonzero(wanted)[: len(shown)].tolist()

    label = int(known["labels"][0])
    page.locator("select[name=label]").select_option(str(label))
    expect(known["labels"] == label)
    page.locator("select[name=label]").select_option("")
    guess = int(known["predicted"][1][3])
    page.locator("select[name=predicted]").select_option(str(guess))
    expect(known["predicted"][1] == guess)
    page.get_by_role("button", name="Clear all filters").click()
    page.locator("select[name=show]").select_option("wrong")
    expect(~right[1])
    page.locator("input[name=least]").fill("0.5")
    expect(~right[1] & (known["confidence"] >= 0.5))
    page.locator("input[name=most]").fill("0.7")
    expect(~right[1] & (known["confidence"] >= 0.5) & (known["confidence"] <= 0.7))
    page.get_by_role("button", name="Clear all filters").click()
    flags = {
        "blurred": np.arange(30) % 10 == 0,
        "prediction changed": known["predicted"][1] != known["predicted"][0],
        "forgotten": right[0] & ~right[1],
        "never right": ~right.any(0),
    }
    for flag, wanted in flags.items():
        page.locator("select[name=flag]").select_option(flag)
        expect(wanted)
    page.locator("select[name=flag]").select_option("")
    page.get_by_role("searchbox", name="Search names and classes").fill("LEFT scan2")
    expect(np.array(["left" in name and "scan2" in name for name in known["names"]]))
    page.get_by_role("searchbox").fill("no such file")
    assert page.locator(".probes .empty").is_visible()
    assert opened.listed() == 0


def test_order_follows_the_chosen_values(open_page, many: Path, known: dict) -> None:
    opened = open_page("#epoch=2&columns=0", index=many / "report/index.html")
    epoch = known["run"]["epochs"][1]
    measures = payload(many / f"report/data/run0/e1-measures.{epoch['measures']}.js")["0"]
    losses = np.array(epoch["losses"])
    sort = opened.page.locator("select[name=sort]")
    sort.focus()
    opened.until("document.querySelector('select[name=sort] option[value=\"0:change\"]')")
    before = np.array(known["run"]["epochs"][0]["losses"])
    cases = {
        "loss": -losses,
        "confidence": -known["confidence"],
        "loss-change": before - losses,
        "0:change": -np.array(measures["change"]),
        "0:sparseness": -np.array(measures["sparseness"]),
        "0:energy in box": -np.array(measures["energy in box"]),
        "name": np.array([int(name[4:].split("-")[0]) for name in known["names"]]),
    }
    opened.show(0)
    for choice, values in cases.items():
        sort.select_option(choice)
        shown = opened.order()
        assert len(shown) > 3
        assert shown == np.argsort(values, kind="stable")[: len(shown)].tolist(), choice
    sort.select_option("loss")
    opened.page.locator(".way").click()
    assert opened.order() == np.argsort(losses, kind="stable")[: len(opened.order())].tolist()
    assert "sort=loss" in opened.page.evaluate("location.hash")


@pytest.mark.long
def test_ten_thousand_samples_make_few_rows(open_page, tmp_path: Path) -> None:
    count, rng = 10_000, np.random.default_rng(0)
    maps = rng.random((count, 4, 4)).astype(np.float16)
    (tmp_path / "large/maps").mkdir(parents=True)
    probes = [{"image": "none.png", "label": i % 7} for i in range(count)]
    (tmp_path / "large/maps/probes.json").write_text(json.dumps({"probes": probes}))
    np.savez(tmp_path / "large/maps/epoch-0000.npz", heat=maps)
    column = {"heat": {"title": "heat", "source": "saliency", "kind": "grad_cam"}}
    about = {"epoch": 0, "columns": column, "predictions": [i % 5 for i in range(count)]}
    (tmp_path / "large/maps/epoch-0000.json").write_text(json.dumps(about))
    opened = open_page("#scale=image&smooth=0&colours=grey", index=report.build(tmp_path / "large"))
    assert opened.page.locator(".sample-head").inner_text() == "10,000 images"
    for sample in (0, 5003, 9999, 63):
        opened.show(sample)
        assert len(opened.order()) < 30
        assert opened.page.locator(".probe").count() < 40
        values = maps[sample].astype(float)
        expected = np.floor(255 * (values - values.min()) / np.ptp(values) + 0.5)
        assert np.abs(opened.pixels("heat", sample)[..., 0] - expected).max() <= 1
    opened.panel("filters")
    opened.page.locator("select[name=show]").select_option("correct")
    assert opened.listed() == sum(i % 7 == i % 5 for i in range(count))
    requested = [url for url in opened.requests if "-c0-" in url]
    assert len(requested) < 12  # of 157 blocks


def test_names_keys_and_clicks_choose_a_sample(open_page, many: Path) -> None:
    opened = open_page("#columns=", index=many / "report/index.html")
    current = opened.page.locator('.probe[aria-current="true"]')
    for key, sample in [("j", 0), ("j", 1), ("j", 2), ("k", 1)]:
        opened.page.keyboard.press(key)
        assert current.get_attribute("data-sample") == str(sample)
        assert current.evaluate("(row) => row === document.activeElement")
    for _ in range(12):
        opened.page.keyboard.press("j")
    opened.settle()
    assert current.get_attribute("data-sample") == "13"
    assert current.is_visible()
    assert current.locator(".file").inner_text() == "scan1-left.png"
    opened.page.keyboard.press("x")
    assert current.locator(".pick").is_checked()
    assert "selected=13" in opened.page.evaluate("location.hash")
    opened.page.locator('.probe[data-sample="12"] .shown-picture .frame').click()
    assert current.get_attribute("data-sample") == "12"
