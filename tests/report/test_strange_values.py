"""Values of strangers: infinite, not a number, very large; very many runs. What cannot be drawn is told."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cv_attention import report
from cv_attention.report.read.run_directory import read_run
from tests.report.conftest import write_csv

MakeRun = Callable[..., Path]


def test_values_that_curves_leave_out_are_told(tmp_path: Path, make_run: MakeRun) -> None:
    run = make_run(tmp_path / "run", epochs=1, probes=1)
    rows = [{"epoch": 1, "step": 100 + i, "train_loss": float("nan"), "val_loss": 1.0} for i in range(3)]
    write_csv(run / "metrics/2/metrics.csv", [*rows, {"epoch": 2, "step": 200, "val_loss": float("-inf")}])
    found = read_run(run)
    assert found.metrics.infinite == {"train_loss": 3, "val_loss": 1}
    assert found.notices == [
        "train_loss was infinite or not a number 3 times; its curve leaves that out.",
        "val_loss was infinite or not a number once; its curve leaves that out.",
    ]
    assert all(np.isfinite(value) for points in found.metrics.series.values() for _, _, value in points)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, make_run: MakeRun) -> Path:
    """Maps without a finite value, a loss of 1e300."""
    run = make_run(tmp_path_factory.mktemp("strange") / "run", epochs=1, probes=2)
    path = run / "maps/epoch-0000.npz"
    with np.load(path) as opened:
        arrays = dict(opened)
    arrays["grad_cam"][0] = np.nan
    arrays["layer3"][:] = np.inf
    arrays["gate3"][1] = np.nan
    np.savez(path, **arrays)
    write_csv(run / "metrics/0/metrics.csv", [{"epoch": 0, "step": i, "train_loss": i * 1e299} for i in range(9)])
    return report.build(run)


@pytest.mark.browser
def test_maps_without_a_finite_value_say_so(open_page, index: Path, titles: dict[str, str]) -> None:
    opened = open_page("#columns=0,2,3,6", index=index)
    expected = {
        ("grad_cam", 0): True,
        ("grad_cam", 1): False,
        ("layer2", 0): False,
        ("layer3", 0): True,
        ("gate3", 1): True,
    }
    for (key, sample), empty in expected.items():
        badge = opened.cell(titles[key], sample).locator(".flat")
        assert badge.is_visible() == empty, (key, sample)
        if empty:
            assert badge.inner_text() == "no finite value"


@pytest.mark.browser
def test_numbers_of_an_axis_have_room(open_page, index: Path) -> None:
    opened = open_page(index=index)
    plot = opened.page.locator(".chart .plot").first
    left = plot.bounding_box()["x"]
    numbers = plot.locator(".tick text")
    assert "e+299" in "".join(numbers.all_text_contents())
    assert all(number.bounding_box()["x"] >= left for number in numbers.all())


@pytest.mark.browser
def test_legends_of_many_runs_are_short(open_page, tmp_path: Path, make_run: MakeRun) -> None:
    names = [f"cluttered_digits-resnet20-cbam-seed{i}" for i in range(12)]
    for name in names:
        run = make_run(tmp_path / "runs" / name, epochs=3, probes=1)
        (run / "config.yaml").write_text(f"{(run / 'config.yaml').read_text()}note: {name[-2:]}\n")
    opened = open_page(index=report.build([tmp_path / "runs" / name for name in names], tmp_path / "all"))
    legend = opened.page.locator(".chart .legend").first
    label = legend.locator(".legend-name").first
    assert label.inner_text().startswith("seed0")
    assert label.get_attribute("title") == names[0]
    assert legend.bounding_box()["height"] <= 190
    assert opened.page.locator(".differences th[title]").first.inner_text() == "seed0"
    with opened.page.expect_download() as download:
        opened.page.get_by_role("button", name="Curves as CSV").click()
    head = next(csv.reader(Path(download.value.path()).read_text().splitlines()))
    assert head[2].startswith(f"{names[0]}: ")  # whole names in tables
