"""Writes the figures of studies into README.md and results/*.md, where they are quoted.

    python docs/quotes.py

A quotation is a pair of comments around its text, which this script replaces:

    <!-- study digits_attention difference cbam -->−1.43 [−2.83, −0.03]<!-- end -->
    <!-- study digits_attention table -->...<!-- end -->

The figures are those of ``results/studies/NAME/table.md``, as `cv-attention study` wrote it: ``accuracy``, ``runs``,
``difference`` (to the reference, with its simultaneous interval) or ``verdict`` of a network; ``table`` is the first
table as a whole, without costs.
"""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
QUOTED = re.compile(r"(<!-- study (\w+) (\w+)(?: ([\w+]+))? -->).*?(<!-- end -->)", re.DOTALL)
COLUMNS = {
    "network": "network",
    "runs": "runs",
    "accuracy": "test accuracy",
    "difference": "minus",
    "verdict": "verdict",
}


def quoted(document: str) -> str:
    """Returns the document with all quotations as the tables of the studies have them.

    Raises:
        ValueError: naming a study, network or figure that is unknown.
    """
    return QUOTED.sub(lambda match: f"{match[1]}{_figure(match[2], match[3], match[4])}{match[5]}", document)


def documents() -> list[Path]:
    """Returns the files that may quote."""
    return [ROOT / "README.md", *sorted((ROOT / "results").glob("*.md"))]


def _figure(study: str, what: str, network: str | None) -> str:
    path = ROOT / "results/studies" / study / "table.md"
    if not path.exists():
        raise ValueError(f"study {study!r} has no {path.relative_to(ROOT)}")
    rows = _rows(path.read_text(encoding="utf-8"))
    if what == "table":
        return "\n".join(["", *_table(rows), ""])
    if what not in COLUMNS:
        raise ValueError(f"study {study}: {what!r} is none of {', '.join(COLUMNS)}, table")
    for row in rows:
        if row[0] == network:
            return row[list(COLUMNS).index(what)]
    raise ValueError(f"study {study} has no network {network!r}; it has {', '.join(row[0] for row in rows)}")


def _rows(text: str) -> list[list[str]]:
    """Returns the rows of the first table, the cells of `COLUMNS` alone, with typographic signs."""
    lines = [line for line in text.partition("\n\n### ")[0].splitlines() if line.startswith("|")]
    titles, _, *body = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    places = [next(i for i, title in enumerate(titles) if title.startswith(start)) for start in COLUMNS.values()]
    return [[re.sub(r"(?<![\w-])-(?=\d)", "−", row[place]) for place in places] for row in body]


def _table(rows: list[list[str]]) -> list[str]:
    head = ["network", "runs", "test accuracy (%)", "minus the reference [95 %, simultaneous]", "verdict"]
    ruler = ["---", "---:", "---:", "---", "---"]
    return [f"| {' | '.join(row)} |" for row in (head, ruler, *([f"`{row[0]}`", *row[1:]] for row in rows))]


if __name__ == "__main__":
    for file in documents():
        before = file.read_text(encoding="utf-8")
        after = quoted(before)
        if after != before:
            file.write_text(after, encoding="utf-8")
            print(file.relative_to(ROOT))
