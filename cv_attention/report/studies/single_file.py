"""Joins a page, its data and its images into one HTML file that needs no folder next to it."""

import base64
import hashlib
import html
import re
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any

from cv_attention.report.write.bundle import bundle_script, bundle_styles
from cv_attention.report.write.shards import as_json

_PAGE = Path(__file__).parents[1] / "page"
_SHARD = re.compile(r'cvAttentionShard\("([^"]+)",(.*)\);\n', re.DOTALL)  # as `write_shard` writes it


def single_file(root: Path, title: str, report: dict[str, Any], entry: str) -> str:
    """Returns the page as one HTML file.

    The page's policy names the hash of each script and of the style sheet, so that nothing else runs, and it loads
    nothing. Shards are blocks of JSON, which the page parses when it shows them.

    Args:
        root: Folder with the shards that `write_shard` has written.
        title: Title of the page.
        report: What the page loads at the start.
        entry: The page's first module, below its folder.
    """
    data = f"window.cvAttentionReport={as_json(report)};"
    script, style = bundle_script(_PAGE, entry), bundle_styles(_PAGE)
    if "</script" in script or "</style" in style:
        raise ValueError(f"{entry} or its style sheets would end their own element")
    template = Template((_PAGE / "single.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=html.escape(title),
        scripts=f"'{_hash(data)}' '{_hash(script)}'",
        styles=f"'{_hash(style)}'",
        style=style,
        shards="\n".join(_shards(root)),
        data=data,
        script=script,
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _shards(root: Path) -> Iterator[str]:
    """Yields a block for each shard; its JSON holds no character that could end the element."""
    for path in sorted((root / "data").rglob("*.js")):
        found = _SHARD.fullmatch(path.read_text(encoding="utf-8"))
        assert found is not None, f"{path} is not a shard"
        name = path.name.rsplit(".", 2)[1]
        yield f'<script type="application/json" data-shard="{html.escape(found[1])}.{name}">{found[2]}</script>'
