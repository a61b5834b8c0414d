"""Breaks one line of the package after the other, and counts how many of these bugs a test of `make test` notices.

    python -m pytest -n 2 -m "not long and not shared" --cov cv_attention --cov-context test   # writes .coverage
    python benchmarks/mutations.py --out out/mutations [--coverage .coverage] [--only 3 17] [--within named]

The bugs are in `mutations.json`, each as a text that occurs once in a file and the text in its place; they were chosen
from the sources alone, before anybody looked at the tests. Each is put into a copy of the repository, where those tests
run that execute its lines, by the record of `pytest-cov`; without one, and for the page's JavaScript, the tests named
like the file, then those named like its folder, and then all others. Each ends in one line of OUT/mutations.jsonl; a
call resumes where the last one stopped. With `--within named` or `folder` the others are left for a later call, which
tries again what was not noticed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
MUTATIONS = Path(__file__).with_name("mutations.json")
COPIED = ("cv_attention", "tests", "configs", "examples", "docs", "results", "benchmarks")
AT_ONCE = 300  # tests of one call of pytest


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--coverage", type=Path)
    parser.add_argument("--only", type=int, nargs="*")
    parser.add_argument(
        "--within", choices=("named", "folder", "all"), default="all", help="Where tests are taken from."
    )
    parser.add_argument(
        "--tests", nargs="+", help="These alone, where you know better; tries again what was not noticed."
    )
    parser.add_argument("--processes", type=int, default=2, help="Of pytest; 0 runs the tests in one.")
    parser.add_argument("--seconds", type=int, default=900, help="For one bug.")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = options.out / "mutations.jsonl"
    before = [json.loads(line) for line in rows.read_text().splitlines()] if rows.exists() else []
    done = {
        row["id"] for row in before if found(row) or (row.get("within", "all") == options.within and not options.tests)
    }
    for mutation in json.loads(MUTATIONS.read_text(encoding="utf-8")):
        if mutation["id"] in done or (options.only and mutation["id"] not in options.only):
            continue
        row = tried(mutation, options)
        with rows.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)
    return 0


def found(row: dict) -> bool:
    """Returns whether a test has noticed the bug of a row."""
    return row["noticed"] not in (None, "out of time")


def tried(mutation: dict, options: argparse.Namespace) -> dict:
    """Runs the tests on a copy with the bug; the first that fails has noticed it."""
    copy, coverage = options.out / "copy", options.coverage
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(parents=True)
    for name in COPIED:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (*ROOT.glob("*.md"), *ROOT.glob("*.toml"), ROOT / "Makefile", ROOT / "train.py"):
        shutil.copy2(path, copy)
    broken = copy / mutation["file"]
    text = broken.read_text(encoding="utf-8")
    if text.count(mutation["before"]) != 1:
        raise SystemExit(f"mutation {mutation['id']}: its text does not occur once in {mutation['file']}")
    at = text[: text.index(mutation["before"])].count("\n") + 1
    lines = range(at, at + mutation["before"].count("\n") + 1)
    tests = covering(mutation["file"], lines, coverage) if coverage else []
    calls = [tests[first : first + AT_ONCE] for first in range(0, len(tests), AT_ONCE)]
    calls = calls or ([options.tests] if options.tests else places(mutation["file"], options.within))
    broken.write_text(text.replace(mutation["before"], mutation["after"]), encoding="utf-8")
    start, noticed = time.monotonic(), None
    for call in calls:
        noticed = run(copy, call, options.seconds - (time.monotonic() - start), options.processes)
        if noticed:
            break
    seconds = round(time.monotonic() - start)
    row = {"id": mutation["id"], "file": mutation["file"], "noticed": noticed, "seconds": seconds}
    return {**row, "within": options.within}


def places(file: str, within: str) -> list[list[str]]:
    """Returns the tests of each call of pytest, without a record of which tests execute the file."""
    calls = [named(file) + (beside(file) if within != "named" else []), *([["tests"]] if within == "all" else [])]
    return [tests for tests in calls if tests]


def covering(file: str, lines: range, coverage: Path) -> list[str]:
    """Returns the tests that execute one of the lines, those of the file's own folder first."""
    from coverage import CoverageData

    data = CoverageData(str(coverage))
    data.read()
    measured = next((name for name in data.measured_files() if name.endswith(file)), None)
    if measured is None:
        return []
    contexts = data.contexts_by_lineno(measured)
    found = {c.rpartition("|")[0] for line in lines for c in contexts.get(line, []) if c}
    folders = tuple(beside(file))
    stem = Path(file).stem.strip("_")
    return sorted(found, key=lambda test: (stem not in test, not test.startswith(folders), test))


def named(file: str) -> list[str]:
    """Returns the files of tests named like the file, or among the tests of its folder like either: they run first."""
    path = Path(file)
    own, above = ([w for w in name.strip("_").split("_") if w != "attention"] for name in (path.stem, path.parent.name))
    folders = tuple(beside(file))
    named = []
    for test in sorted((ROOT / "tests").rglob("test_*.py")):
        name, words = str(test.relative_to(ROOT)), test.stem.split("_")[1:]
        starts = [word[:5] for word in (*own, *above) if len(word) > 3] if name.startswith(folders) else []
        if set(own) <= set(words) or any(word.startswith(start) for word in words for start in starts):
            named.append(name)
    return sorted(named, key=lambda name: not set(own) <= set(Path(name).stem.split("_")))


def beside(file: str) -> list[str]:
    """Returns the folder of tests that is named like the file's, or else the files of tests that are."""
    for part in Path(file).parts[1:-1]:
        if (ROOT / "tests" / part).is_dir():
            return [f"tests/{part}"]
        if named := sorted((ROOT / "tests").rglob(f"test_{part}*.py")):
            return [str(path.relative_to(ROOT)) for path in named]
    return ["tests"]


def run(copy: Path, tests: list[str], seconds: float, processes: int) -> str | None:
    """Returns the first test that fails; None if all pass, ``"out of time"`` if that was not to be seen in time."""
    environment = {**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1", "NO_ALBUMENTATIONS_UPDATE": "1"}
    listed = copy / "tests.txt"
    listed.write_text("\n".join(tests), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header"]
    command += ["-n", str(processes), "-m", "not long and not shared", f"@{listed}"]
    try:
        done = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, timeout=max(seconds, 1)
        )
    except subprocess.TimeoutExpired:
        return "out of time"
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if done.returncode not in (0, 1, 5) and not failed:
        raise SystemExit(f"pytest ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return failed[0].split(" - ")[0] if failed else None


if __name__ == "__main__":
    sys.exit(main())
