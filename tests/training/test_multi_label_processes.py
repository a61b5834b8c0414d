"""Several classes per image and numbers, trained by two processes: the same metrics, thresholds and files as by one."""

import json

import numpy as np
import pytest
import torch

from tests.training.test_processes import finish, start, weights

pytestmark = pytest.mark.long


@pytest.mark.parametrize("targets", ["multi", "numbers"])
def test_two_processes_train_and_count_like_one(targets, tmp_path, tiny_options):
    """A network without BatchNorm, since each process sees half of every batch; 31 test images do not divide by two."""
    options = [
        *tiny_options, f"--data.targets={targets}", "--model.backbone=timm/convnext_atto", "--model.options={}",
        "--data.digits.test=31", "--data.digits.val=21", "--data.digits.train=40", "--data.digits.digit=12",
        "--optimizer.lr=0.01", "--trainer.max_epochs=1", f"--log.root={tmp_path}",  # SGD: Adam enlarges rounding
        "--log.maps_every=0", "--log.wandb=disabled",
    ]  # fmt: skip
    finish(start(*options, "--log.name=one"))
    finish(start(*options, "--log.name=two", "--trainer.strategy=ddp", "--trainer.devices=2"))
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-4, msg=name)
    first, second = (json.loads((tmp_path / run / "summary.json").read_text()) for run in ("one", "two"))
    # rounding may decide one image
    assert second["test"] == {name: pytest.approx(value, rel=1e-3, abs=0.04) for name, value in first["test"].items()}
    assert second["test"]["loss"] == pytest.approx(first["test"]["loss"], rel=1e-3)
    with np.load(tmp_path / "two/predictions.npz") as file:  # of both processes, each image once, in order
        assert file["index"].tolist() == list(range(31))
        assert file["loss"].mean() == pytest.approx(second["test"]["loss"], rel=1e-4)
        if targets == "multi":
            assert file["thresholds"].tolist() == pytest.approx(first["per_class"]["threshold"], abs=1e-3)
            assert second["per_class"]["images"] == file["labels"].sum(0).tolist()
    if targets == "multi":
        counts = [json.loads((tmp_path / run / "labels/test.json").read_text()) for run in ("one", "two")]
        assert counts[0]["together"] == counts[1]["together"]
        assert counts[1]["images"] == 31
