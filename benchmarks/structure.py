"""Measures the structure of the code base: folders, the import graph, and the files that one image and one block pass.

    python benchmarks/structure.py [--root CHECKOUT] [--out DIRECTORY] [--list]

The graph is that of import statements, those inside functions and behind ``TYPE_CHECKING`` included. The two paths
are recorded while the command line trains a small network on a folder of images for one epoch, explains one
photograph and builds the report: the files whose functions run, in the order in which they run first; what runs
because a file is imported does not count. An image's are those that run in ``saliency`` and ``report``; a block's are
those that ``plan`` runs with a block, and those that ``fit`` runs with a block and not without one.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path

PACKAGE = "cv_attention"
TINY = ["--model.backbone=resnet20", "--model.options={width: 4}", "--trainer.max_epochs=1", "--log.wandb=disabled",
        "--data.name=folder", "--data.batch_size=8", "--trainer.accelerator=cpu"]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[1], help="The checkout to measure.")
    parser.add_argument("--out", type=Path, help="Writes structure.json there.")
    parser.add_argument("--list", action="store_true", help="Prints the files of both paths.")
    options = parser.parse_args()
    root = options.root.resolve()
    measured = {**folders(root), **graph(root), **paths(root)}
    for name, value in measured.items():
        if isinstance(value, list) and not options.list:
            value = len(value)
        print(f"{name}: {value}" if not isinstance(value, list) else "\n  ".join([f"{name}: {len(value)}", *value]))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "structure.json").write_text(json.dumps(measured, indent=1) + "\n")
    return 0


def folders(root: Path) -> dict:
    """Counts Python files of each folder, and and names folders and files above the design's sizes."""
    files = sorted((root / PACKAGE).rglob("*.py"))
    counts = Counter(str(file.parent.relative_to(root)) for file in files if file.name != "__init__.py")
    crowded = [folder for folder, number in counts.items() if number > 14]
    largest = [f"{folder} {number}" for folder, number in counts.most_common(5)]
    long = [str(file.relative_to(root)) for file in files if len(file.read_text().splitlines()) > 300]
    return {
        "python files": len(files),
        "largest folders": ", ".join(largest),
        "folders of more than 14 files": crowded,
        "files above 300 lines": long,
    }


def graph(root: Path) -> dict:
    """Looks for circles, and for the longest way from the command line down to the configuration."""
    code = (
        "import grimp, json; g = grimp.build_graph('cv_attention', cache_dir=None)\n"
        "print(json.dumps({m: sorted(g.find_modules_directly_imported_by(m)) for m in sorted(g.modules)}))"
    )
    imports = json.loads(_python(root, ["-c", code]).stdout)
    circles = _components(imports)
    return {
        "modules": len(imports),
        "imports": sum(map(len, imports.values())),
        "circles": len(circles),
        "modules in circles": "; ".join(", ".join(each) for each in circles),
        "longest way from cli to config": len(_longest(imports, circles)),
    }


def _components(imports: dict[str, list[str]]) -> list[list[str]]:
    """The strongly connected components of more than one module."""
    import networkx

    directed = networkx.DiGraph([(a, b) for a, those in imports.items() for b in those])
    return sorted(sorted(each) for each in networkx.strongly_connected_components(directed) if len(each) > 1)


def _longest(imports: dict[str, list[str]], circles: list[list[str]]) -> list[str]:
    """The longest chain of imports from a module of cli to one of config; a circle counts as one module."""
    representative = {module: circle[0] for circle in circles for module in circle}
    merged: dict[str, set[str]] = {}
    for module, those in imports.items():
        own = representative.get(module, module)
        merged.setdefault(own, set()).update(representative.get(t, t) for t in those)
        merged[own].discard(own)

    @cache
    def down(module: str) -> tuple[str, ...]:
        ways = [down(below) for below in sorted(merged.get(module, ()))]
        longest = max((way for way in ways if way), key=len, default=())
        if longest:
            return (module, *longest)
        return (module,) if f"{module}.".startswith((f"{PACKAGE}.config.", f"{PACKAGE}.config_")) else ()

    starts = [module for module in merged if module.startswith(f"{PACKAGE}.cli")]
    return list(max((down(module) for module in starts), key=len))


def paths(root: Path) -> dict:
    """Records which files one image and one block pass."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        _images(work / "data")
        (work / "photo").mkdir()
        (work / "data/test/a/0.png").rename(work / "photo/0.png")
        fit = ["fit", *TINY, f"--data.root={work}/data", f"--log.root={work}/runs"]
        plain = _ran(root, [*fit, "--log.name=plain", "--model.block=null"])
        attended = _ran(root, [*fit, "--log.name=run", "--model.block=cbam"])
        image = _ran(root, ["saliency", f"{work}/photo", "--checkpoint", f"{work}/runs/run", "-o", f"{work}/maps"])
        page = _ran(root, ["report", f"{work}/maps", "-o", f"{work}/page"])
        planned = _ran(root, ["plan", "resnet20", "--block", "cbam"])
    image += [file for file in page if file not in image]
    block = planned + [file for file in attended if file not in plain and file not in planned]
    return {"files of an image": image, "files of a block": block}


def _images(root: Path) -> None:
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    for split, number in (("train", 16), ("val", 8), ("test", 8)):
        for label in "ab":
            (root / split / label).mkdir(parents=True)
            for i in range(number):
                Image.fromarray(random.integers(0, 255, (32, 32, 3), np.uint8)).save(root / split / label / f"{i}.png")


TRACED = f"""
import sys, threading
import {PACKAGE}.cli
seen = {{}}
def started(frame, event, argument):
    file = frame.f_code.co_filename
    if event == "call" and file not in seen and "{PACKAGE}" in file and not importing(frame):
        seen[file] = None
def importing(frame):
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals["__name__"] != "__main__":
            return True
        frame = frame.f_back
    return False
threading.setprofile(started)
sys.setprofile(started)
"""
ENDED = f"""
code = {PACKAGE}.cli.main(sys.argv[1:])
sys.setprofile(None)
print("FILES", *seen, sep="\\n")
sys.exit(code)
"""


def _ran(root: Path, arguments: list[str]) -> list[str]:
    """Runs a command and returns the package's files whose functions ran, in order."""
    done = _python(root, ["-c", TRACED + ENDED, *arguments])
    files = done.stdout.split("FILES\n")[1].splitlines()
    inside = str(root / PACKAGE) + os.sep
    return [file.removeprefix(inside) for file in files if file.startswith(inside)]


def _python(root: Path, arguments: list[str]) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(root), "NO_ALBUMENTATIONS_UPDATE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *arguments], cwd=root, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return done


if __name__ == "__main__":
    raise SystemExit(main())
