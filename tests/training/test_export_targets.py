"""An export never replaces the file that it reads, nor a good file by one that differs from the network."""

import shutil

import pytest

from cv_attention.cli import main
from cv_attention.training.checkpoint import weights
from cv_attention.training.export import deployment
from tests.quick import quick_first, quick_only


@pytest.mark.parametrize(
    "place", quick_only(["itself", "hard link"], ["default", "itself", "symbolic link", "hard link"])
)
def test_the_source_is_refused_as_the_target(place, tiny_run, tmp_path, capsys):
    source = tmp_path / "run/weights.safetensors"
    source.parent.mkdir()
    shutil.copyfile(tiny_run / "weights.safetensors", source)
    before, out = source.read_bytes(), tmp_path / "out.safetensors"
    if place == "symbolic link":
        out.symlink_to(source)
    elif place == "hard link":
        out.hardlink_to(source)
    target = {"default": [], "itself": ["-o", str(source)]}.get(place, ["-o", str(out)])
    assert main(["export", str(source.parent), "--format=safetensors", *target]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "is the file that the network is read from; give another file to write (-o)" in said
    assert source.read_bytes() == before
    assert main(["export", str(source.parent), "--format=safetensors", "-o", str(tmp_path / "new.safetensors")]) == 0


def test_other_formats_do_not_replace_the_checkpoint(tiny_run, tmp_path, capsys):
    checkpoint = tmp_path / "best.ckpt"
    shutil.copyfile(tiny_run / "checkpoints/best.ckpt", checkpoint)
    assert main(["export", str(checkpoint), "--format=torch-export", "-o", str(checkpoint)]) == 2
    assert f"{checkpoint} is the file that the network is read from" in capsys.readouterr().err


@pytest.mark.parametrize("more", quick_first([1.0, float("nan"), float("inf")]))
def test_an_export_that_differs_leaves_the_earlier_file(more, tiny_run, tmp_path, monkeypatch):
    out = tmp_path / "model.safetensors"
    out.write_bytes(b"the earlier one")
    write = weights.write

    def spoil(path, classifier):
        other = deployment.load(tiny_run / "weights.safetensors")
        for value in other.network.parameters():
            value.data.add_(more)
        write(path, other)

    monkeypatch.setattr(weights, "write", spoil)
    with pytest.raises(ValueError, match=rf"exported logits differs from the network's.*{out} is not written"):
        deployment.export(tiny_run / "checkpoints/best.ckpt", "safetensors", out)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
    assert out.read_bytes() == b"the earlier one"
    monkeypatch.undo()
    assert deployment.export(tiny_run / "checkpoints/best.ckpt", "safetensors", out).path == out
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
    assert out.read_bytes() != b"the earlier one"
