"""What changed on the disk is noticed: flipped bits, other files, newer formats."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors import safe_open

from cv_attention import training
from cv_attention.training.checkpoint import checkpoints
from cv_attention.training.checkpoint.resumable import resumable
from cv_attention.training.checkpoint.sealing import FORMAT, sealed, verifying
from cv_attention.training.tasks.classifier import Classifier


@pytest.mark.parametrize(
    ("name", "flips"), [pytest.param("checkpoints/best.ckpt", 40, marks=pytest.mark.long), ("weights.safetensors", 15)]
)
def test_no_flipped_bit_passes_unnoticed(name, flips, tiny_run, tmp_path):
    data = bytearray((tiny_run / name).read_bytes())
    before = {key: value.clone() for key, value in training.load(tiny_run / name).state_dict().items()}
    path = (tmp_path / "flipped").with_suffix((tiny_run / name).suffix)
    unnoticed, messages = 0, []
    for place in np.random.default_rng(0).integers(0, 8 * len(data), flips).tolist():
        data[place // 8] ^= 1 << place % 8
        path.write_bytes(data)
        try:
            after = training.load(path).state_dict()
        except ValueError as error:
            messages.append(str(error))
        else:  # a bit that says nothing, such as a time in the archive
            unnoticed += any(not torch.equal(after[key], value) for key, value in before.items())
        data[place // 8] ^= 1 << place % 8
    assert unnoticed == 0
    assert len(messages) > 0.6 * flips
    assert all(message.startswith(str(path)) and "\n" not in message for message in messages)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: b"\x80\x04N.",  # a pickle
        lambda data: data[:-40] + bytes(20) + data[-20:],  # in the archive's directory
        lambda data: bytes(len(data)),
    ],
)
def test_the_checkpoint_before_a_damaged_one_counts(spoil, tiny_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    last, previous = (run / "checkpoints" / name for name in (checkpoints.LAST, checkpoints.PREVIOUS))
    last.write_bytes(spoil(last.read_bytes()))
    path, content, notices = resumable(run, Classifier)
    assert path == previous
    assert content["epoch"] == 0
    assert notices == [f"{last} is damaged and was renamed to last.ckpt.torn; using {previous}"]


def test_a_newer_format_is_refused_with_both_versions(tiny_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    path = run / "checkpoints/last.ckpt"
    content = {**torch.load(path, weights_only=True), "format": FORMAT + 1}
    torch.save(content, path)
    message = (
        rf"last.ckpt has format {FORMAT + 1}, written by cv_attention .*; this is .*, which reads up to format {FORMAT}"
    )
    with pytest.raises(ValueError, match=message):
        training.load(path)
    with pytest.raises(ValueError, match=message):  # and the one before it is not taken in its place
        resumable(run, Classifier)


def test_what_was_changed_is_damage_even_where_it_does_not_fit_either(tiny_run, tmp_path):
    content = torch.load(tiny_run / "checkpoints/last.ckpt", weights_only=True)
    name = next(iter(content["state_dict"]))
    for change in (lambda state: state.pop(name), lambda state: state.update({name: torch.zeros(1)})):
        torch.save({**content, "state_dict": (state := dict(content["state_dict"]))}, tmp_path / "whole.ckpt")
        training.load(tmp_path / "whole.ckpt")
        change(state)
        torch.save({**content, "state_dict": state}, tmp_path / "changed.ckpt")
        with pytest.raises(ValueError, match="is damaged: its content does not match the stored SHA-256"):
            training.load(tmp_path / "changed.ckpt")


def test_the_seal_is_in_every_weight_file(tiny_run):
    for name in ("best", "last"):
        content = torch.load(tiny_run / f"checkpoints/{name}.ckpt", weights_only=True)
        assert content["format"] == FORMAT
        verifying(content, tiny_run)()
    with safe_open(tiny_run / "weights.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["cv_attention_format"]) == FORMAT
        assert len(json.loads(file.metadata()["sha256"])) == 64


def test_files_from_before_the_seal_are_read(tiny_checkpoint):
    assert "sha256" not in torch.load(tiny_checkpoint, weights_only=True)
    training.load(tiny_checkpoint)


def test_a_changed_value_breaks_the_seal(tmp_path):
    content = sealed({"state_dict": {"a": torch.ones(3)}, "facts": {"class_names": ("ant", "bee")}})
    verifying(content, tmp_path)()
    content["facts"] = {"class_names": ("bee", "ant")}
    with pytest.raises(ValueError, match="damaged"):
        verifying(content, tmp_path)()
