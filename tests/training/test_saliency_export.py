"""Exports in one process: what is written, whatever the images, their names and the disk."""

import errno
import hashlib
import io
import json
import os
import signal
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from cv_attention import saliency, training
from cv_attention.cli import main
from cv_attention.config import SaliencyExport
from cv_attention.drawing import overlay
from cv_attention.exporting.names import file_stem
from cv_attention.saliency_export import export_saliency, run
from cv_attention.saliency_export.shards import encode_maps, to_half
from tests.quick import quick_first


@pytest.fixture
def photographs(tmp_path) -> Path:
    """Eleven pictures of noise in several sizes."""
    place, random = tmp_path / "photographs", np.random.default_rng(0)
    (place / "deep").mkdir(parents=True)
    for number in range(11):
        pixels = random.integers(0, 255, (32 + 3 * (number % 3), 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / ("deep" if number % 2 else ".") / f"{number:02d}.png")
    return place


def rows_of(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]


def files_of(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


SMALL = {"batch_size": 2, "shard_size": 4, "workers": 2}


def test_maps_and_pictures_are_those_of_the_method(photographs, tiny_checkpoint, tmp_path):
    """Recomputed plainly: decoded by Pillow, resized by OpenCV, explained one by one, drawn by the report's overlay."""
    out = tmp_path / "out"
    config = SaliencyExport(**SMALL, inputs="png", overlays="png", panels="png", attention=True)
    done = export_saliency(tiny_checkpoint, [photographs], out, config)
    assert (done.explained, done.failed, done.left, done.error) == (11, 0, 0, "")
    classifier, rows = training.load(tiny_checkpoint), rows_of(out)
    paths = sorted(photographs.rglob("*.png"), key=str)
    assert [row["image"] for row in rows] == [str(path) for path in paths]
    for row, path in zip(rows, paths, strict=True):
        pixels = np.array(Image.open(path).convert("RGB"))
        assert (row["width"], row["height"]) == pixels.shape[1::-1]
        seen = cv2.resize(pixels, (32, 32), interpolation=cv2.INTER_AREA) if len(pixels) != 32 else pixels
        image = torch.from_numpy(seen).permute(2, 0, 1)[None]
        with torch.no_grad():
            logits = classifier(image)[0]
        np.testing.assert_allclose(row["logits"], logits.numpy(), rtol=1e-4, atol=1e-5)
        assert row["predicted"] == row["target"] == int(logits.argmax())
        assert row["probability"] == pytest.approx(float(logits.softmax(0).max()), rel=1e-4)
        heat = saliency.grad_cam(classifier.network, classifier.normalise(image), upsample=False)[0, 0].numpy()
        first, shard = row["maps"][0], np.load(out / row["shard"])
        stored = shard["grad_cam"][row["row"]].astype(np.float32) * first["scale"]
        np.testing.assert_allclose(stored, heat, rtol=2e-3, atol=1e-3 * heat.max())
        assert (first["low"], first["high"]) == pytest.approx((heat.min(), heat.max()), rel=1e-4, abs=1e-7)
        assert (np.array(Image.open(out / row["input"])) == seen).all()
        drawn = np.array(Image.open(out / first["overlay"])).astype(int)
        assert abs(drawn - overlay(seen, heat)).max() <= 3
        panel = np.array(Image.open(out / row["panel"]))
        assert (panel[:, :32] == seen).all()
        assert (panel[:, 36:68] == drawn).all()
        assert len(row["maps"]) == 19  # the method, and nine channel and nine spatial gates
        assert {m["key"] for m in row["maps"]} == set(shard)
        assert sum(m["overlay"] is not None for m in row["maps"]) == 10
        assert panel.shape == (32, 11 * 36 - 4, 3)


@pytest.mark.parametrize(
    ("method", "options"),
    quick_first(
        [("layer_cam", {"layers": ["layer2", "layer3"]}), ("smooth_grad", {"options": {"samples": 2}}),
         ("spectral_residual", {}), ("occlusion", {"target": 3})], 3),
)  # fmt: skip
def test_every_kind_of_method_is_exported_in_its_raw_values(method, options, photographs, tiny_checkpoint, tmp_path):
    export_saliency(tiny_checkpoint, [photographs], tmp_path / "out", SaliencyExport(**SMALL, method=method, **options))
    classifier, row = training.load(tiny_checkpoint), rows_of(tmp_path / "out")[0]
    image = torch.from_numpy(np.array(Image.open(row["image"]).convert("RGB"))).permute(2, 0, 1)[None]
    given = {**options.get("options", {}), **({"layers": options["layers"]} if "layers" in options else {})}
    if method == "layer_cam":
        given["upsample"] = False
    inputs = classifier.normalise(image)
    heat = saliency.METHODS[method](classifier.network, inputs, options.get("target"), **given)[0, 0].detach().numpy()
    [entry] = row["maps"]
    stored = np.load(tmp_path / "out" / row["shard"])[method][row["row"]].astype(np.float32) * entry["scale"]
    np.testing.assert_allclose(stored, heat, rtol=2e-3, atol=1e-3 * abs(heat).max())
    assert entry["layer"] == ("layer2, layer3" if method == "layer_cam" else None)
    assert row["target"] == options.get("target", row["predicted"])


def test_a_split_has_true_classes_and_boxes(tiny_checkpoint, tmp_path):
    done = export_saliency(tiny_checkpoint, [], tmp_path / "out", SaliencyExport(**SMALL, target="true"), split="test")
    rows = rows_of(tmp_path / "out")
    assert done.explained == len(rows) == 30
    assert [row["target"] for row in rows] == [row["label"] for row in rows]
    assert all(0 <= row["box"][0] < row["box"][2] <= 32 for row in rows)


def test_a_network_of_no_numbers_ends_with_its_first_tensor(photographs, tiny_checkpoint, tmp_path):
    content = torch.load(tiny_checkpoint, weights_only=True)
    content["state_dict"]["network.fc.weight"][1, 2] = torch.nan
    content["state_dict"]["network.fc.bias"][0] = torch.inf
    torch.save(content, tmp_path / "diverged.ckpt")
    with pytest.raises(ValueError, match=r"diverged.ckpt: 1 of 160 values of fc.weight are .* and in 1 more tensors"):
        export_saliency(tmp_path / "diverged.ckpt", [photographs], tmp_path / "out", SaliencyExport(**SMALL))
    assert not (tmp_path / "out").exists()


def test_maps_that_are_not_finite_are_counted(photographs, tiny_checkpoint, tmp_path, capsys):
    content = torch.load(tiny_checkpoint, weights_only=True)
    content["state_dict"]["network.fc.weight"].fill_(1e38)  # finite, and its sums are not
    torch.save(content, tmp_path / "huge.ckpt")
    out = tmp_path / "out"
    done = export_saliency(tmp_path / "huge.ckpt", [photographs], out, SaliencyExport(**SMALL))
    assert (done.explained, done.error, done.not_finite) == (11, "", 11)
    assert all(row["probability"] is None for row in rows_of(out))
    arguments = ["--checkpoint", tmp_path / "huge.ckpt", "-o", tmp_path / "again", "--accelerator", "cpu"]
    assert main(["saliency", str(photographs), *map(str, arguments)]) == 1
    assert "11 of 11 images have maps or logits with values that are not finite" in capsys.readouterr().err


def test_the_bar_shows_images_per_second(photographs, tiny_checkpoint, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    export_saliency(tiny_checkpoint, [photographs], tmp_path / "out", SaliencyExport(**SMALL), progress=True)
    printed = capsys.readouterr()
    assert "11/11" in printed.err
    assert "images/s" in printed.err
    assert not printed.out


def test_archives_are_read_like_folders(photographs, tiny_checkpoint, tmp_path):
    archive = tmp_path / "shard-000000.tar"
    with tarfile.open(archive, "w") as tar:
        for number, path in enumerate(sorted(photographs.rglob("*.png"), key=str)):
            tar.add(path, f"{number:04d}.png")
            info = tarfile.TarInfo(f"{number:04d}.cls")
            info.size = 1
            tar.addfile(info, io.BytesIO(b"%d" % (number % 10)))
    config = SaliencyExport(**SMALL, overlays="png")
    export_saliency(tiny_checkpoint, [photographs], tmp_path / "folder", config)
    export_saliency(tiny_checkpoint, [archive], tmp_path / "archive", config)
    one, two = rows_of(tmp_path / "folder"), rows_of(tmp_path / "archive")
    assert [row["label"] for row in two] == [number % 10 for number in range(11)]
    assert [row["logits"] for row in one] == [row["logits"] for row in two]
    for first, second in zip(one, two, strict=True):
        overlays = [
            tmp_path / name / row["maps"][0]["overlay"] for name, row in (("folder", first), ("archive", second))
        ]
        assert overlays[0].read_bytes() == overlays[1].read_bytes()


def test_unreadable_images_are_told_counted_and_cost_nothing_else(photographs, tiny_checkpoint, tmp_path):
    (photographs / "00.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    whole = tmp_path / "cut.tar"
    with tarfile.open(whole, "w") as tar:
        for name in ("02.png", "04.png"):
            tar.add(photographs / name, name)
    whole.write_bytes(whole.read_bytes()[: 3 * 1024])  # in the middle of the first image
    out = tmp_path / "out"
    done = export_saliency(tiny_checkpoint, [photographs, whole], out, SaliencyExport(**SMALL))
    rows = rows_of(out)
    assert (done.explained, done.left) == (10, 0)
    assert done.failed == len(rows) - 10 >= 2
    assert "00.png" in rows[0]["error"]
    assert "cut.tar" in rows[11]["error"]
    assert json.loads((out / "export.json").read_text())["complete"]
    assert len(np.load(out / "shards/000000.npz")["grad_cam"]) == 3


def test_the_command_line_says_how_many(photographs, tiny_checkpoint, tmp_path, capsys):
    (photographs / "00.png").write_bytes(b"")
    arguments = ["saliency", str(photographs), f"--checkpoint={tiny_checkpoint}", "-o", str(tmp_path / "out")]
    assert main([*arguments, "--manifest=parquet", "--maps=safetensors", "--panels=webp"]) == 0
    printed = capsys.readouterr()
    assert "10 images explained, 1 left out" in printed.out
    assert printed.err == f"left out: '{photographs}/00.png' is not an image (0 bytes of unknown kind)\n"
    import pyarrow.parquet
    from safetensors.numpy import load_file

    rows = pyarrow.parquet.read_table(tmp_path / "out/manifest.parquet").to_pylist()
    assert [row["error"] is None for row in rows] == [False] + [True] * 10
    stored = load_file(tmp_path / "out" / rows[1]["shard"])["grad_cam"]
    assert stored.shape == (10, 8, 8)
    assert stored.dtype == np.float16
    with Image.open(tmp_path / "out" / rows[1]["panel"]) as panel:
        assert panel.format == "WEBP"
    assert main([*arguments, "--method=layer_cam"]) == 2  # another export
    assert "method is grad_cam, not layer_cam" in capsys.readouterr().err
    assert main([*arguments, "--method=layer_cam", "--overwrite=true"]) == 0
    assert {row["maps"][0]["method"] for row in rows_of(tmp_path / "out")[1:]} == {"layer_cam"}
    assert not (tmp_path / "out/manifest.parquet").exists()


def test_nothing_but_unreadable_images_is_a_failure(tiny_checkpoint, tmp_path, capsys):
    for name in ("a.png", "b.jpg"):
        (tmp_path / name).write_bytes(b"no image")
    assert main(["saliency", str(tmp_path), f"--checkpoint={tiny_checkpoint}", "-o", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr()
    assert "0 images explained, 2 left out" in printed.out
    assert "no image could be used" in printed.err.splitlines()[-1]
    assert "a.png" in printed.err.splitlines()[-1]


def test_a_full_disk_keeps_what_was_done_and_says_so(photographs, tiny_checkpoint, tmp_path, monkeypatch, capsys):
    whole, out = tmp_path / "whole", tmp_path / "out"
    options = [str(photographs), f"--checkpoint={tiny_checkpoint}", "--batch_size=2", "--shard_size=4"]
    assert main(["saliency", *options, "-o", str(whole)]) == 0
    write_bytes = Path.write_bytes

    def on_a_full_disk(path: Path, content: bytes) -> int:
        if "overlays/000001" in str(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write_bytes(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", on_a_full_disk)
        assert main(["saliency", *options, "-o", str(out)]) == 2
    printed = capsys.readouterr()
    assert "No space left on device" in printed.err
    assert "images left" in printed.err
    said = json.loads((out / "export.json").read_text())
    assert not said["complete"]
    rows = rows_of(out)
    assert said["explained"] == len(rows) >= 4
    assert [row["index"] for row in rows[:4]] == [0, 1, 2, 3]
    assert all((out / row["maps"][0]["overlay"]).is_file() for row in rows)
    assert not list(out.rglob("*.partial"))
    assert main(["saliency", *options, "-o", str(out)]) == 0  # there is space again
    assert files_of(out) == files_of(whole)


HOSTILE = [
    "../../escape", "/etc/passwd", "..", ".", "a/../../b", "..\\..\\windows", "con\x00trol", "new\nline", "-rf",
    ".hidden", "x" * 300, "é" * 200, "emoji-\N{GRINNING FACE}", "\udcff\udcfe", "a:b", "$(touch x)", "%2e%2e%2f", "",
    "  ", "\N{FULLWIDTH FULL STOP}\N{FULLWIDTH FULL STOP}/up", "a\u202eb", "~root", "C:\\x", "a" * 99 + "é",
]  # fmt: skip


@pytest.mark.parametrize("path", HOSTILE, ids=range(len(HOSTILE)))
def test_no_name_leaves_the_folder(path, tmp_path):
    stem = file_stem(7, path)
    assert stem.startswith("000007")
    assert len(stem.encode()) <= 100
    assert not set(stem) & set("/\\\x00\n:$%~ ")
    assert ".." not in stem
    target = (tmp_path / f"{stem}--layer1.jpg").resolve()
    assert target.parent == tmp_path.resolve()
    target.write_bytes(b"a file system takes it")


def test_hostile_archives_write_nowhere_else(photographs, tiny_checkpoint, tmp_path):
    content = (photographs / "00.png").read_bytes()
    archive, out = tmp_path / "hostile.tar", tmp_path / "inside" / "out"
    with tarfile.open(archive, "w") as tar:
        for name in ("../../up.png", "/tmp/absolute.png", "same.png", "SAME.png", "same.png"):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    before = set(tmp_path.rglob("*"))
    export_saliency(tiny_checkpoint, [archive], out, SaliencyExport(**SMALL))
    new = {path for path in tmp_path.rglob("*") if path not in before}
    assert all(path == out.parent or out in [path, *path.parents] for path in new)
    overlays = [row["maps"][0]["overlay"] for row in rows_of(out)]
    assert len({name.lower() for name in overlays}) == len(overlays) == 5


def test_an_export_into_its_own_source_does_not_explain_itself(photographs, tiny_checkpoint):
    out = photographs / "out"
    for _ in range(2):
        assert export_saliency(tiny_checkpoint, [photographs], out, SaliencyExport(**SMALL)).explained == 11


@pytest.mark.parametrize("scale", [1e-20, 1.0, 3e9])
def test_half_precision_holds_values_of_any_size(scale):
    maps = (scale * np.random.default_rng(0).standard_normal((3, 5, 7))).astype(np.float32)
    maps[1] = 0
    stored, scales = to_half(maps)
    assert stored.dtype == np.float16
    np.testing.assert_allclose(
        stored * np.array(scales)[:, None, None], maps, rtol=1e-3, atol=1e-6 * float(abs(maps).max())
    )
    assert scales[1] == 1


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
def test_equal_maps_are_equal_bytes(kind, monkeypatch):
    columns = {"b": np.ones((2, 3), np.float16), "a": np.zeros((2, 3, 4), np.float16)}
    first = encode_maps(columns, kind)
    monkeypatch.setattr("time.time", lambda: 2e9)
    assert encode_maps(columns, kind) == first


MISTAKES = {
    "method": ({"method": "layr_cam"}, "layer_cam"),
    "option": ({"method": "smooth_grad", "options": {"sampels": 3}}, "samples"),
    "layer": ({"layers": "layr3"}, "layr3"),
    "class": ({"target": "11"}, "11"),
    "labels": ({"target": "true"}, "is unknown"),
    "size": ({"batch_size": 0}, "batch_size"),
}


@pytest.mark.parametrize(("options", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_before_anything_is_written(options, words, photographs, tiny_checkpoint, tmp_path):
    with pytest.raises(ValueError, match=words):
        export_saliency(tiny_checkpoint, [photographs], tmp_path / "out", SaliencyExport(**options))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("make", ["folder", "compressed", "both"])
def test_sources_that_cannot_be_used_are_one_line(make, tiny_checkpoint, tmp_path, capsys):
    (tmp_path / "notes").mkdir()
    sources = {
        "folder": [str(tmp_path / "notes")],
        "compressed": [str(tmp_path / "a.tar.gz")],
        "both": ["--split=test"],
    }
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("a.txt"))
    arguments = [*sources[make], *(["x.png"] if make == "both" else [])]
    out = ["-o", str(tmp_path / "out")]
    assert main(["saliency", *arguments, f"--checkpoint={tiny_checkpoint}", *out]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert {"folder": "notes", "compressed": "unpack", "both": "or a split"}[make] in printed
    assert not (tmp_path / "out").exists()


def spoilt_shards():
    return {
        "rows cut": (".jsonl", lambda path: path.write_bytes(path.read_bytes()[:-30])),
        "rows empty": (".jsonl", lambda path: path.write_bytes(b"")),
        "rows a folder": (".jsonl", lambda path: (path.unlink(), path.mkdir())),
        "maps flipped": (
            ".npz",
            lambda path: path.write_bytes(path.read_bytes()[:300] + b"!" + path.read_bytes()[301:]),
        ),
        "maps missing": (".npz", lambda path: path.unlink()),
        "checksums cut": (".sha256", lambda path: path.write_bytes(path.read_bytes()[:40])),
    }


@pytest.mark.parametrize(("suffix", "spoil"), quick_first(spoilt_shards().values(), 3), ids=spoilt_shards())
def test_a_damaged_shard_is_made_again(suffix, spoil, photographs, tiny_checkpoint, tmp_path, capsys):
    out = tmp_path / "out"
    export_saliency(tiny_checkpoint, [photographs], out, SaliencyExport(**SMALL))
    whole = files_of(out)
    spoil((out / "shards/000000.jsonl").with_suffix(suffix))
    capsys.readouterr()
    done = export_saliency(tiny_checkpoint, [photographs], out, SaliencyExport(**SMALL))
    error = capsys.readouterr().err
    assert "shards/000000." in error
    assert "processed again" in error
    assert done.explained == 11
    assert files_of(out) == whole


def test_checksums_are_those_of_sha256sum(photographs, tiny_checkpoint, tmp_path):
    out = tmp_path / "out"
    export_saliency(tiny_checkpoint, [photographs], out, SaliencyExport(**SMALL))
    for path in (out / "shards").glob("*.sha256"):
        lines = [line.split("  ") for line in path.read_text().splitlines()]
        assert [name for _, name in lines][:2] == [f"{path.stem}.jsonl", f"{path.stem}.npz"]
        for digest, name in lines:
            assert hashlib.sha256((path.parent / name).read_bytes()).hexdigest() == digest


def test_an_export_of_a_newer_version_is_not_gone_on_with(photographs, tiny_checkpoint, tmp_path):
    out = tmp_path / "out"
    export_saliency(tiny_checkpoint, [photographs], out, SaliencyExport(**SMALL))
    path = out / "export.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2, "cv_attention": "9.9"}))
    with pytest.raises(ValueError, match=r"export.json has format 2, written by cv_attention 9.9; .* up to format 1"):
        export_saliency(tiny_checkpoint, [photographs], out, SaliencyExport(**SMALL))
    path.write_text("{")
    with pytest.raises(
        ValueError, match=r"export.json cannot be read: it is not JSON.*choose another folder, or remove"
    ):
        export_saliency(tiny_checkpoint, [photographs], out, SaliencyExport(**SMALL))
    path.unlink()
    assert export_saliency(tiny_checkpoint, [photographs], out, SaliencyExport(**SMALL)).new == 0  # whole shards stay


def test_a_signal_that_finds_all_complete_changes_nothing(photographs, tiny_checkpoint, tmp_path, monkeypatch):
    """It comes while the manifest's counts are read for the result."""
    read = run.read

    def struck(out):
        os.kill(os.getpid(), signal.SIGTERM)
        return read(out)

    monkeypatch.setattr(run, "read", struck)
    before = signal.getsignal(signal.SIGTERM)
    done = export_saliency(tiny_checkpoint, [photographs], tmp_path / "out", SaliencyExport(**SMALL))
    assert (done.explained, done.left, done.signal) == (11, 0, 0)
    assert signal.getsignal(signal.SIGTERM) is before
