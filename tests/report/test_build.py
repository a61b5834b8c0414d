import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cv_attention import report
from cv_attention.report.write import build as writer
from cv_attention.report.write.build import build
from tests.report.written import only_run, picture


def test_report_lies_in_the_run_and_holds_what_was_recorded(run_directory: Path) -> None:
    index = report.build(run_directory)
    assert index == run_directory / "report" / "index.html"
    run = only_run(index)
    assert run["name"] == run_directory.name
    assert ["Attention", "cbam (reduction=8) at residual"] in run["facts"]
    assert ["Parameters", "274,042"] in run["facts"]
    assert run["test"] == [["accuracy", 0.9715], ["loss", 0.2113]]
    assert [epoch["epoch"] for epoch in run["epochs"]] == [0, 2, 4]
    assert len(run["columns"]) == 7
    assert [column["signed"] for column in run["columns"]].count(True) == 1
    for probe in run["probes"]:
        assert all(0 <= share <= 1 for share in probe["box"])
    for epoch in run["epochs"]:
        stem = index.parent / f"data/run0/e{epoch['epoch']}"
        for column, hashes in epoch["maps"].items():
            assert all(stem.with_name(f"{stem.name}-c{column}-{i}.{h}.js").is_file() for i, h in enumerate(hashes))
    assert set(run["series"]) == {"train_loss", "lr", "val_loss", "val_accuracy"}
    assert run["notices"] == []


def test_images_are_the_recorded_pixels(run_directory: Path) -> None:
    index = build(run_directory)
    for i, probe in enumerate(only_run(index)["probes"]):
        recorded = Image.open(run_directory / f"maps/images/{i:04d}.png").convert("RGB")
        assert probe["size"] == list(recorded.size)
        assert np.array_equal(picture(index, i), recorded)


def test_no_path_of_the_machine_is_in_the_report(run_directory: Path) -> None:
    index = build(run_directory)
    for path in index.parent.rglob("*"):
        if path.suffix in (".html", ".js", ".css"):
            text = path.read_text()
            assert "/home/somebody" not in text
            assert str(run_directory.parent) not in text


def test_page_names_nothing_outside_its_folder(run_directory: Path) -> None:
    index = build(run_directory)
    for path in index.parent.rglob("*"):
        if path.suffix in (".html", ".js", ".css"):
            outside = path.read_text().replace("http://www.w3.org/2000/svg", "")
            assert "http://" not in outside
            assert "https://" not in outside


@pytest.mark.parametrize("kept", [(), ("config.yaml",), ("summary.json",), ("metrics",), ("maps",)])
def test_incomplete_runs_make_smaller_pages(run_directory: Path, kept: tuple[str, ...]) -> None:
    for name in ("config.yaml", "summary.json", "metrics", "maps"):
        if name not in kept:
            (run_directory / name).rename(run_directory / f"gone-{name}")
    if not kept:
        (run_directory / "metrics").mkdir()
    run = only_run(build(run_directory))
    assert bool(run["config"]) == ("config.yaml" in kept)
    assert bool(run["series"]) == ("metrics" in kept)
    assert bool(run["epochs"]) == ("maps" in kept)
    assert run["notices"] == []


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("config.yaml", b"a: [1,", "config.yaml"),
        ("config.yaml", b"\xff\xfe\x00", "config.yaml"),
        ("summary.json", b'{"parameters": ', "summary.json"),
        ("summary.json", b"[1]", "summary.json"),
        ("maps/probes.json", b'{"probes": [{}]}', "maps/probes.json"),
        ("maps/epoch-0002.json", b"{", "maps/epoch-0002.json"),
        ("maps/epoch-0002.npz", b"PK\x03\x04torn", "maps/epoch-0002.json"),
    ],
)
def test_torn_files_are_left_out_and_told(run_directory: Path, file: str, content: bytes, told: str) -> None:
    (run_directory / file).write_bytes(content)
    (notice,) = only_run(build(run_directory))["notices"]
    assert notice.startswith(told)


def test_torn_array_inside_an_archive_leaves_that_epoch_out(run_directory: Path) -> None:
    path = run_directory / "maps/epoch-0002.npz"
    data = bytearray(path.read_bytes())
    data[200:2000] = bytes(1800)
    path.write_bytes(data)
    run = only_run(build(run_directory))
    assert [epoch["epoch"] for epoch in run["epochs"]] == [0, 4]
    assert len(run["notices"]) == 1


def test_broken_and_missing_images_leave_the_maps(run_directory: Path) -> None:
    (run_directory / "maps/images/0000.png").write_bytes(b"\x89PNG torn")
    (run_directory / "maps/images/0001.png").unlink()
    probes = only_run(build(run_directory))["probes"]
    assert ["size" in probe for probe in probes] == [False, False, True, True]


@pytest.mark.parametrize("name", ["../../outside.png", "/etc/hostname", "images/link.png", "images/\0x"])
def test_images_outside_of_the_run_are_not_copied(run_directory: Path, name: str) -> None:
    outside = run_directory.parent / "outside.png"
    Image.new("RGB", (4, 4), "red").save(outside)
    (run_directory / "maps/images/link.png").symlink_to(outside)
    path = run_directory / "maps/probes.json"
    content = json.loads(path.read_text())
    content["probes"][0]["image"] = name
    path.write_text(json.dumps(content))
    probes = only_run(build(run_directory))["probes"]
    assert not probes or "size" not in probes[0]


def test_missing_directory_names_near_ones(run_directory: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no run directory at .*cbam-1; did you mean '.*cbam-0'\?$"):
        build(run_directory.with_name("cluttered_digits-resnet20-cbam-1"))
    with pytest.raises(FileNotFoundError, match=r"no run directory at .*nothere; expected one of .*cbam-0$"):
        build(run_directory.with_name("nothere"))


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        (["plain"], "neither a run directory nor a saliency export"),
        ([], "at least one run"),
    ],
)
def test_bad_arguments_are_one_clear_error(tmp_path: Path, runs: list[str], message: str) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(ValueError, match=message):
        build([tmp_path / run for run in runs])


def test_output_that_is_no_report_is_not_touched(run_directory: Path, tmp_path: Path) -> None:
    precious = tmp_path / "home" / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("years of work")
    for target in (precious.parent, precious, run_directory):
        with pytest.raises(ValueError, match="exists and is not a report"):
            build(run_directory, target)
    assert precious.read_text() == "years of work"
    assert (run_directory / "config.yaml").is_file()


def test_second_report_replaces_the_first_completely(run_directory: Path) -> None:
    index = build(run_directory)
    (run_directory / "maps/epoch-0004.json").unlink()
    (run_directory / "maps/epoch-0004.npz").unlink()
    build(run_directory)
    assert not list(index.parent.rglob("e4-*"))
    assert sorted(p.name for p in run_directory.iterdir() if p.name.startswith(".")) == []


def test_failure_leaves_the_earlier_report_whole(run_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = build(run_directory)
    before = {path: path.read_bytes() for path in index.parent.rglob("*") if path.is_file()}

    def fail(root: Path, number: int, run: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(writer, "write_run", fail)
    with pytest.raises(OSError, match="disk full"):
        build(run_directory)
    assert {path: path.read_bytes() for path in index.parent.rglob("*") if path.is_file()} == before
    assert not list(run_directory.glob(".report-*"))


def test_failed_rename_brings_the_earlier_report_back(run_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = build(run_directory)
    rename, calls = os.replace, []

    def fail_second(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == 2:
            raise OSError("no")
        rename(source, target)

    monkeypatch.setattr(os, "replace", fail_second)
    with pytest.raises(OSError, match="no"):
        build(run_directory)
    assert index.is_file()


def test_same_run_gives_the_same_files(run_directory: Path, tmp_path: Path) -> None:
    first, second = (build(run_directory, tmp_path / name).parent for name in ("a", "b"))
    names = [sorted(str(p.relative_to(root)) for p in root.rglob("*")) for root in (first, second)]
    assert names[0] == names[1]


def test_report_loads_neither_torch_nor_the_rest_of_the_package() -> None:
    code = (
        "import sys, cv_attention.report; "
        "print([m for m in sys.modules if m.split('.')[0] in ('torch', 'timm', 'lightning', 'matplotlib') "
        "or m.startswith('cv_attention.') and m.split('.')[1] not in ('alignment', 'report', 'rundir', 'version')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_a_killed_build_left_is_removed(run_directory: Path) -> None:
    old, young, other = (run_directory / f".report-{name}.partial" for name in ("00aa11bb", "22cc33dd", "mine-too"))
    for folder in (old, young, other):
        folder.mkdir()
    os.utime(old, (0, 0))
    os.utime(other, (0, 0))
    build(run_directory)
    assert [folder.exists() for folder in (old, young, other)] == [False, True, True]


def test_several_runs_go_beside_the_first_by_default(run_directory: Path) -> None:
    assert build([run_directory, run_directory]) == run_directory.parent / "comparison" / "index.html"
