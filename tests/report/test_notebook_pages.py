"""What notebooks show, in a browser: on dark and light pages, without requests."""

from pathlib import Path

import numpy as np
import pytest
import torch

import cv_attention as cva


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_on_dark_and_light_pages(browser, scheme, tmp_path: Path):
    model = cva.backbones.build("resnet20", num_classes=3, width=4).eval()
    cva.insert(model, "cbam", at="stage")
    with cva.record(model) as maps:
        model(torch.rand(1, 3, 32, 32))
    back, front = ("#fff", "#111") if scheme == "light" else ("#111", "#eee")
    grey = np.full((96, 96, 3), 120, np.uint8)
    parts = [
        cva.show([grey], {"a": [np.eye(4) - 0.3]}, labels=["cat"], caption="why")._repr_html_(),
        maps._repr_html_(),
    ]
    (tmp_path / "page.html").write_text(f'<body style="background:{back};color:{front}">{"".join(parts)}</body>')
    page = browser.new_page()
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(f"file://{tmp_path}/page.html")
    colours = page.evaluate(
        "[...document.querySelectorAll('th, td, span, div')].map((one) => getComputedStyle(one).color)"
    )
    assert set(colours) == {"rgb(17, 17, 17)" if scheme == "light" else "rgb(238, 238, 238)"}
    assert page.evaluate("[...document.images].every((one) => one.complete && one.naturalWidth > 0)")
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    page.close()
