"""Adds the project's address to a distribution: its links, and absolute links in the README.

    CV_ATTENTION_URL=https://HOST/OWNER/cv_attention python -m hatchling build

An index shows the README without the repository, so that relative links lead nowhere there. Without the variable, the
address is that of the sources: of the git remote ``origin`` if it is on the web, and in an unpacked source distribution
the one that it was built with. Where there is none, nothing is added.
"""

import os
import re
import subprocess
from email import message_from_string
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
        named = os.environ.get("CV_ATTENTION_URL", "").rstrip("/")
        if address := named or own_address(ROOT):
            text = absolute(text, address, strict=bool(named))
            metadata["urls"] = {
                "Homepage": address,
                "Documentation": f"{address}/tree/main/docs",
                "Issues": f"{address}/issues",
                "Changes": f"{address}/blob/main/docs/upgrading.md",
            }
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def own_address(folder: Path) -> str:
    """Returns the https address of the repository that `folder` comes from, or nothing."""
    built = folder / "PKG-INFO"
    if built.is_file():
        urls = message_from_string(built.read_text(encoding="utf-8")).get_all("Project-URL") or []
        return dict(url.split(", ", 1) for url in urls).get("Homepage", "")
    if not (folder / ".git").exists():  # an enclosing repository is another project's
        return ""
    command = ["git", "-C", str(folder), "remote", "get-url", "origin"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return web_address(found.stdout.strip()) if found.returncode == 0 else ""


def web_address(remote: str) -> str:
    """Returns the https address of a git remote, without user names, passwords and ports; nothing for a local one."""
    ssh = re.fullmatch(r"(?:ssh://)?[\w.-]+@([\w.-]+\.[a-z]+)(?::\d+)?[:/](.+)", remote)
    host, path = ssh.groups() if ssh else (urlsplit(remote).hostname, urlsplit(remote).path)
    if not host or not (ssh or urlsplit(remote).scheme in ("http", "https")):
        return ""
    return f"https://{host}/{path.strip('/').removesuffix('.git')}"


def absolute(text: str, address: str, *, strict: bool = True) -> str:
    """Returns Markdown with absolute links: to pages for files, to the bytes for pictures, on the branch main.

    Raises:
        ValueError: if `address` is not an https address, or if `strict` and a link leads to a file that does not exist.
    """
    parts = urlsplit(address)
    if parts.scheme != "https" or not parts.netloc or parts.query or parts.fragment:
        raise ValueError(f"CV_ATTENTION_URL must be the https address of the repository, got {address!r}")

    def link(match: re.Match[str]) -> str:
        before, path, anchor = match[1], match[2], match[3] or ""
        if strict and not (ROOT / path).exists():
            raise ValueError(f"README.md has a link to {path}, which does not exist")
        kind = "raw" if before.startswith("src") else "tree" if (ROOT / path).is_dir() else "blob"
        return f"{before}{address}/{kind}/main/{path}{anchor}"

    return RELATIVE.sub(link, text)
