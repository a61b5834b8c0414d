"""The panel of images with several classes, and their words in the list of samples."""

import numpy as np
import pytest
import torch

import cv_attention as cva
from cv_attention import report
from cv_attention.rundir.counts.label_counts import LabelCounts
from cv_attention.rundir.layout import RunLayout

pytestmark = pytest.mark.browser


class Fixed(torch.nn.Module):
    """Finds classes 0 and 2 in every image."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, images):
        return self.conv(images).mean((2, 3)) * 0 + torch.tensor([4.0, -4.0, 2.0])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("labels") / "run"
    labels = np.array([[1, 1, 0], [0, 0, 0]])
    images, names = torch.rand(2, 3, 16, 16), ["ant", "<b>bee", "cat"]
    with cva.report.Recorder(directory, images, labels, names, several=True) as recorder:
        recorder.log(Fixed(), epoch=0)
    counts = LabelCounts(10, [0.5, 0.4, 0.3], [4, 2, 1], [5, 2, 0], [3, 1, 0], [[0, 1, 2]], [[0, 2, 3], [1, 0, 1]])
    counts.write(RunLayout(directory).tested_labels)
    report.build(directory)
    return directory


def test_what_is_found_missed_and_added(open_page, run):
    opened = open_page("", index=run / "report/index.html")
    opened.until("document.querySelectorAll('.label-chip').length === 5")
    words = ["".join(text.split()) for text in opened.page.locator(".label-chip").all_inner_texts()]
    assert sorted(words) == sorted(["✓ant", "−<b>bee", "✗cat", "✗ant", "✗cat"])
    panel = opened.page.locator("section[aria-labelledby=labels]")
    assert "10 images with 7 classes, 7 decided, 4 of them right" in panel.inner_text()
    rows = panel.locator("tbody tr").all_inner_texts()
    assert [row.split("\t")[0].strip() for row in rows] == ["cat", "<b>bee", "ant"]  # the lowest F1 first
    assert rows[2].split() == ["ant", "4", "75.0", "%", "60.0", "%", "66.7", "%", "50.0", "%"]
    assert panel.locator(".pairs li").first.inner_text().split() == ["ant", "→", "also", "cat", "3", "of", "4"]
    assert opened.faults == []
