"""Breaks one line of the package after the other, and counts how many of these bugs a test of `make test` notices.

    python -m pytest -n 2 -m "not long and not shared" --cov cv_attention --cov-context test   # writes .coverage
    python benchmarks/mutations.py --out out/mutations [--coverage .coverage] [--only 3 17] [--within named]

The bugs are in `mutations.json`, each as a text that occurs once in a file and the text in its place; they were chosen
from the sources alone, before anybody looked at the tests. Each is put into a copy of the repository, where those tests
run that execute its statement, by the record of `pytest-cov` or another whose contexts are the tests: all up to 150, or
those named like the file and up to 300 of the others. Without a record, and for the page's JavaScript, these are the
tests named like the file, then those named like its folder, and then all others. Each ends in one line of
OUT/mutations.jsonl; a call resumes where the last one stopped. With `--within named` or `folder` the others are left
for a later call, which tries again what was not noticed. With `--processes 0` the tests run in a fork of this process,
in which the libraries are imported already, but no module of the package.
"""

import argparse
import ast
import contextlib
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).parents[1]
MUTATIONS = Path(__file__).with_name("mutations.json")
COPIED = ("cv_attention", "tests", "configs", "examples", "docs", "results", "benchmarks")
AT_ONCE = 300  # tests of one call of pytest
FEW, MANY = 150, 300  # tests of a statement that all run, and those of the rest otherwise
PHASES = ("setup", "run", "teardown")  # which pytest-cov appends to a test
LIBRARIES = (
    *("pytest", "xdist", "pytest_timeout", "torch", "torchvision", "torchmetrics", "lightning", "timm", "jsonargparse"),
    *("albumentations", "cv2", "PIL.Image", "scipy.stats", "sklearn", "matplotlib.pyplot", "pyarrow.parquet"),
    *("torch.utils.tensorboard", "torch._dynamo", "onnxruntime", "captum.attr", "transformers"),
)


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
    parser.add_argument("--processes", type=int, default=2, help="Of pytest; 0 runs the tests in a fork of this one.")
    parser.add_argument("--seconds", type=int, default=900, help="For one bug.")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    copy = copied(options.out / "copy")
    if not options.processes:
        preload(copy)
    rows = options.out / "mutations.jsonl"
    before = [json.loads(line) for line in rows.read_text().splitlines()] if rows.exists() else []
    done = {
        row["id"] for row in before if found(row) or (row.get("within", "all") == options.within and not options.tests)
    }
    for mutation in json.loads(MUTATIONS.read_text(encoding="utf-8")):
        if mutation["id"] in done or (options.only and mutation["id"] not in options.only):
            continue
        row = tried(mutation, copy, options)
        with rows.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)
    return 0


def found(row: dict) -> bool:
    """Returns whether a test has noticed the bug of a row."""
    return row["noticed"] not in (None, "out of time")


def copied(copy: Path) -> Path:
    """Returns a fresh copy of what the tests need of the repository."""
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(parents=True)
    for name in COPIED:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (*ROOT.glob("*.md"), *ROOT.glob("*.toml"), ROOT / "LICENSE", ROOT / "Makefile", ROOT / "train.py"):
        shutil.copy2(path, copy)
    return copy.resolve()


def tried(mutation: dict, copy: Path, options: argparse.Namespace) -> dict:
    """Runs the tests on a copy with the bug; the first that fails has noticed it."""
    broken, coverage = copy / mutation["file"], options.coverage
    text = broken.read_text(encoding="utf-8")
    if text.count(mutation["before"]) != 1:
        raise SystemExit(f"mutation {mutation['id']}: its text does not occur once in {mutation['file']}")
    lines = statement(text, mutation["before"]) if broken.suffix == ".py" else range(0)
    tests = covering(mutation["file"], lines, coverage) if coverage and not options.tests else []
    calls = [tests[first : first + AT_ONCE] for first in range(0, len(tests), AT_ONCE)]
    calls = calls or ([options.tests] if options.tests else places(mutation["file"], options.within))
    broken.write_text(text.replace(mutation["before"], mutation["after"]), encoding="utf-8")
    start, noticed = time.monotonic(), None
    try:
        for call in calls:
            noticed = run(copy, call, options.seconds - (time.monotonic() - start), options.processes)
            if noticed:
                break
    finally:
        shutil.copy2(ROOT / mutation["file"], broken)  # with its time, by which Python knows what it has compiled
    seconds = round(time.monotonic() - start)
    row = {"id": mutation["id"], "file": mutation["file"], "noticed": noticed, "seconds": seconds}
    return {**row, "within": options.within, "covering": len(tests)}


def statement(text: str, part: str) -> range:
    """Returns the lines of a part of a Python file, or of the whole of a simple statement or header that it is in."""
    first = text[: text.index(part)].count("\n") + 1
    lines = range(first, first + part.count("\n") + 1)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.stmt):
            below = [inner.lineno for inner in getattr(node, "body", []) if isinstance(inner, ast.stmt)]
            own = range(node.lineno, max(min(below, default=(node.end_lineno or 0) + 1), node.lineno + 1))
            if first in own and not isinstance(node, ast.FunctionDef | ast.ClassDef):
                lines = range(min(own.start, lines.start), max(own.stop, lines.stop))
    return lines


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
    found = {test_of(context) for line in lines for context in contexts.get(line, []) if context}
    first = named(file)
    ranks = {name: rank for rank, name in enumerate([*first, *beside(file)])}

    def rank(test: str) -> int:
        path = test.partition("::")[0]
        return min((ranks[name] for name in (path, *map(str, Path(path).parents)) if name in ranks), default=len(ranks))

    tests = sorted(found, key=lambda test: (rank(test), test))
    near = [test for test in tests if test.partition("::")[0] in first]
    others = [test for test in tests if test.partition("::")[0] not in first]
    return near + (others if len(tests) <= FEW else others[:: -(-len(others) // MANY) or 1])


def test_of(context: str) -> str:
    """Returns the test of a context, which pytest-cov names with the phase of the test."""
    test, _, phase = context.rpartition("|")
    return test if test and phase in PHASES else context


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
    listed, output = copy / "tests.txt", copy / "output.txt"
    listed.write_text("\n".join(tests), encoding="utf-8")
    arguments = ["-x", "-q", "-p", "no:cacheprovider", "--no-header", "-n", str(processes)]
    arguments += ["-m", "not long and not shared", f"@{listed}"]
    with output.open("w") as file:
        code = (forked if processes == 0 else started)(copy, arguments, file.fileno(), max(seconds, 1))
    if code is None:
        return "out of time"
    said = output.read_text(encoding="utf-8", errors="replace")
    failed = [line for line in said.splitlines() if line.startswith(("FAILED ", "ERROR tests"))]
    if code not in (0, 1, 5) and not failed:
        raise SystemExit(f"pytest ended with {code}:\n{said[-4000:]}")
    return failed[0].split(" - ")[0] if failed else None


def started(copy: Path, arguments: list[str], output: int, seconds: float) -> int | None:
    """Runs pytest in a process of its own; returns its exit code, None if it was ended for its time."""
    environment = {**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1", "NO_ALBUMENTATIONS_UPDATE": "1"}
    command = [sys.executable, "-m", "pytest", *arguments]
    with subprocess.Popen(
        command, cwd=copy, env=environment, stdout=output, stderr=output, start_new_session=True
    ) as process:
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return None


def preload(copy: Path) -> None:
    """Imports the libraries that most tests need, once for all forks, and nothing of the package."""
    os.environ.update(PYTHONPATH=str(copy), OMP_NUM_THREADS="1", NO_ALBUMENTATIONS_UPDATE="1")
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    assert "cv_attention" not in sys.modules
    sys.path[:] = [str(copy), *(place for place in sys.path if Path(place).resolve() not in (ROOT, Path.cwd()))]


def forked(copy: Path, arguments: list[str], output: int, seconds: float) -> int | None:
    """Runs pytest in a fork of this process; returns its exit code, None if it was ended for its time."""
    child = os.fork()
    if child == 0:
        code = 3
        try:
            os.setsid()
            for stream in (1, 2):
                os.dup2(output, stream)
            os.chdir(copy)
            import pytest

            code = int(pytest.main(arguments))
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    end, done = time.monotonic() + seconds, (0, 0)
    while done[0] == 0 and time.monotonic() < end:
        time.sleep(0.05)
        done = os.waitpid(child, os.WNOHANG)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # the child, or what it has left
    if done[0] == 0:
        os.waitpid(child, 0)
        return None
    return os.waitstatus_to_exitcode(done[1])


if __name__ == "__main__":
    sys.exit(main())
