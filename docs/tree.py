"""Writes the tree of the package into CONTRIBUTING.md: every file with the first line of its docstring.

    python docs/tree.py

The blocks themselves are left to `docs/blocks.md`, which says more of each.
"""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
FAMILIES = ("branch", "channel", "context", "mixed", "pooling", "spatial", "tokens")
# The page is plain HTML, CSS and JavaScript modules, one idea per file.
PAGE = {
    "": "The report's page: `main.js` assembles it from the modules below, which use each other in this order",
    "core/": "What everything uses: the data, the reader's choices, elements, form fields, loading",
    "drawing/": "Draws maps, pictures and charts",
    "samples/": "The list of samples: which ones, in which order, and what a row shows",
    "panels/": "The sections about whole runs: curves, network, classes, attention, faithfulness, reading",
    "tools/": "What surrounds the list of samples: the bar, filters, display, columns, comparison, notes, export, keys",
    "styles/": "The style sheets; `main.css` lists them in the order in which they apply",
}


def rows() -> list[str]:
    """Returns a Markdown table row for every file of the package."""
    found = []
    for path in sorted(
        (ROOT / "cv_attention").rglob("*.py"), key=lambda path: (path.parent, path.stem != "__init__", path)
    ):
        if path.parent.name in FAMILIES:
            if path.stem == "__init__":
                found.append(
                    f"| `{path.parent.relative_to(ROOT)}/` | the {path.parent.name} family, one block per file |"
                )
            continue
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        role = re.split(r"\n\n|\n    ", docstring)[0].replace("\n", " ").replace("|", "\\|").rstrip(".:")
        name = f"{path.parent.relative_to(ROOT)}/" if path.stem == "__init__" else str(path.relative_to(ROOT))
        found.append(f"| `{name}` | {role} |")
    return [*found, *(f"| `cv_attention/report/page/{folder}` | {role} |" for folder, role in PAGE.items())]


def with_tree(document: str) -> str:
    """Returns the document's text with the tree as it is now."""
    begin, end = "<!-- tree -->\n", "<!-- end of tree -->"
    head, rest = document.split(begin)
    tail = rest.split(end)[1]
    table = "\n".join(["| file | role |", "| --- | --- |", *rows()])
    return f"{head}{begin}{table}\n{end}{tail}"


if __name__ == "__main__":
    contributing = ROOT / "CONTRIBUTING.md"
    contributing.write_text(with_tree(contributing.read_text(encoding="utf-8")), encoding="utf-8")
