"""No file that a run or an export leaves says where on this machine it was made, beyond what the user typed."""

import getpass
import gzip
import io
import re
import socket
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from cv_attention.cli import main
from cv_attention.training import evaluate
from cv_attention.training.export.deployment import Deployed, _run
from cv_attention.training.loading import load

# Folders as they stand in a path; short names of users and machines occur by chance in binary files.
FOLDERS = {str(Path.home()), sys.prefix, sys.base_prefix, str(Path(torch.__file__).parents[1]),
           str(Path(__file__).parents[2]), str(Path(__file__).resolve().parents[2])}  # fmt: skip
NAMES = {name for name in (getpass.getuser(), socket.gethostname()) if len(name) > 5}


def contents(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """A file's bytes, and what is packed in it."""
    yield name, data
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.namelist():
                yield from contents(f"{name}!{member}", archive.read(member))
    elif data.startswith(b"\x1f\x8b"):
        yield from contents(f"{name}!", gzip.decompress(data))


def places(root: Path, typed: Path) -> list[str]:
    """Names the files in which something of this machine stands, and what."""
    found = []
    patterns = [re.compile(rb"(?<![\w.])" + re.escape(folder.encode()) + rb"(?![\w.-])") for folder in FOLDERS]
    patterns += [re.compile(rb"\b" + re.escape(name.encode()) + rb"\b") for name in NAMES]
    patterns += [re.compile(rb'File "[^"]*\.py"')]
    for path in [root, *root.rglob("*")]:
        if path.is_file():
            for name, data in contents(str(path), path.read_bytes()):
                left = data.replace(str(typed).encode(), b"")
                found += [f"{name}: {match[0]!r}" for pattern in patterns if (match := pattern.search(left))]
            if any(part in path.name for part in (f".{socket.gethostname()}.", *NAMES)):
                found.append(path.name)
    return found


def test_the_scan_finds_what_it_looks_for(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pt2", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.json", f'{{"stack_trace": "{torch.__file__}"}}')
    (tmp_path / f"events.out.{socket.gethostname()}.1").touch()
    assert len(places(tmp_path, Path("/typed"))) >= 2
    (tmp_path / "typed.txt").write_text(f"{Path.home()}/typed")
    assert not places(tmp_path / "typed.txt", Path.home() / "typed")


@pytest.mark.long  # two exports
@pytest.mark.parametrize(
    ("format", "suffix"), [("onnx", ".onnx"), ("torch-export", ".pt2"), ("safetensors", ".safetensors")]
)
def test_exports_name_no_place(format, suffix, tiny_run, tmp_path):
    """And they still give what the network gives, which `export` verifies."""
    maps = [] if format == "safetensors" else ["--maps"]
    out = tmp_path / f"model{suffix}"
    assert main(["export", str(tiny_run), "--format", format, "-o", str(out), *maps]) == 0
    assert not places(out, tiny_run.parent)
    deployed = Deployed(load(tiny_run / "checkpoints/best.ckpt"), maps=bool(maps)).eval()
    given = deployed.example(4, seed=3)
    with torch.no_grad():
        for ours, theirs in zip(deployed(**given), _run(out, format, given, deployed), strict=True):
            torch.testing.assert_close(theirs, ours, rtol=1e-3, atol=1e-5)


def test_a_run_names_no_place(tiny_run):
    assert list(tiny_run.glob("wandb/offline-run-*"))
    assert list(tiny_run.rglob("report/index.html"))
    assert not places(tiny_run, tiny_run.parent)


def test_tensorboards_files_name_no_machine(tiny_options, tmp_path):
    options = [*tiny_options, "--log.wandb=disabled", "--trainer.max_epochs=1", "--log.maps_every=0"]
    assert main(["fit", *options, f"--log.root={tmp_path}", "--log.name=run", "--log.tensorboard=true"]) == 0
    assert [path for path in tmp_path.rglob("events.out.tfevents.*") if ".cv-attention." in path.name]
    assert not places(tmp_path, tmp_path)


def test_a_saliency_export_and_predictions_name_no_place(tiny_checkpoint, tmp_path):
    assert main(["saliency", "--split=test", f"--checkpoint={tiny_checkpoint}", "-o", str(tmp_path / "out")]) == 0
    evaluate(tiny_checkpoint, predictions=tmp_path / "predictions.npz")
    assert not places(tmp_path, tiny_checkpoint.parent)
