"""Damages every file that a training run, a saliency export, a shard index or a pixel cache leaves, one at a time.

    python -m benchmarks.faults.damage [--out rows.jsonl] [--only NAME ...] [--commands NAME ...]
        [--most 60] [--most_slow 12] [--seed 0]

The files are those that are there after a real run; which command reads which file is found by watching what it opens.
Every damage of `damages` is done to every file, and every command that reads it is run. An attempt counts as

* ``refused``: exit code 1 or 2, and one line that names the file;
* ``reported``: the command goes on without the file or with another one, and says so, naming it;
* ``same``: the result is that of the intact file, bit by bit: the damage changed nothing that is used;
* ``smaller``: the file is missing altogether, and the result leaves out what it held;
* ``silent``: another result without a word. **Must be 0.**
* ``traceback``: an exception left the command. **Must be 0.**
* ``unclear``: an exit code, but several lines, or none that names the file. **Must be 0.**
* ``executed``: a pickle or a YAML tag in the file was executed. **Must be 0.**
"""

import argparse
import hashlib
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.faults.damages import damages
from benchmarks.faults.small_run import Outcome, Rows, call, train, working_in, write_images

_OPENED: list[str] = []
_LISTENING = [False]
_BAD = ("silent", "traceback", "unclear", "executed")
_RESIZED = [f"--data.{part}_transforms=[{{Resize: {{height: 24, width: 24}}}}]" for part in ("train", "eval")]
_SLOW = ("resume", "resume auto", "finetune", "fit", "reports", "evaluate-saliency", "saliency")
_UNREAD = ("report", "wandb")  # what a run directory holds for people and other programs


class Command:
    """A command on a folder of the working directory, and what its result is.

    Args:
        name: Its name in the rows.
        of: The folder that it reads.
        arguments: What it is called with.
        result: Files that hold its result.
    """

    def __init__(self, name: str, of: str, arguments: list[str], result: Callable[[], list[Path]]) -> None:
        self.name, self.of, self.arguments, self.result = name, of, arguments, result

    def __call__(self) -> tuple[Outcome, str]:
        """Runs it; returns what it came to and a digest of its result."""
        for left in ("out", "comparison"):
            shutil.rmtree(left, ignore_errors=True)
        _LISTENING[0] = True
        done = call(*self.arguments)
        _LISTENING[0] = False
        lines = [line for line in done.out.splitlines() if self.name == "compare" or line.startswith("test ")]
        found = hashlib.sha256("\n".join(lines).encode())
        if not done.code:
            for path in sorted(self.result()):
                found.update(_content(path))
        return done, found.hexdigest()


def _content(path: Path) -> bytes:
    if path.suffix in (".ckpt", ".safetensors"):
        from cv_attention import training

        return repr({k: v.tolist() for k, v in training.load(path).state_dict().items()}).encode()
    return path.read_bytes()


def commands() -> list[Command]:
    """Every command that reads one of the folders."""
    judged = [
        "--methods",
        "grad_cam",
        "--measures",
        "deletion_auc",
        "--images",
        "3",
        "--mosaics",
        "1",
        "--device",
        "cpu",
    ]
    explain = ["--accelerator", "cpu", "--shard_size", "5", "--batch_size", "5", "--workers", "1"]
    weights = "out/runs/new/weights.safetensors"
    cached = ["--data.root=photos", "--data.cache=20", *_RESIZED]
    fresh = ["--log.root=out/runs", "--log.name=new", "--trainer.max_epochs=1", "--model.weights=run"]
    from benchmarks.faults.small_run import SMALL

    def there(*patterns: str) -> Callable[[], list[Path]]:
        return lambda: [path for pattern in patterns for path in Path().glob(pattern)]

    return [
        Command("test", "run", ["test", "run", "--predictions", "predicted.npz"], there("predicted.npz")),
        Command("export", "run", ["export", "run", "--format", "safetensors", "-o", "w.safetensors"],
                there("w.safetensors")),
        Command("saliency", "run", ["saliency", "--checkpoint", "run", "--split", "test", "-o", "out", *explain],
                there("out/shards/*.npz")),
        Command("evaluate-saliency", "run", ["evaluate-saliency", "run", "-o", "out", *judged], there("out/*")),
        Command("report", "run", ["report", "run", "-o", "out"], there("out/**/*.js")),
        Command("reports", "run", ["report", "run", "other", "-o", "out"], there("out/**/*.js")),
        Command("compare", "run", ["compare", "run", "other"], there()),
        Command("resume", "run", ["fit", "--resume", "run", "--trainer.max_epochs=3", "--log.maps_every=0"],
                there("run/weights.safetensors")),
        Command("resume auto", "run",
                ["fit", "--resume", "auto", *SMALL, "--data.root=data", "--log.root=.", "--log.name=run",
                 "--trainer.max_epochs=3", "--log.maps_every=0"], there("run*/weights.safetensors")),
        Command("finetune", "run", ["fit", *SMALL, "--data.root=data", *fresh], there(weights)),
        Command("report of an export", "explained", ["report", "explained", "-o", "out"], there("out/**/*.js")),
        Command("saliency again", "explained",
                ["saliency", "--checkpoint", "other", "--split", "test", "-o", "explained", *explain],
                there("explained/shards/*.npz", "explained/manifest.jsonl")),
        Command("fit with a cache", "photos", ["fit", *SMALL, *cached, "--log.root=out/runs", "--log.name=new",
                "--trainer.max_epochs=1"], there(weights)),
        Command("fit on shards", "shards", ["fit", *SMALL, "--data.root=shards", "--data.name=webdataset",
                "--log.root=out/runs", "--log.name=new", "--trainer.max_epochs=1"],
                there(weights)),
        Command("fit on folds", "folds", ["fit", *SMALL, "--data.root=data", "--data.split_file=folds/folds.json",
                "--data.fold=0", "--log.root=out/runs", "--log.name=new", "--trainer.max_epochs=1"], there(weights)),
    ]  # fmt: skip


def prepare(place: Path, seed: int) -> None:
    """Makes the data, two runs, an export, shards and folds."""
    write_images(place / "data", seed)
    with working_in(place):
        train(Path(), "run", Path("data"))
        train(Path(), "other", Path("data"), "--model.block=null")
        explain = ["--accelerator", "cpu", "--shard_size", "5", "--batch_size", "5", "--workers", "1"]
        _checked("saliency", "--checkpoint", "other", "--split", "test", "-o", "explained", *explain)
        Path("folds").mkdir()
        _checked("folds", "--data.name=folder", "--data.root=data", "--folds=3", "-o", "folds/folds.json")
        _write_shards(Path("data"), Path("shards"))
        write_images(Path("photos"), seed, other_sizes=True)
        train(Path(), "cached", Path("photos"), "--data.cache=20", *_RESIZED)
        train(Path(), "sharded", Path("shards"), "--data.name=webdataset")
        for folder in ("cached", "sharded"):
            shutil.rmtree(folder)
        for folder in ("run", "other"):
            for unread in _UNREAD:
                shutil.rmtree(Path(folder) / unread, ignore_errors=True)
            (Path(folder) / ".lock").unlink(missing_ok=True)


def _checked(*arguments: object) -> None:
    done = call(*arguments)
    if done.code:
        raise RuntimeError(f"{arguments}: {done.exception or done.error}")


def _write_shards(data: Path, shards: Path) -> None:
    import io
    import tarfile

    shards.mkdir()
    for split in ("train", "val", "test"):
        with tarfile.open(shards / f"{split}-0.tar", "w") as archive:
            for number, path in enumerate(sorted((data / split).rglob("*.png"))):
                label = str(("ant", "bee", "cat").index(path.parent.name)).encode()
                for suffix, content in (("png", path.read_bytes()), ("cls", label)):
                    entry = tarfile.TarInfo(f"{number:04d}.{suffix}")
                    entry.size = len(content)
                    archive.addfile(entry, io.BytesIO(content))


def _listen(event: str, arguments: tuple[object, ...]) -> None:
    if _LISTENING[0] and event == "open" and isinstance(arguments[0], str | bytes | Path):
        _OPENED.append(str(Path(str(arguments[0])).resolve()))


def opened_by(command: Command, intact: Path, folder: Path) -> tuple[list[Path], str]:
    """Runs `command` on the intact files; returns those below its folder that it opens, and its result's digest."""
    _copy(intact, folder, command.of)
    _OPENED.clear()
    with working_in(folder):
        before = {path.resolve() for path in Path(command.of).rglob("*") if path.is_file()}
        done, digest = command()
        if done.code:
            raise RuntimeError(f"{command.name} fails on intact files: {done.exception or done.error}")
        opened = {Path(name) for name in _OPENED} & before
        if command.of == "photos":
            opened = {path for path in opened if path.suffix in (".pixels", ".npz")}
        if command.of == "shards":
            opened = {path for path in opened if path.suffix == ".npz"}
        if command.of == "run":  # read by libraries that Python does not see
            opened |= {path for path in before if path.suffix == ".safetensors" and command.name == "finetune"}
        return sorted(path.relative_to(folder.resolve()) for path in opened), digest


def _copy(intact: Path, folder: Path, changed: str) -> None:
    """Copies the folder that is damaged, and links the others."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for one in intact.iterdir():
        if one.name == changed:
            shutil.copytree(one, folder / one.name)
        else:
            (folder / one.name).symlink_to(one, target_is_directory=True)


def attempt(command: Command, intact: Path, folder: Path, file: Path, spoil: Callable[[Path], None], digest: str):
    """Damages one file in a fresh copy and runs the command; returns what it counts as, and what was said."""
    _copy(intact, folder, command.of)
    with working_in(folder):
        spoil(file)
        missing = not file.exists()
        try:
            done, found = command()
        except Exception as error:  # its result cannot be read
            return "silent", f"{type(error).__name__}: {error}"
        if list(folder.rglob("EXECUTED")):
            return "executed", done.said
        # a listing of checksums that was damaged makes the files that it lists others than it says
        words = [file.name] if file.suffix != ".sha256" else [f"{file.stem}.", "inputs/"]
        named = any(word in done.said or word in _page() for word in words)
    if done.exception:
        return "traceback", done.exception
    if done.code:
        clear = done.code in (1, 2) and named and _one_line(done.error)
        return ("refused" if clear else "unclear"), done.error
    if named:
        return "reported", next((line for line in done.said.splitlines() if file.name in line), "in the page")
    if found == digest:
        return "same", ""
    return ("smaller" if missing else "silent"), done.said[-300:]


def _one_line(error: str) -> bool:
    lines = error.strip().splitlines()
    return sum(line.startswith("cv-attention: error") for line in lines) == 1 and not any(
        line.startswith(("Traceback", "  File")) for line in lines
    )


def _page() -> str:
    return "".join(path.read_text() for path in Path("out/data").glob("report*.js")) if Path("out").is_dir() else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="File for a JSON row of each attempt.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", help="Files whose path contains one of these.")
    parser.add_argument("--commands", nargs="+", help="Names of commands.")
    parser.add_argument("--most", type=int, default=60, help="Damages of each file, drawn at random.")
    parser.add_argument("--most_slow", type=int, default=12, help="The same for commands that train or explain.")
    options = parser.parse_args()
    rows = Rows(options.out)
    sys.addaudithook(_listen)
    with tempfile.TemporaryDirectory() as temporary:
        intact, folder = Path(temporary) / "intact", Path(temporary) / "copy"
        prepare(intact, options.seed)
        others = [
            intact / "run/weights.safetensors",
            intact / "run/predictions.npz",
            intact / "run/confusion/test.json",
        ]
        for command in commands():
            if options.commands and command.name not in options.commands:
                continue
            files, digest = opened_by(command, intact, folder)
            for file in files:
                if options.only and not any(part in str(file) for part in options.only):
                    continue
                foreign = [other for other in others if other != intact / file]
                chosen = list(damages(intact / file, foreign, options.seed))
                most = options.most_slow if command.name.startswith(_SLOW) else options.most
                if len(chosen) > most:
                    chosen = random.Random(f"{options.seed} {command.name} {file}").sample(chosen, most)
                for damage, spoil in chosen:
                    outcome, said = attempt(command, intact, folder, file, spoil, digest)
                    rows.add(command=command.name, file=str(file), damage=damage, outcome=outcome, said=said)
                    if outcome in _BAD:
                        print(f"{outcome}: {command.name}: {file}: {damage}: {said.strip()[:300]}", flush=True)
    counts = rows.counts()
    print(json.dumps({"attempts": len(rows.rows), **counts}))
    return int(any(counts.get(name) for name in _BAD))


if __name__ == "__main__":
    sys.exit(main())
