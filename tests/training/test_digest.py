"""The checksum of a checkpoint: the same after any way of saving, another after any change."""

import io

import pytest
import torch
from torch import nn

from cv_attention.training.checkpoint.digest import sha256


def content() -> dict:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    network(torch.randn(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    return {"state_dict": network.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3, "names": ["a", None],
            "half": torch.ones(2, 3, dtype=torch.bfloat16).t(), "empty": torch.empty(0, 5)}  # fmt: skip


def test_saving_and_loading_changes_nothing():
    before, file = content(), io.BytesIO()
    torch.save(before, file)
    file.seek(0)
    after = torch.load(file, weights_only=True)
    assert sha256(after) == sha256(before)
    assert sha256(dict(reversed(after.items()))) == sha256(before)  # the order of keys


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["state_dict"]["0.weight"].view(torch.int32)[0, 0, 0].bitwise_xor_(1),  # the last bit of a number
        lambda c: c["optimizer"]["state"][0]["exp_avg"].neg_(),
        lambda c: c["optimizer"]["param_groups"][0].update(lr=2e-3),
        lambda c: c.update(epoch=4),
        lambda c: c["names"].append("b"),
        lambda c: c.update(half=c["half"].t()),
        lambda c: c.update(empty=torch.empty(5, 0)),
        lambda c: c["state_dict"].update(
            {"1.weight": c["state_dict"]["1.bias"], "1.bias": c["state_dict"]["1.weight"]}
        ),
        lambda c: c["state_dict"].update({"0.weight": c["state_dict"]["0.weight"].double()}),
        lambda c: c.pop("names"),
    ],
)
def test_every_change_shows(change):
    changed = content()
    change(changed)
    assert sha256(changed) != sha256(content())
