"""Finds phrases that are never right in this repository's English, and suggests what to write instead.

    python docs/words.py

Scans docstrings, comments and strings of Python, the page's JavaScript, and Markdown outside of ``results/``. Lines
that quote such a phrase are skipped if they contain ``words: allow``, in a comment.
"""

import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
ALLOW = "words: allow"
# Regular expression -> what to write instead. Only phrases that are wrong in every context belong here.
RULES = {
    r"\banew\b": "again; from scratch",
    r"\b[Bb]eside\b": "next to; in addition to; compared with",
    r"\b[Ww]hoever\b": "users who; name the case instead",
    r"\bLikewise\.": "repeat the description",
    r"\bAs in `[\w.]+`\.": "repeat the description",
    r"\bwhat would be right\b": "the accepted values; the closest match",
    r"\bwhat is to be said\b": "the message; notices",
    r"\bnobody here wrote\b": "third-party",
    r"\botherwise than\b": "differently from",
    r"\bis left to do\b": "remains",
    r"\b(?:come|comes|came) to (?:its|their|an) end\b": "end",
    r"\bhangs? (?:\w+ ){0,2}blocks? on\b|\bblocks? (?:that )?hangs? on\b": "attach",
    r"\b(?:is|are|was|were|be) told (?:in|by|at|with|before|once|as)\b": "is reported",
    r"\b[Tt]here is no [\w' ]+ ['\"]?\{": "unknown X {x}; file not found: {x}",
    r"(?<![Tt]here )\b(?:is|are|was|were) no "
    r"(?!(?:longer|more|less|fewer|better|worse|different|other|one|such)\b)\w+": "is not a",
    r"\btrainings\b": "training runs",
    r"\b(?:a|an|another|each|every) training(?=[.,;:)]| (?:that|is|was|ends|which|has|goes|where)\b)": "a training run",
    r"\b(?:go|goes|going|went|gone) on (?:from|with|there|where)\b": "resume; continue",
    r"\bone(?: (?:file|name|table|row|line|value))? an? (?:line|row|file|command|library|family)\b": "one per line",
}
_PATTERNS = [(re.compile(pattern), instead) for pattern, instead in RULES.items()]


def findings(name: str, text: str) -> Iterator[tuple[int, str, str]]:
    """Yields line number, phrase and suggestion for every phrase in a file.

    Args:
        name: File name; its suffix decides how the file is read: ``.py``, ``.js`` or ``.md``.
        text: Content of the file.
    """
    lines = text.splitlines()
    for number in sorted(_prose(text)) if name.endswith(".py") else range(1, len(lines) + 1):
        line = lines[number - 1]
        if ALLOW in line:
            continue
        for pattern, instead in _PATTERNS:
            if match := pattern.search(line):
                yield number, match[0], instead


def _prose(text: str) -> set[int]:
    """Returns the lines of Python with comments, docstrings or strings of several words."""
    numbers = set()
    for token in tokenize.generate_tokens(iter(text.splitlines(keepends=True)).__next__):
        kind = tokenize.tok_name[token.type]
        if kind == "COMMENT" or (kind in ("STRING", "FSTRING_MIDDLE") and " " in token.string):
            numbers.update(range(token.start[0], token.end[0] + 1))
    return numbers


def files(root: Path) -> list[Path]:
    """Returns the files to scan below `root`."""
    python = [
        path
        for folder in ("cv_attention", "benchmarks", "examples", "tests")
        for path in root.glob(f"{folder}/**/*.py")
    ]
    python += [*root.glob("*.py"), *root.glob("docs/**/*.py")]
    page = root.glob("cv_attention/report/page/**/*.js")
    documents = [*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob(".github/**/*.md")]
    return sorted(path for path in [*python, *page, *documents] if path != Path(__file__))  # the rules quote phrases


def main(root: Path = ROOT) -> int:
    """Prints every finding below `root`; returns 1 if there are any."""
    found = False
    for path in files(root):
        for number, phrase, instead in findings(path.name, path.read_text(encoding="utf-8")):
            print(f"{path.relative_to(root)}:{number}: '{phrase}': write '{instead}'")
            found = True
    return int(found)


if __name__ == "__main__":
    sys.exit(main())
