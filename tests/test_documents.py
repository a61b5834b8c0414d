"""What README and CONTRIBUTING tell people to type works as it stands there."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest
import torch

import cv_attention as cva

ROOT = Path(__file__).parents[1]


def code_blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / document).read_text(), re.S)


def test_the_block_of_contributing_is_a_block(tmp_path, monkeypatch):
    [source] = code_blocks("CONTRIBUTING.md", "python")
    (tmp_path / "max_excite.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    make = cva.blocks.resolve({"class_path": "max_excite.MaxExcite", "init_args": {"reduction": 4}})
    x = torch.randn(2, 16, 5, 7)
    assert make(16)(x).shape == x.shape


def test_the_lines_of_the_readme_run():
    source = code_blocks("README.md", "python")[0]
    names: dict = {}
    exec(source, names)
    assert names["heat"].shape == (len(names["images"]), 1, *names["images"].shape[-2:])
    assert names["maps"]
    assert not any("attention" in name for name, _ in names["model"].named_modules())


@pytest.mark.parametrize(
    "document",
    [
        "docs/maps.md",
        pytest.param("docs/insertion.md", marks=pytest.mark.long),
        pytest.param("docs/pooling.md", marks=pytest.mark.long),
        "docs/reading.md",
        "docs/few_shot.md",
        pytest.param("docs/tasks.md", marks=pytest.mark.long),
        "docs/graphs_and_strips.md",
        "docs/family.md",
    ],
)
def test_the_lines_of_a_guide_run_one_after_another(document, tmp_path, monkeypatch):
    names, sources = {}, code_blocks(document, "python")
    monkeypatch.chdir(tmp_path)  # what they write stays out of the repository
    for source in sources:
        exec(source, names)
    assert "cva" in names


def test_the_version_is_said_once():
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert f'__version__ = "{cva.__version__}"' in (ROOT / tools["hatch"]["version"]["path"]).read_text()


def script(name):
    specification = importlib.util.spec_from_file_location(name, ROOT / f"docs/{name}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_quoted_figures_are_those_of_the_studies():
    quotes, found = script("quotes"), 0
    for path in quotes.documents():
        document = path.read_text(encoding="utf-8")
        assert document == quotes.quoted(document), f"stale: run python docs/quotes.py ({path.name})"
        found += document.count("<!-- study ")
    assert found >= 10


def test_a_quotation_is_written_anew_and_a_wrong_one_is_named():
    quotes = script("quotes")
    text = "CBAM <!-- study digits_attention difference cbam -->old<!-- end --> points"
    assert quotes.quoted(text) == text.replace("old", "−1.43 [−2.83, −0.03]")
    table = quotes.quoted("<!-- study digits_attention table -->\n<!-- end -->").splitlines()
    assert table[1].startswith("| network | runs |")
    assert len([line for line in table if line.startswith("| `")]) == 13  # the A/A runs have a line of their own
    for wrong, message in (("nothing table", "no results/studies/nothing"), ("digits_attention cost se", "none of"),
                           ("digits_attention verdict nosuch", "no network 'nosuch'")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            quotes.quoted(f"<!-- study {wrong} --><!-- end -->")


def test_the_tree_in_contributing_is_that_of_the_package():
    tree = script("tree")
    document = (ROOT / "CONTRIBUTING.md").read_text()
    assert document == tree.with_tree(document), "stale: run python docs/tree.py"
    assert all(re.fullmatch(r"\| `.+` \| .{8,} \|", row) for row in tree.rows())  # every file says what it is for
