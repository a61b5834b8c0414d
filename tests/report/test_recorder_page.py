"""The page of a `Recorder`'s run in a real browser."""

from pathlib import Path

import pytest
import torch
from torch import nn

import cv_attention as cva
from tests.recording.nets import CLASSES, LABELS, Net

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    images, model = torch.rand(6, 3, 24, 24), Net()
    cva.insert(model, "cbam", ["conv1"], input_size=24)
    run = tmp_path_factory.mktemp("recorded") / "mine"
    with cva.report.Recorder(run, images, LABELS, CLASSES, names=[f"{n}.png" for n in "abcdef"]) as recorder:
        for epoch in (-1, 0, 1):
            recorder.log(model, epoch, train_loss=1.0 - epoch / 4, val_accuracy=0.5 + epoch / 8)
            nn.init.normal_(model.conv2[0].weight)
        recorder.test(torch.eye(3)[[0, 1, 2, 2]], torch.tensor([0, 1, 2, 1]))
        recorder.faithfulness(model, points=4)
    return run / "report/index.html"


def test_every_section_of_the_page_is_there(open_page, index) -> None:
    opened = open_page(index=index)
    page = opened.page
    assert page.locator("h1").inner_text() == "mine"
    assert opened.listed() == 6
    assert page.locator("h2:visible").all_inner_texts() == [
        "Maps", "Curves", "Network", "Attention", "Classes", "Faithfulness",
    ]  # fmt: skip
    assert "75.00 %" in page.locator("main").inner_text()
    assert opened.pixels("Grad-CAM").std() > 0
    assert opened.pixels("conv1.2.attention.spatial.map").std() > 0
    assert page.locator(".notices, .notice").count() == 0


def test_every_recorded_epoch_is_shown(open_page, index) -> None:
    opened = open_page(index=index)
    seen = [opened.epoch()]
    for _ in range(2):
        opened.page.keyboard.press("ArrowLeft")
        opened.settle()
        seen.append(opened.epoch())
    assert len(set(seen)) == 3
