"""The rules of axe-core: names, roles, contrast, focus."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.browser
axe_core = pytest.importorskip("axe_core_python")
PANELS = ("filters", "display", "columns", "compare", "notes", "export")


def violations(opened) -> list[str]:
    opened.page.evaluate((Path(axe_core.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    found = opened.page.evaluate("axe.run(document).then((result) => result.violations)")
    return [f"{one['id']}: {node['target']} {node['failureSummary']}" for one in found for node in one["nodes"]]


@pytest.mark.long  # other pages of the report are checked at once
@pytest.mark.parametrize(
    ("scheme", "width"),
    [
        ("light", 1280),
        ("dark", 360),
        ("dark", 1280),
        ("light", 360),
    ],
)
def test_no_rule_is_broken(open_page, runs: Path, scheme: str, width: int) -> None:
    opened = open_page("#versus=epoch:0&compare=swipe&sample=1&selected=0&sort=loss", runs / "both/index.html", width)
    opened.page.emulate_media(color_scheme=scheme)
    for details in opened.page.locator("details").all():
        details.evaluate("(d) => (d.open = true)")
    for panel in PANELS:
        opened.panel(panel)
        opened.settle()
        assert violations(opened) == []
    opened.page.keyboard.press("n")
    assert violations(opened) == []
