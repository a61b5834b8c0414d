"""Two hundred hostile names of classes: nothing runs, nothing leaves its place, and all can be told apart."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cv_attention import report

pytestmark = pytest.mark.browser
HOSTILE = [
    "<b>bold</b>", "<script>document.title='owned'</script>", "<img src=x onerror=\"document.title='owned'\">",
    "\"><svg onload=document.title='owned'>", "' onclick='document.title=1",
    "</script><script>document.title=1</script>", "${document.title=1}", "javascript:document.title=1", "&lt;i&gt;",
    "emoji \U0001f468\u200d\U0001f469\u200d\U0001f467", "\u05e2\u05d1\u05e8\u05d9\u05ea", "\u202egnp.exe",
    "e" + "\u0301" * 40, "x" * 400, "many words " * 30, "", " ", "\u00a0", "\u200b", "\ufeff", "cat", "cat ", " cat",
    "cat\u200b", "CAT", "line\nbreak", "tab\there", "\\", "../..", "#a&b=c", "%3C", "a|b", "=cmd()", "NaN", "null",
    "constructor", "__proto__", "toString", "0", "[a]", "$&", "\u2068iso", "</style><style>*{display:none}", "<!--",
    "]]>", "\x07", "\x1b[31m", "\u2028", "\U0001d54f",
]  # fmt: skip
NAMES = [*HOSTILE, *(f"{HOSTILE[i % len(HOSTILE)]} {i}" for i in range(200 - len(HOSTILE)))]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, make_run: Callable[..., Path]) -> Path:
    run = make_run(tmp_path_factory.mktemp("hostile") / "a", epochs=1, probes=20, classes=NAMES)
    path = run / "maps/probes.json"
    content = json.loads(path.read_text())
    for i, probe in enumerate(content["probes"]):
        probe["label"] = i
    path.write_text(json.dumps(content))
    counts = [[true, guess % 200, 1 + true % 7] for true in range(200) for guess in (true, true + 1)]
    (run / "confusion").mkdir()
    for name in ("epoch-0000", "test"):
        (run / f"confusion/{name}.json").write_text(json.dumps({"classes": 200, "counts": counts}))
    return report.build(run)


@pytest.mark.parametrize("width", [1440, 360])
def test_hostile_names_of_classes_stay_in_their_place(open_page, index: Path, width: int) -> None:
    opened = open_page("#label=13&sample=13", index=index, width=width)
    page = opened.page
    assert page.title() == "a · cv_attention"
    assert page.locator("#report script, #report img[onerror], #report svg[onload], #report b").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    opened.panel("filters")
    panel = page.locator("#panel-filters").bounding_box()
    for name in ("label", "predicted"):
        box = page.locator(f"select[name={name}]").bounding_box()
        assert box["x"] + box["width"] <= panel["x"] + panel["width"]
    assert page.locator(".active .in-use").bounding_box()["height"] < 60  # a name of 400 letters
    options = page.locator("select[name=label] option").all_inner_texts()
    assert len({" ".join(option.split()).replace("\u200b", "") for option in options}) == 201
    rows = page.locator(".confusion-body tbody tr")
    opened.until("document.querySelectorAll('.confusion-body tbody tr').length > 0")
    assert max(rows.evaluate_all("(all) => all.map((one) => one.getBoundingClientRect().height)")) < 60
    pairs = page.locator(".pairs li").all_inner_texts()
    assert all("→" in pair and not pair.strip().startswith("→") for pair in pairs)
    page.locator(".probe:not([hidden]) .frame").nth(1).click()
    assert page.locator("#large-title").bounding_box()["height"] < 80
