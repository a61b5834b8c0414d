"""What an export in the same folder keeps: results of this network, these options and these images, and no others."""

import io
import json
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cv_attention import training
from cv_attention.cli import main
from cv_attention.config import SaliencyExport
from cv_attention.data.augmentation.transforms import Pipeline
from cv_attention.data.sources.files import Files
from cv_attention.data.sources.image_set import ImageSet
from cv_attention.data.sources.images import Images
from cv_attention.data.sources.shards import open_shards
from cv_attention.exporting.sources import fingerprint, split_items
from cv_attention.report.read.saliency_export import read_export
from cv_attention.rundir.layout import EXPORT_FORMAT
from cv_attention.rundir.sealing import sealed
from cv_attention.saliency_export import export_saliency
from tests.quick import quick_first, quick_only

SMALL = {"batch_size": 2, "shard_size": 2, "workers": 2, "accelerator": "cpu"}


def draw(path: Path, seed: int) -> None:
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(path)


@pytest.fixture
def photographs(tmp_path) -> Path:
    """Four pictures: two shards."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(4):
        draw(folder / f"{number}.png", number)
    return folder


def files_of(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


PREPARATIONS = {
    "mean": lambda c: setattr(c, "facts", replace(c.facts, mean=(0.9, 0.9, 0.9))),
    "std": lambda c: setattr(c, "facts", replace(c.facts, std=(0.01, 0.01, 0.01))),
    "image_size": lambda c: setattr(c, "facts", replace(c.facts, image_size=(48, 48))),
    "bits": lambda c: setattr(c.experiment.data, "bits", 12),
    "cache": lambda c: setattr(c.experiment.data, "cache", 40),
    "eval_transforms": lambda c: setattr(c.experiment.data, "eval_transforms", [{"HorizontalFlip": {"p": 1.0}}]),
    "checkpoint_sha256": lambda c: setattr(c.experiment.model, "options", {"width": 4, "other": True}),
}


@pytest.mark.parametrize(("name", "change"), quick_first(PREPARATIONS.items(), 4), ids=PREPARATIONS)
def test_another_preparation_of_images_is_another_export(name, change, photographs, tiny_checkpoint, tmp_path):
    classifier, out = training.load(tiny_checkpoint), tmp_path / "out"
    export_saliency(classifier, [photographs], out, SaliencyExport(**SMALL))
    assert export_saliency(classifier, [photographs], out, SaliencyExport(**SMALL)).new == 0
    before = files_of(out)
    change(classifier)
    with pytest.raises(ValueError, match=f"holds another export: its {name} is .*--overwrite true"):
        export_saliency(classifier, [photographs], out, SaliencyExport(**SMALL))
    assert files_of(out) == before


def test_the_command_line_refuses_another_mean(photographs, tmp_path, capsys):
    import timm

    torch.manual_seed(0)
    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "weights.pth")
    command = ["saliency", str(photographs), "--model=timm/test_resnet", f"--weights={tmp_path / 'weights.pth'}"]
    command += ["-o", str(tmp_path / "out"), "--accelerator=cpu", "--maps=none", "--overlays=none"]
    assert main(command) == 0
    capsys.readouterr()
    assert main([*command, "--data.mean=[0.9,0.9,0.9]", "--data.std=[0.01,0.01,0.01]"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "its mean is [0.5, 0.5, 0.5], not [0.9, 0.9, 0.9]" in error


def test_an_export_of_before_is_read_and_not_gone_on_with(photographs, tiny_checkpoint, tmp_path):
    out = tmp_path / "out"
    export_saliency(tiny_checkpoint, [photographs], out, SaliencyExport(**SMALL))
    path = out / "export.json"
    about = json.loads(path.read_text())
    for name in ("mean", "std", "eval_transforms", "bits", "cache"):
        del about[name]
    path.write_text(json.dumps(sealed(about, EXPORT_FORMAT)))
    for request in (out / "shards").glob("*.request"):
        listed = request.with_suffix(".sha256")
        lines = listed.read_text().splitlines(keepends=True)
        listed.write_text("".join(line for line in lines if ".request" not in line and "overlays" not in line))
        request.unlink()
    run = read_export(out)
    assert run.recording is not None
    assert (len(run.recording.probes), run.notices) == (4, [])
    with pytest.raises(ValueError, match="holds an export of an older version, which does not record its mean; choose"):
        export_saliency(tiny_checkpoint, [photographs], out, SaliencyExport(**SMALL))
    path.unlink()
    assert export_saliency(tiny_checkpoint, [photographs], out, SaliencyExport(**SMALL)).new == 4


OTHERS = {
    "method": {"method": "layer_cam"},
    "target": {"target": 3},
    "format": {"maps": "safetensors", "overlays": "none", "manifest": "parquet"},
    "larger shards": {"shard_size": 4},
}


@pytest.mark.parametrize("other", quick_first(OTHERS.values(), 2), ids=OTHERS)
def test_shards_of_another_export_are_not_taken_over(other, photographs, tiny_checkpoint, tmp_path, capsys):
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    export_saliency(tiny_checkpoint, [photographs], out, SaliencyExport(**SMALL))
    config = SaliencyExport(**{**SMALL, **other})
    (out / "export.json").write_text("{")
    with pytest.raises(ValueError, match="or remove the file: shards of the same export are kept"):
        export_saliency(tiny_checkpoint, [photographs], out, config)
    (out / "export.json").unlink()
    capsys.readouterr()
    assert export_saliency(tiny_checkpoint, [photographs], out, config).new == 4
    assert capsys.readouterr().err.count("000000.jsonl ") == 1
    export_saliency(tiny_checkpoint, [photographs], fresh, config)
    assert files_of(out) == files_of(fresh)


def test_a_shard_from_another_folder_is_made_again(photographs, tiny_checkpoint, tmp_path, capsys):
    for method in ("grad_cam", "layer_cam"):
        export_saliency(tiny_checkpoint, [photographs], tmp_path / method, SaliencyExport(**SMALL, method=method))
    out = tmp_path / "grad_cam"
    whole = files_of(out)
    for name, content in files_of(tmp_path / "layer_cam").items():
        if "/000001" in name and "/000000" not in name:
            (out / name).write_bytes(content)
    capsys.readouterr()
    assert export_saliency(tiny_checkpoint, [photographs], out, SaliencyExport(**SMALL)).new == 2
    assert "000001.jsonl belongs to another export; the images of this shard are" in capsys.readouterr().err
    assert files_of(out) == whole


@pytest.mark.parametrize("how", quick_only(["broken"], ["size", "time", "broken"]))
def test_a_replaced_image_is_explained_again(how, photographs, tiny_checkpoint, tmp_path, capsys):
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    config, path = SaliencyExport(**SMALL), photographs / "3.png"
    export_saliency(tiny_checkpoint, [photographs], out, config)
    status = path.stat()
    path.write_bytes(b"no image") if how == "broken" else draw(path, 99)
    if how == "time":  # noise is incompressible, so that both files are about as large
        path.write_bytes(path.read_bytes().ljust(status.st_size, b"\0"))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    capsys.readouterr()
    done = export_saliency(tiny_checkpoint, [photographs], out, config)
    assert f"{path} has changed since it was processed; the images of this shard" in capsys.readouterr().err
    assert (done.new, done.failed) == (2, how == "broken")
    export_saliency(tiny_checkpoint, [photographs], fresh, config)
    assert files_of(out) == files_of(fresh)
    assert export_saliency(tiny_checkpoint, [photographs], out, config).new == 0


def test_an_archive_that_was_written_again_is_explained_again(photographs, tiny_checkpoint, tmp_path, capsys):
    out, archive = tmp_path / "out", tmp_path / "images.tar"
    for seed in (0, 99):
        draw(photographs / "3.png", seed)
        with tarfile.open(archive, "w") as tar:
            for path in sorted(photographs.iterdir()):
                tar.add(path, path.name)
        os.utime(archive, (seed, seed))
        assert export_saliency(tiny_checkpoint, [archive], out, SaliencyExport(**SMALL)).new == 4
    assert capsys.readouterr().err.count("has changed since it was processed") == 2


def test_a_split_with_other_pixels_is_explained_again(tiny_checkpoint, tmp_path, capsys):
    classifier, out = training.load(tiny_checkpoint), tmp_path / "out"
    config = SaliencyExport(**{**SMALL, "shard_size": 30}, overlays="none")
    for new in (30, 0):
        assert export_saliency(classifier, [], out, config, split="test").new == new
    classifier.experiment.data.digits.seed = 1
    assert export_saliency(classifier, [], out, config, split="test").new == 30
    assert "test/0 has changed since it was processed" in capsys.readouterr().err


PICTURES = {
    "junk": lambda path: path.write_bytes(b"junk"),
    "missing": lambda path: path.unlink(),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "folder missing": lambda path: ([one.unlink() for one in path.parent.iterdir()], path.parent.rmdir()),
}


@pytest.mark.parametrize("kind", quick_first(["inputs", "overlays", "panels"]))
@pytest.mark.parametrize("spoil", PICTURES.values(), ids=PICTURES)
def test_a_spoilt_picture_is_made_again(spoil, kind, photographs, tiny_checkpoint, tmp_path, capsys):
    out, config = tmp_path / "out", SaliencyExport(**SMALL, panels="jpg", attention=kind == "overlays")
    export_saliency(tiny_checkpoint, [photographs], out, config)
    whole = files_of(out)
    spoil(max((out / kind / "000001").iterdir()))
    capsys.readouterr()
    assert export_saliency(tiny_checkpoint, [photographs], out, config).new == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"{kind}/000001/" in error
    assert files_of(out) == whole


def test_every_picture_is_listed_however_few_may_wait(photographs, tiny_checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr("cv_attention.saliency_export.writing._MOST_WAITING", 0)
    out = tmp_path / "out"
    export_saliency(tiny_checkpoint, [photographs], out, SaliencyExport(**SMALL, panels="png"))
    listed = [line[66:] for path in (out / "shards").glob("*.sha256") for line in path.read_text().splitlines()]
    listings = {"export.json", "manifest.jsonl", "shards/000000.sha256", "shards/000001.sha256"}
    assert {os.path.normpath(f"shards/{name}") for name in listed} == files_of(out).keys() - listings


def test_files_of_a_split_have_versions(photographs, tmp_path):
    """Files and members of archives, as a split of a data set has them."""
    files = sorted(photographs.iterdir())
    with tarfile.open(tmp_path / "train-0.tar", "w") as tar:
        for path in files:
            tar.add(path, path.name)
            info = tarfile.TarInfo(f"{path.stem}.cls")
            info.size = 1
            tar.addfile(info, io.BytesIO(b"0"))
    shards = open_shards(tmp_path / "cache", [tmp_path / "train-0.tar"])
    numbers = np.arange(4)
    for storage, changing in (
        (Files(np.array([os.fsencode(path) for path in files])), files[2]),
        (shards, tmp_path / "train-0.tar"),
    ):
        images = Images(numbers, numbers, storage)
        split = ImageSet("test", images, Pipeline([], "data.eval_transforms"), 0)
        before = [fingerprint(item) for item in split_items(split)]
        assert [fingerprint(item) for item in split_items(split)] == before
        os.utime(changing, (1, 1))
        after = [fingerprint(item) for item in split_items(split)]
        assert [one != other for one, other in zip(before, after, strict=True)] == [
            storage is shards or number == 2 for number in range(4)
        ]
        assert len(set(after)) == 4


CHECKSUMS = {
    "missing": lambda path: path.unlink(),
    "damaged": lambda path: path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1])),
}


@pytest.mark.parametrize(("word", "spoil"), CHECKSUMS.items(), ids=CHECKSUMS)
def test_a_shard_without_all_its_checksums_is_made_again(word, spoil, photographs, tiny_checkpoint, tmp_path, capsys):
    out = tmp_path / "out"
    export_saliency(tiny_checkpoint, [photographs], out, SaliencyExport(**SMALL))
    whole = files_of(out)
    spoil(out / "shards/000000.sha256")
    assert export_saliency(tiny_checkpoint, [photographs], out, SaliencyExport(**SMALL)).new == 2
    assert f"000000.sha256 is {word}" in capsys.readouterr().err
    assert files_of(out) == whole
