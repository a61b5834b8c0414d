"""Reads what a report's folder holds, as the page does."""

import base64
import io
import json
from pathlib import Path
from typing import Any

from PIL import Image


def manifest(index: Path) -> dict[str, Any]:
    (path,) = index.parent.glob("data/report.*.js")
    text = path.read_text()
    return json.loads(text.removeprefix("window.cvAttentionReport=").removesuffix(";\n"))


def only_run(index: Path) -> dict[str, Any]:
    (run,) = manifest(index)["runs"]
    return run


def payload(path: Path) -> Any:
    """What a shard hands to the page."""
    return json.loads(path.read_text().split(",", 1)[1].removesuffix(");\n"))


def picture(index: Path, number: int) -> Image.Image:
    (path,) = index.parent.glob(f"data/run0/images-{number // 16}.*.js")
    return Image.open(io.BytesIO(base64.b64decode(payload(path)[number % 16].split(",")[1])))
