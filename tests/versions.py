"""Runs the tests that other packages' versions can break on the lowest, the pip-resolved and the newest allowed ones.

    python tests/versions.py [lowest] [pip] [newest]

Each set of versions has an environment of its own in `build/versions`, of about 8 GB, which a second run takes up again
while `pyproject.toml` is the same. Next to them is `table.md`: what was installed, and what passed.

`lowest` and `newest` are resolved by uv: by the one that `UV` names (`uv` by default), or else by one that pip puts
into `build/versions/uv`. The interpreter is the one that runs this file.
"""

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "versions"
NAMES = ("lowest", "pip", "newest")
GIGABYTES = 8  # of one environment
TESTS = (
    "tests/blocks/test_contract.py", "tests/blocks/test_counting.py", "tests/blocks/test_flops.py",
    "tests/backbones", "tests/maps", "tests/saliency", "tests/training", "tests/cli",
    "tests/test_core.py", "tests/test_documents.py", "tests/test_library.py",  # the README's commands
)  # fmt: skip
PACKAGES = ("torch", "torchvision", "timm", "lightning", "transformers", "numpy")
COUNTS = ("passed", "failed", "skipped", "seconds")
VERSIONS = "import importlib.metadata as m, json, sys; print(json.dumps([m.version(p) for p in sys.argv[1:]]))"


def main() -> int:
    """Tests each set of versions, one after the other; returns 1 where a test failed."""
    parser = argparse.ArgumentParser(description="Tests the lowest, the pip-resolved and the newest allowed versions.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"which of {', '.join(NAMES)}; all by default")
    names = parser.parse_args().names or NAMES
    for name in names:
        if name not in NAMES:
            parser.error(f"unknown versions {name!r}; expected one of {', '.join(NAMES)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    absent = [name for name in names if not is_ready(name)]
    free = shutil.disk_usage(FOLDER).free / 1e9
    if free < GIGABYTES * len(absent):
        sys.exit(f"{FOLDER} needs about {GIGABYTES} GB for each of {', '.join(absent)}, but {free:.0f} GB are free")
    rows = [tested(name) for name in names]
    print((FOLDER / "table.md").read_text(encoding="utf-8"))
    return int(any(row["failed"] for row in rows))


def tested(name: str) -> dict[str, str | int]:
    """Installs one set of versions, runs the tests and adds its row to the table."""
    if not is_ready(name):
        install(name)
    python, report = str(FOLDER / name / "bin" / "python"), FOLDER / f"{name}.xml"
    report.unlink(missing_ok=True)
    command = [python, "-m", "pytest", "-n", "2", "--dist", "worksteal", "-m", "not long and not shared"]
    code = subprocess.run([*command, f"--junitxml={report}", *TESTS], cwd=ROOT, check=False).returncode
    installed = subprocess.run([python, "-c", VERSIONS, *PACKAGES], capture_output=True, text=True, check=True).stdout
    row = {"versions": name, "python": platform.python_version()}
    row |= dict(zip(PACKAGES, json.loads(installed), strict=True)) | counts(report)
    row["failed"] = row["failed"] or int(code != 0)
    kept = FOLDER / f"{name}.json"
    kept.write_text(json.dumps(row), encoding="utf-8")
    found = (FOLDER / f"{each}.json" for each in NAMES)
    table = as_table([json.loads(path.read_text(encoding="utf-8")) for path in found if path.exists()])
    (FOLDER / "table.md").write_text(table, encoding="utf-8")
    return row


def stamp() -> str:
    """Returns what an environment depends on."""
    return hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + sys.version.encode()).hexdigest()


def is_ready(name: str) -> bool:
    """Whether an earlier run has made the same environment."""
    made = FOLDER / name / ".installed"
    return made.exists() and made.read_text(encoding="utf-8") == stamp()


def install(name: str) -> None:
    """Makes the environment of one set of versions, from the beginning."""
    place = FOLDER / name
    if name == "pip":
        run(sys.executable, "-m", "venv", "--clear", place)
        run(place / "bin" / "python", "-m", "pip", "install", "--quiet", "-e", ".[test]")
    else:
        uv = find_uv()
        resolution = {"lowest": "lowest-direct", "newest": "highest"}[name]
        run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, place)
        python = place / "bin" / "python"
        run(uv, "pip", "install", "--quiet", "--resolution", resolution, "--python", python, "-e", ".[test]")
    (place / ".installed").write_text(stamp(), encoding="utf-8")


def find_uv() -> str:
    """Returns the uv that `UV` names, or one that pip installs."""
    named = os.environ.get("UV", "uv")
    found = shutil.which(named) if named else None
    if found is None:
        place = FOLDER / "uv"
        run(sys.executable, "-m", "venv", place)
        run(place / "bin" / "python", "-m", "pip", "install", "--quiet", "uv")
        found = str(place / "bin" / "uv")
    return found


def run(*command: str | Path) -> None:
    """Runs a command in the repository's root, and ends where it fails."""
    print("+", *command, flush=True)
    subprocess.run([str(part) for part in command], cwd=ROOT, check=True)


def counts(report: Path) -> dict[str, int]:
    """Reads pytest's report; all is 0 where a run wrote none."""
    if not report.exists():
        return dict.fromkeys(COUNTS, 0)
    (suite,) = ET.parse(report).getroot().iter("testsuite")
    tests, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
    failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    found = (tests - failed - skipped, failed, skipped, round(float(suite.get("time", 0))))
    return dict(zip(COUNTS, found, strict=True))


def as_table(rows: list[dict[str, str | int]]) -> str:
    """Returns a Markdown table, a row for each set of versions."""
    head = ("versions", "python", *PACKAGES, *COUNTS)
    lines = [head, ("---",) * len(head), *([str(row[column]) for column in head] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
