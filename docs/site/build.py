"""Builds the site of guides and reference into build/site/pages.

    python docs/site/build.py

The documents are copied to build/site/source as they lie in the repository, so that links between them hold there too.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
SOURCE, PAGES = ROOT / "build" / "site" / "source", ROOT / "build" / "site" / "pages"
SHIM = "https://unpkg.com/iframe-worker/shim"
FOLDERS = ("docs", "results", "examples", "configs", "benchmarks", "tests")  # what the documents link to


def main() -> int:
    """Copies the documents and builds the site; a link that leads nowhere is an error."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    SOURCE.mkdir(parents=True)
    for document in (*ROOT.glob("*.md"), ROOT / "LICENSE", ROOT / "train.py", ROOT / "pyproject.toml"):
        shutil.copy2(document, SOURCE)
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, SOURCE / folder, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--config-file", str(HERE / "mkdocs.yml")]
    code = subprocess.run(command, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, check=False).returncode
    if code == 0:
        bring_search_along()
        print(PAGES / "index.html")
    return code


def bring_search_along() -> None:
    """Puts the one script that the theme would load from the network among the pages."""
    shutil.copy2(HERE / "iframe-worker.js", PAGES / "assets" / "javascripts")
    for page in PAGES.rglob("*.html"):
        up = "../" * (len(page.relative_to(PAGES).parts) - 1)
        text = page.read_text(encoding="utf-8")
        page.write_text(text.replace(SHIM, f"{up}assets/javascripts/iframe-worker.js"), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
