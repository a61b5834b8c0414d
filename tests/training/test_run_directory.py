"""docs/rundir.md against what a training run writes."""

import json
import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs/rundir.md").read_text()


def patterns() -> list[re.Pattern[str]]:
    """The files that the page's table names, as expressions; a folder stands for everything in it."""
    section = PAGE.split("## Files")[1].split("\n## ")[0]
    names = re.findall(r"^\| `([^`]+)` \|", section, re.M)
    assert len(names) > 20
    words = {re.escape("XXXX"): r"-?\d{3,}", "/N/": r"/\d+/"}
    found = []
    for name in names:
        text = re.escape(name)
        for before, after in words.items():
            text = text.replace(before, after)
        found.append(re.compile(text + (".*" if name.endswith("/") else "")))
    return found


def test_the_page_names_every_file_of_a_run(tiny_run):
    known = patterns()
    files = [path.relative_to(tiny_run).as_posix() for path in tiny_run.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert [name for name in files if not any(pattern.fullmatch(name) for pattern in known)] == []


def test_the_page_names_every_field_of_the_summary(tiny_summary):
    section = PAGE.split("## summary.json")[1].split("\n## ")[0]
    assert [name for name in tiny_summary if f"`{name}`" not in section] == []


def test_the_page_names_the_format(tiny_run):
    number = json.loads((tiny_run / "summary.json").read_text())["format"]
    assert f"**format {number}**" in PAGE
