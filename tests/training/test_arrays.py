"""Compressed arrays are measured by their headers before anything is decompressed."""

import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cv_attention.cli import main
from cv_attention.report.read.saliency_export import _read_shard
from cv_attention.rundir import Damaged
from cv_attention.rundir.arrays import check_arrays, read_arrays


def claim(path: Path, name: str, shape: tuple[int, ...], extra: bytes = b"") -> None:
    """Writes an array that says it is larger than it is: nothing of it may be allocated."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}.npy", header.getvalue() + bytes(1000) + extra)


def test_arrays_are_those_of_numpy(tmp_path):
    values = {"a": np.arange(6.0).reshape(2, 3).T, "b/c": np.array(["x", "yz"]), "none": np.zeros((0, 3), np.float16)}
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "v.npz", **values)
        found = read_arrays(tmp_path / "v.npz")
        with np.load(tmp_path / "v.npz") as expected:
            assert found.keys() == set(expected.files)
            assert all(np.array_equal(found[name], expected[name]) for name in found)
            assert all(found[name].dtype == expected[name].dtype for name in found)
    assert read_arrays(tmp_path / "v.npz", ["a", "missing"]).keys() == {"a"}


@pytest.mark.parametrize("shape", [(2 * 2**30,), (2**40,), (2**20, 2**20), (2**62, 2**62)])
def test_arrays_that_claim_too_much_are_refused_before_they_are_read(shape, tmp_path):
    claim(tmp_path / "bomb.npz", "x", shape)
    for read in (read_arrays, check_arrays):
        with pytest.raises(Damaged, match="would take more than the 268,435,456 bytes"):
            read(tmp_path / "bomb.npz")
    assert read_arrays(tmp_path / "bomb.npz", ["y"]) == {}  # nobody asked for it


def test_all_arrays_count_together_and_long_headers_and_objects_are_refused(tmp_path):
    path = tmp_path / "v.npz"
    one = np.zeros(200 * 2**20, np.uint8)
    np.savez_compressed(path, a=one, b=one)
    assert read_arrays(path, ["a"])["a"].size == one.size
    with pytest.raises(Damaged, match="would take more"):
        read_arrays(path)
    np.savez(path, a=np.array([{}], dtype=object))
    with pytest.raises(Damaged, match="Python objects"):
        read_arrays(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", b"\x93NUMPY\x02\x00" + (2**26).to_bytes(4, "little") + b" " * 2**26)
    with pytest.raises(Damaged, match="a header of 67,108,864 bytes"):
        check_arrays(path)


def test_bombs_in_a_run_are_named(tiny_run, tmp_path, capsys):
    run = shutil.copytree(tiny_run, tmp_path / "run", ignore=shutil.ignore_patterns("report", "wandb", ".lock"))
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps({k: v for k, v in summary.items() if k not in ("sha256", "files")}))
    epoch = sorted((run / "maps").glob("epoch-*.json"))[-1]
    heads = run / "maps/heads-0000.npz"
    claim(run / "predictions.npz", "name", (2**33,))
    claim(epoch.with_suffix(".npz"), next(iter(json.loads(epoch.read_text())["columns"])), (2**33,))
    claim(heads, "x", (2**33,))
    assert main(["compare", str(run), str(run), "--metric=probability"]) == 2
    assert f"{run}/predictions.npz cannot be read: its arrays would take more" in capsys.readouterr().err
    assert main(["report", str(run), "-o", str(tmp_path / "page")]) == 0
    page = next((tmp_path / "page/data").glob("report.*.js")).read_text()
    assert f"maps/{epoch.name} or its arrays could not be read" in page
    assert "heads-0000.npz could not be read" in page


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_only_named_arrays_of_a_shard_are_read(suffix, tmp_path):
    from safetensors.numpy import save_file

    values = {"a": np.arange(3), "b": np.arange(4)}
    if suffix == ".npz":
        np.savez(tmp_path / "s.npz", a=values["a"], b=values["b"])
    else:
        save_file(values, tmp_path / "s.safetensors")
    found = _read_shard(tmp_path, f"s{suffix}", ["b"])
    assert found.keys() == {"b"}
    assert found["b"].tolist() == [0, 1, 2, 3]
