"""Opens files of strangers: checkpoints, weights, run directories and exports that try to have code executed.

    python -m benchmarks.faults.strangers [--out rows.jsonl] [--only NAME ...]

Each stranger's file is opened by every command that takes it. An audit hook of Python and two canary files notice
processes, connections, foreign imports and files that are written where nothing should be. An attempt counts as

* ``refused``: exit code 1 or 2 and one line;
* ``harmless``: the command works, and nothing of the file was executed;
* ``executed``: something was executed, imported, downloaded or written elsewhere. **Must be 0.**
* ``traceback``: an exception left the command. **Must be 0.**
"""

import argparse
import copy
import json
import pickle
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from benchmarks.faults.damages import Bomb
from benchmarks.faults.small_run import Rows, call, train, working_in, write_images
from benchmarks.faults.strange_fields import EVIL, FIELDS, PATHS

_WATCHED = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "socket.connect", "urllib.Request",
            "pty.spawn", "webbrowser.open")  # fmt: skip
_SEEN: list[str] = []
_LISTENING = [False]


def strangers(run: Path, folder: Path) -> Iterator[tuple[str, list[Path], list[list[str]]]]:
    """Yields a name, the files or folders, and what they are opened by (``FILE`` stands for each)."""
    content = torch.load(run / "checkpoints/best.ckpt", weights_only=True)
    for name, block in PATHS.items():
        yield f"block: {name}", _written(content, run, folder, ("model.block", block)), _OPENING
    for name, field in FIELDS.items():
        yield name, _written(content, run, folder, field), _OPENING
    yield from _pickles(run, folder)
    yield from _pages(run, folder)


_JUDGE = ["--methods", "grad_cam", "--measures", "deletion_auc", "--images", "2", "--mosaics", "1", "--device", "cpu"]
_RESUME = ["fit", "--resume", "FILE", "--trainer.max_epochs=3"]
_COMPARE, _REPORT = ["compare", "FILE", "run"], ["report", "FILE", "-o", "out"]
_OPENING = [
    ["test", "FILE", "--predictions", "p.npz"],
    ["export", "FILE", "--format", "safetensors", "-o", "e.safetensors"],
]
_WEIGHTS = [
    *_OPENING,
    ["saliency", "--checkpoint", "FILE", "--split", "test", "-o", "out", "--accelerator", "cpu"],
    ["evaluate-saliency", "FILE", "-o", "out", *_JUDGE],
    ["test", "--model", "timm/test_resnet", "--weights", "FILE", "--data.root=data"],
    [
        "fit",
        "--data.name=folder",
        "--data.root=data",
        "--model.weights=FILE",
        "--log.root=out",
        "--trainer.max_epochs=1",
    ],
]


def _written(content: dict[str, Any], run: Path, folder: Path, field: tuple[str, Any]) -> list[Path]:
    """The same network with another configuration: as a checkpoint, as safetensors, and as a run directory."""
    from safetensors.torch import save_file

    place, value = field
    content = {**content, "experiment": copy.deepcopy(content["experiment"])}
    *groups, last = place.split(".")
    inner = content["experiment"]
    for group in groups:
        inner = inner[group]
    inner[last] = {**inner[last], **value} if isinstance(inner.get(last), dict) and last == "model" else value
    content.pop("sha256")
    stem = "foreign"
    torch.save(content, folder / f"{stem}.ckpt")
    tensors = {key.removeprefix("network."): value.contiguous() for key, value in content["state_dict"].items()}
    metadata = {key: json.dumps(content[key]) for key in ("experiment", "facts")}
    save_file(tensors, folder / f"{stem}.safetensors", metadata)
    theirs = folder / "theirs"
    shutil.copytree(run, theirs, ignore=shutil.ignore_patterns("report", "wandb", ".lock"))
    for name in ("best", "last", "previous"):
        before = torch.load(run / f"checkpoints/{name}.ckpt", weights_only=True)
        before.pop("sha256")
        torch.save({**before, "experiment": content["experiment"]}, theirs / f"checkpoints/{name}.ckpt")
    (theirs / "config.yaml").write_text(yaml.safe_dump(content["experiment"]))
    summary = json.loads((theirs / "summary.json").read_text())
    for one in ("sha256", "files"):
        summary.pop(one, None)
    (theirs / "summary.json").write_text(json.dumps(summary))
    return [folder / f"{stem}.ckpt", folder / f"{stem}.safetensors", theirs]


def _pickles(run: Path, folder: Path) -> Iterator[tuple[str, list[Path], list[list[str]]]]:
    """Pickles in place of every file of weights, and arrays that hold objects."""
    content = torch.load(run / "checkpoints/best.ckpt", weights_only=True)
    made: dict[str, Callable[[Path], object]] = {
        "a bare pickle": lambda path: path.write_bytes(pickle.dumps(Bomb())),
        "a pickle among tensors": lambda path: torch.save({**content, "evil": Bomb()}, path),
        "a pickle as state": lambda path: torch.save(Bomb(), path),
        "a legacy file": lambda path: torch.save({"state_dict": Bomb()}, path, _use_new_zipfile_serialization=False),
        "a whole module": lambda path: torch.save(torch.nn.Linear(2, 2), path),
        "a TorchScript archive": lambda path: torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(path)),
        "a numpy archive of objects": lambda path: np.savez(
            _open(path), allow_pickle=True, a=np.array([Bomb()], object)
        ),
        "a graph of torch.export": _save_graph,
    }
    for name, make in made.items():
        paths = [
            folder / f"evil{suffix}" for suffix in (".ckpt", ".pth", ".pt", ".pt2", ".bin", ".safetensors", ".npz")
        ]
        for path in paths:
            make(path)
        yield name, paths, _WEIGHTS


def _open(path: Path) -> Any:
    return path.open("wb")


def _save_graph(path: Path) -> None:
    program = torch.export.export(torch.nn.Linear(2, 2), (torch.zeros(1, 2),))
    torch.export.save(program, path.with_suffix(".pt2"))
    if path.suffix != ".pt2":
        shutil.copyfile(path.with_suffix(".pt2"), path)


def _pages(run: Path, folder: Path) -> Iterator[tuple[str, list[Path], list[list[str]]]]:
    """Run directories whose names, texts and files attack the page, the reader or the disk."""
    script = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>"
    ignore = shutil.ignore_patterns("report", "wandb", ".lock")

    def theirs(name: str) -> Path:
        return Path(shutil.copytree(run, folder / name, ignore=ignore))

    def edit(path: Path, **values: Any) -> None:
        content = {**json.loads(path.read_text()), **values}
        content.pop("sha256", None)
        path.write_text(json.dumps(content))

    one = theirs(script.replace("/", "-"))
    yield "a folder with a script as name", [one], [_REPORT, _COMPARE]
    one = theirs("texts")
    edit(one / "summary.json", class_names=[script] * 3, plan=script, network=[{"name": script, "type": script}])
    config = yaml.safe_load((one / "config.yaml").read_text())
    config["model"]["block"] = {"class_path": script}
    config["data"]["root"] = script
    (one / "config.yaml").write_text(yaml.safe_dump(config))
    yield "scripts as texts", [one], [_REPORT, _COMPARE]
    for name in ("../../../secret.png", "/etc/passwd", "images/link.png", "\0"):
        one = theirs("images")
        (one / "maps/images/link.png").symlink_to(folder / "secret.png")
        probes = json.loads((one / "maps/probes.json").read_text())
        probes["probes"][0]["image"] = name
        (one / "maps/probes.json").write_text(json.dumps(probes))
        yield f"an image at {name!r}", [one], [_REPORT]
        shutil.rmtree(one, ignore_errors=True)
    one = theirs("tags")
    (one / "config.yaml").write_text("!!python/object/apply:os.system ['touch EXECUTED']\n")
    yield "a tag in the configuration", [one], [_REPORT, _COMPARE, _RESUME]
    one = theirs("objects")
    for name in ("predictions.npz", "maps/epoch-0000.npz", "maps/gates-0000.npz"):
        np.savez(_open(one / name), allow_pickle=True, name=np.array([Bomb()], object))
    yield "arrays of objects", [one], [_REPORT, _COMPARE]
    one = theirs("listed")
    edit(one / "summary.json", files={"../../secret.png": "0" * 64, "/etc/passwd": "0" * 64})
    yield "checksums of files elsewhere", [one], [_REPORT, _COMPARE]
    one = theirs("links")
    for name in ("summary.json", "config.yaml"):
        (folder / f"kept-{name}").write_bytes((one / name).read_bytes())
        (one / name).unlink()
        (one / name).symlink_to(folder / f"kept-{name}")
    yield "links to files elsewhere", [one], [_REPORT, _COMPARE, _RESUME]


def _listen(event: str, arguments: tuple[Any, ...]) -> None:
    if not _LISTENING[0]:
        return
    if event in _WATCHED:
        _SEEN.append(f"{event} {str(arguments)[:80]}")
    if event == "import" and str(arguments[0]).startswith(EVIL):
        _SEEN.append(f"import {arguments[0]}")


def attempt(arguments: list[str], file: Path, folder: Path) -> tuple[str, str]:
    """Opens one file by one command; returns what it counts as, and what was said."""
    _SEEN.clear()
    for left in ("out",):
        shutil.rmtree(folder / left, ignore_errors=True)
    secret = {path: path.read_bytes() for path in folder.glob("kept-*")}
    name = str(file.relative_to(folder))
    _LISTENING[0] = True
    done = call(*(word.replace("FILE", name) for word in arguments))
    _LISTENING[0] = False
    marks = [str(path) for path in folder.rglob("EXECUTED")] + _SEEN
    marks += [str(path) for path, before in secret.items() if path.read_bytes() != before]
    marks += [str(path) for path in (folder.parent / "outside",) if path.exists()]
    marks += _unescaped(folder / "out")
    if "evil" in sys.modules or "evilpackage" in sys.modules:
        marks.append("imported")
    for mark in folder.rglob("EXECUTED"):
        mark.unlink()
    if marks:
        return "executed", "; ".join(marks)
    if done.exception:
        return "traceback", done.exception
    if done.code:
        lines = [line for line in done.error.splitlines() if line.startswith("cv-attention: error")]
        hidden = any(ord(letter) < 32 and letter != "\n" for letter in done.error)
        return ("refused" if len(lines) == 1 and not hidden else "unclear"), done.error
    return "harmless", done.said[-200:]


def _unescaped(page: Path) -> list[str]:
    """Texts of the page in which a script of the run's would begin, and pictures of files outside of it."""
    files = [*page.rglob("*.html"), *page.rglob("data/**/*.js")] if page.is_dir() else []
    return [f"a script in {path.name}" for path in files if "<script>document.title" in path.read_text()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="File for a JSON row of each attempt.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", help="Strangers whose name contains one of these.")
    options = parser.parse_args()
    rows, known = Rows(options.out), 0
    sys.addaudithook(_listen)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary).resolve() / "here"
        folder.mkdir()
        write_images(folder / "data", options.seed)
        with working_in(folder):
            run = train(Path(), "run", Path("data"))
            _lay_traps(folder)
            for name, files, opened_by in strangers(run, folder):
                if options.only and not any(part in name for part in options.only):
                    _clear(files)
                    continue
                known += 1
                for file in files:
                    ways = opened_by
                    if file.is_dir() and opened_by is _OPENING:
                        ways = [*opened_by, _RESUME, _COMPARE, _REPORT]
                    for arguments in ways:
                        outcome, said = attempt(arguments, file, folder)
                        rows.add(stranger=name, file=file.name, command=arguments[0], outcome=outcome, said=said)
                        if outcome not in ("refused", "harmless"):
                            print(f"{outcome}: {name}: {file.name}: {arguments[0]}: {said.strip()[:300]}", flush=True)
                _clear(files)
    counts = rows.counts()
    print(json.dumps({"strangers": known, "attempts": len(rows.rows), **counts}))
    return int(any(counts.get(name) for name in ("executed", "traceback", "unclear")))


def _lay_traps(folder: Path) -> None:
    code = "open('EXECUTED', 'w').close()\nfrom torch import nn\nclass Evil(nn.Module):\n    pass\n"
    (folder / "evil.py").write_text(code)
    (folder / "evilpackage").mkdir()
    for name in ("__init__.py", "inner.py"):
        (folder / "evilpackage" / name).write_text(code)
    (folder / "evil.pth").write_bytes(pickle.dumps(Bomb()))
    (folder / "config.json").write_text('{"architecture": "test_resnet"}')  # for local-dir
    (folder / "secret.png").write_bytes(b"secret")


def _clear(files: list[Path]) -> None:
    for file in files:
        if file.is_dir():
            shutil.rmtree(file)
        else:
            file.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
