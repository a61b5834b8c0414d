"""Adds the project's address to a distribution: its links, and absolute links in the README.

    CV_ATTENTION_URL=https://HOST/OWNER/cv_attention python -m hatchling build

An index shows the README without the repository, so that relative links lead nowhere there. Without the variable, as in
a checkout that somebody installs, nothing is added.
"""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from hatchling.metadata.plugin.interface import MetadataHookInterface

ROOT = Path(__file__).parents[1]
RELATIVE = re.compile(r'(\]\(|src="|srcset="|href=")(?![a-z]+:|#)([^)"#\s]+)(#[^)"\s]*)?')


class ReleaseMetadata(MetadataHookInterface):
    """Fills in ``readme`` and ``urls``, which pyproject.toml calls dynamic."""

    def update(self, metadata: dict) -> None:
        """Adds both to the metadata.

        Raises:
            ValueError: if CV_ATTENTION_URL is not an https address.
        """
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        address = os.environ.get("CV_ATTENTION_URL", "").rstrip("/")
        if address:
            text = absolute(text, address)
            metadata["urls"] = {
                "Homepage": address,
                "Documentation": f"{address}/tree/main/docs",
                "Issues": f"{address}/issues",
                "Changes": f"{address}/blob/main/docs/upgrading.md",
            }
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def absolute(text: str, address: str) -> str:
    """Returns Markdown with absolute links: to pages for files, to the bytes for pictures, on the branch main.

    Raises:
        ValueError: if `address` is not an https address, or a link leads to a file that does not exist.
    """
    parts = urlsplit(address)
    if parts.scheme != "https" or not parts.netloc or parts.query or parts.fragment:
        raise ValueError(f"CV_ATTENTION_URL must be the https address of the repository, got {address!r}")

    def link(match: re.Match[str]) -> str:
        before, path, anchor = match[1], match[2], match[3] or ""
        if not (ROOT / path).exists():
            raise ValueError(f"README.md has a link to {path}, which does not exist")
        kind = "raw" if before.startswith("src") else "tree" if (ROOT / path).is_dir() else "blob"
        return f"{before}{address}/{kind}/main/{path}{anchor}"

    return RELATIVE.sub(link, text)
