"""The panel of bags: images in the order of their weights, with bars, words and marks."""

import numpy as np
import pytest

from cv_attention import report
from cv_attention.rundir.arrays import write_arrays

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def run(tmp_path_factory, make_run):
    directory = make_run(tmp_path_factory.mktemp("bags") / "run", epochs=1, probes=2, seed=0)
    weight = np.array([0.1, 0.6, 0.3, 0.25, 0.75], np.float32)  # of three and two images
    arrays = {
        "name": np.array(["first", "<b>second"]), "label": np.array([1, 0]), "predicted": np.array([1, 1]),
        "probability": np.array([0.9, 0.7], np.float32), "size": np.array([5, 2]), "starts": np.array([0, 3, 5]),
        "image": np.arange(5, dtype=np.uint8)[:, None, None, None].repeat(8, 1).repeat(8, 2).repeat(3, 3) * 50,
        "weight": weight, "key": np.array([0, 1, 0, 0, 0], np.int8), "class_names": np.array(["a", "b"]),
    }  # fmt: skip
    write_arrays(directory / "bags.npz", arrays, compressed=True)
    report.build(directory)
    return directory


def test_images_are_sorted_by_weight(open_page, run):
    opened = open_page("", index=run / "report/index.html")
    images = opened.page.locator(".bag-image")
    opened.until("document.querySelectorAll('.bag-image').length === 3")
    assert images.locator(".bag-weight").all_inner_texts() == ["60.0 %", "30.0 %", "10.0 %"]
    assert [image.get_attribute("class") for image in images.all()] == ["bag-image key", "bag-image", "bag-image"]
    widths = images.locator(".bag-bar").evaluate_all("(bars) => bars.map((bar) => bar.offsetWidth)")
    assert abs(widths[0] / widths[1] - 2) < 0.1
    assert "the 3 heaviest of 5 images" in opened.page.locator(".bag-body").inner_text()
    grey = images.first.locator("img").evaluate(
        "(i) => { const c = document.createElement('canvas'); c.width = c.height = 8;"
        " const p = c.getContext('2d'); p.drawImage(i, 0, 0); return p.getImageData(2, 2, 1, 1).data[0]; }"
    )
    assert grey == 50  # the second image of the file
    opened.page.locator("select[name=bag]").select_option("1")
    opened.until("document.querySelectorAll('.bag-image').length === 2")
    assert opened.page.locator("select[name=bag] option").nth(1).inner_text().startswith("<b>second")
    assert images.locator(".bag-weight").all_inner_texts() == ["75.0 %", "25.0 %"]
    assert opened.faults == []


def test_a_run_without_bags_has_no_panel(open_page, tmp_path, make_run):
    run = make_run(tmp_path / "plain", epochs=1, probes=2, seed=0)
    report.build(run)
    opened = open_page("", index=run / "report/index.html")
    assert opened.page.locator("section[aria-labelledby=bags]").is_hidden()
