"""Reports of saliency exports, which are made here as ``docs/saliency_export.md`` describes them."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cv_attention import report
from cv_attention.cli.entry import main
from tests.report.test_pixels import steps
from tests.report.test_shards import decode
from tests.report.written import only_run, payload

CLASSES = ["ants", "bees", "</script><b>wasps"]
COLUMNS = {
    "grad_cam": {"title": "Grad-CAM", "source": "saliency", "kind": None},
    "layer4.1.bn2.attention.spatial.map": {
        "title": "layer4.1.bn2.attention.spatial.map",
        "source": "attention",
        "kind": "spatial",
    },
    "layer4.1.bn2.attention.channel.map": {
        "title": "layer4.1.bn2.attention.channel.map",
        "source": "attention",
        "kind": "channel",
    },
}
SHAPES = dict(zip(COLUMNS, [(7, 7), (80, 80), (16,)], strict=True))
SIZE = 3  # images of a shard


def describe(out: Path, images: int, method: str, **changed: Any) -> None:
    about = {
        "format": 1,
        "checkpoint": "/home/somebody/secret/runs/bees/checkpoints/best.ckpt",
        "checkpoint_sha256": "0" * 64,
        "class_names": CLASSES,
        "image_size": [64, 64],
        "sources": ["/home/somebody/secret/photos"],
        "images": images,
        "method": method,
        "options": {},
        "layer": "layer4",
        "target": "predicted",
        "columns": [{"key": key, **about} for key, about in COLUMNS.items()],
        "explained": images - 1,
        "failed": 1,
        "complete": True,
    }
    (out / "export.json").write_text(json.dumps({**about, **changed}))


def row_of(number: int, shard: str, place: int, scales: dict[str, float], logits: list[float]) -> dict[str, Any]:
    entries = [
        {"key": key, "method": "attention" if "layer" in key else key, "scale": scales[key],
         "flags": ["all_zero"] if number == 4 and key == "grad_cam" else []}
        for key in COLUMNS
    ]  # fmt: skip
    return {"index": number, "image": f"trip/photo {number}.jpg", "error": None, "name": f"{number:06d}-trip",
            "width": 640, "height": 480, "label": number % 2, "box": [16, 16, 48, 32] if number == 0 else None,
            "predicted": int(np.argmax(logits)), "logits": logits, "shard": shard, "row": place,
            "input": f"inputs/{number // SIZE:06d}/{number:06d}-trip.png", "maps": entries}  # fmt: skip


def write_export(out: Path, images: int = 8, kind: str = "npz", method: str = "grad_cam", seed: int = 0) -> Any:
    """Writes an export whose second image failed; returns the raw maps and logits by image number."""
    rng, raw = np.random.default_rng(seed), {}
    for number in range(0, images, SIZE):
        shard = number // SIZE
        name = f"shards/{shard:06d}.{kind}"
        (out / f"inputs/{shard:06d}").mkdir(parents=True)
        (out / "shards").mkdir(exist_ok=True)
        stored, rows = {key: [] for key in COLUMNS}, []
        for image in range(number, min(number + SIZE, images)):
            if image == 1:
                error = "'/home/somebody/secret/photos/trip/photo 1.jpg' is truncated or damaged"
                rows.append({"index": 1, "image": "trip/photo 1.jpg", "error": error})
                continue
            scales = {key: 2.0**-30 if key == "grad_cam" else 1.0 for key in COLUMNS}
            maps = {key: rng.random(SHAPES[key]).astype(np.float16) for key in COLUMNS}
            for key, values in maps.items():
                stored[key].append(values)
            logits = rng.standard_normal(len(CLASSES)).round(4).tolist()
            raw[image] = ({key: values.astype(float) * scales[key] for key, values in maps.items()}, logits)
            rows.append(row_of(image, name, len(stored["grad_cam"]) - 1, scales, logits))
            shade = np.full((64, 64, 3), 20 * image, np.uint8)
            Image.fromarray(shade).save(out / f"inputs/{shard:06d}/{image:06d}-trip.png")
        arrays = {key: np.stack(values) for key, values in stored.items()}
        if kind == "npz":
            np.savez(out / name, allow_pickle=False, **arrays)
        else:
            pytest.importorskip("safetensors.numpy").save_file(arrays, out / name)
        (out / f"shards/{shard:06d}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    describe(out, images, method)
    return raw


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
def test_every_image_comes_with_its_maps_and_prediction(tmp_path: Path, kind: str) -> None:
    raw = write_export(tmp_path / "out", kind=kind)
    index = report.build(tmp_path / "out")
    run = only_run(index)
    assert run["export"] is True
    assert [probe["name"] for probe in run["probes"]] == [f"photo {i}.jpg" for i in raw]
    assert run["probes"][0]["box"] == [0.25, 0.25, 0.75, 0.5]
    assert run["probes"][3]["flags"] == ["all zero"]
    epoch = run["epochs"][0]
    logits = np.array([logits for _, logits in raw.values()])
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert epoch["predictions"] == p.argmax(1).tolist()
    assert epoch["confidence"] == pytest.approx(p.max(1), abs=1e-4)
    assert [column["bars"] for column in run["columns"]] == [False, False, True]
    for place, key in [(0, "grad_cam"), (2, "layer4.1.bn2.attention.channel.map")]:
        column = decode(payload(index.parent / f"data/run0/e0-c{place}-0.{epoch['maps'][str(place)][0]}.js"))
        wanted = np.stack([maps[key] for maps, _ in raw.values()])
        spans = np.ptp(wanted.reshape(len(wanted), -1), axis=1)
        assert (np.abs(column - wanted).reshape(len(wanted), -1).max(1) <= spans / 500).all()


def test_facts_and_what_failed_are_told_without_paths(tmp_path: Path) -> None:
    write_export(tmp_path / "out")
    index = report.build(tmp_path / "out")
    run = only_run(index)
    facts = dict(run["facts"])
    assert facts["Saliency method"] == "grad_cam"
    assert facts["Checkpoint"] == "…/best.ckpt"
    assert facts["Images"] == "7"
    assert run["notices"] == ["1 image could not be used. photo 1.jpg: '…/photo 1.jpg' is truncated or damaged"]
    for path in index.parent.rglob("*.js"):
        assert "/home/" not in path.read_text()


def test_interrupted_export_shows_its_whole_shards(tmp_path: Path) -> None:
    write_export(tmp_path / "out")
    (tmp_path / "out/shards/000002.jsonl").unlink()
    (tmp_path / "out/shards/000001.jsonl").write_text('{"index": 3, "err')
    describe(tmp_path / "out", 8, "grad_cam", complete=False)
    run = only_run(report.build(tmp_path / "out"))
    assert [probe["name"] for probe in run["probes"]] == ["photo 0.jpg", "photo 2.jpg"]
    assert "shards/000001.jsonl could not be read; its images are left out." in run["notices"]
    assert any("is incomplete" in notice for notice in run["notices"])


def test_missing_shard_of_maps_leaves_the_images(tmp_path: Path) -> None:
    write_export(tmp_path / "out")
    (tmp_path / "out/shards/000001.npz").unlink()
    run = only_run(report.build(tmp_path / "out"))
    assert len(run["probes"]) == 7
    assert run["epochs"] == []
    assert "shards/ could not be read; this epoch is left out." in run["notices"]


def test_names_in_a_manifest_do_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    write_export(tmp_path / "out")
    Image.new("RGB", (8, 8), "red").save(tmp_path / "secret.png")
    shutil.copy(tmp_path / "out/shards/000000.npz", tmp_path / "maps.npz")
    path = tmp_path / "out/shards/000000.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[0] |= {"input": "../secret.png"}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert "size" not in only_run(report.build(tmp_path / "out"))["probes"][0]
    rows[0] |= {"shard": "../maps.npz"}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert only_run(report.build(tmp_path / "out"))["epochs"] == []


@pytest.mark.parametrize(
    ("content", "words"), [("{", "is not JSON"), ('{"format": 7}', "has format 7"), ("[]", "None")]
)
def test_damaged_or_newer_description_is_one_clear_line(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "export.json").write_text(content)
    with pytest.raises(ValueError, match=words):
        report.build(tmp_path)


@pytest.mark.browser
def test_two_exports_are_opened_and_compared_by_name(
    open_page: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = write_export(tmp_path / "cam")
    write_export(tmp_path / "other", method="layer_cam", seed=1)
    main(["report", str(tmp_path / "cam"), str(tmp_path / "other"), "-o", str(tmp_path / "page")])
    index = Path(capsys.readouterr().out.strip())
    assert index == tmp_path / "page/index.html"
    opened = open_page("#scale=image&opacity=1&smooth=0&colours=grey&columns=0,1,2", index=index)
    values = raw[2][0]["grad_cam"]
    drawn = opened.pixels("Grad-CAM", 1)[..., 0]
    assert np.abs(drawn - steps(values, values.min(), values.max())).max() <= 1
    assert not opened.page.locator(".player").is_visible()
    assert "epoch" not in opened.page.locator("#report").inner_text().lower()
    opened.panel("compare")
    opened.page.locator("select[name=versus]").select_option("run:1")
    opened.settle()
    assert len(np.unique(opened.pixels("Grad-CAM", 1).reshape(-1, 4), axis=0)) > 10
    opened.page.get_by_role("navigation", name="Runs").get_by_role("button", name="other").click()
    opened.settle()
    assert "layer_cam" in opened.page.locator(".tiles").inner_text()


def write_checksums(out: Path) -> None:
    """Lists the files of each shard as an export does: rows, maps and pictures."""
    for rows in sorted((out / "shards").glob("*.jsonl")):
        pictures = sorted((out / "inputs" / rows.stem).iterdir())
        files = [rows, *(path for path in rows.parent.glob(f"{rows.stem}.npz")), *pictures]
        sums = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
        lines = [f"{found}  {os.path.relpath(path, rows.parent)}\n" for path, found in sums.items()]
        rows.with_suffix(".sha256").write_text("".join(lines))


@pytest.mark.parametrize("damaged", ["inputs/000000/000000-trip.png", "shards/000000.sha256"])
def test_a_picture_and_a_checksum_that_differ_are_named_with_the_list(tmp_path: Path, damaged: str) -> None:
    out = tmp_path / "out"
    write_export(out, images=4)
    write_checksums(out)
    assert not any("checksums" in notice for notice in only_run(report.build(out))["notices"])
    if damaged.endswith(".png"):
        Image.new("RGB", (64, 64), "red").save(out / damaged)
    else:
        text = (out / damaged).read_text()
        place = text.index("  ../inputs/000000/000000-trip.png") - 1  # the last digit of its checksum
        (out / damaged).write_text(text[:place] + ("0" if text[place] != "0" else "1") + text[place + 1 :])
    run = only_run(report.build(out))
    [notice] = [notice for notice in run["notices"] if "checksums" in notice]
    assert "inputs/000000/000000-trip.png" in notice
    assert "shards/000000.sha256" in notice
    assert len(run["probes"]) == 3, "the maps are shown all the same"


def test_rows_and_maps_with_other_checksums_are_left_out(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_export(out, images=4)
    write_checksums(out)
    (out / "shards/000001.npz").write_bytes((out / "shards/000000.npz").read_bytes())
    run = only_run(report.build(out))
    assert [probe["name"] for probe in run["probes"]] == ["photo 0.jpg", "photo 2.jpg"]
    assert any("shards/000001.npz has changed" in notice for notice in run["notices"])


def test_a_name_that_is_misspelt_in_the_checksums_is_reported_with_the_list(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_export(out, images=4)
    write_checksums(out)
    listed = out / "shards/000001.sha256"
    listed.write_text(listed.read_text().replace("000001.jsonl", "000201.jsonl"))
    run = only_run(report.build(out))
    assert [probe["name"] for probe in run["probes"]] == ["photo 0.jpg", "photo 2.jpg"]
    [notice] = [notice for notice in run["notices"] if "left out" in notice]
    assert "shards/000201.jsonl has changed since the export, or its checksum in shards/000001.sha256 did" in notice


def test_a_shard_with_too_few_rows_is_left_out_and_a_short_last_one_is_not(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_export(out, images=8)  # shards of 3, 3 and 2
    describe(out, 8, "grad_cam", shard_size=SIZE)
    run = only_run(report.build(out))
    assert len(run["probes"]) == 7, "the last shard is shorter, as it should be"
    assert not any("rows instead of" in notice for notice in run["notices"])
    rows = out / "shards/000001.jsonl"
    rows.write_text("".join(rows.read_text().splitlines(keepends=True)[:2]))
    run = only_run(report.build(out))
    assert [probe["name"] for probe in run["probes"]] == [f"photo {i}.jpg" for i in (0, 2, 6, 7)]
    assert any("it has 2 rows instead of 3" in notice for notice in run["notices"])
