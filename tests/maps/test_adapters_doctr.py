"""Attention of docTR's readers over the image, against their own modules run by hand."""

import math

import pytest
import torch
from torch import nn

from cv_attention.maps import record

pytest.importorskip("doctr")
pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]  # what the library's own code calls

SIZE = (32, 128)


def spread(model: nn.Module) -> nn.Module:
    """Random weights of attention large enough that it is not uniform."""
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if "attention" in name and parameter.dim() == 2:
            nn.init.normal_(parameter, std=0.1)
    return model.eval()


def weights_of(module: nn.Module, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """Plain dot-product attention of docTR's module, (B, heads, queries, keys), without a mask."""
    q, k = (
        layer(x).unflatten(2, (module.num_heads, -1)).transpose(1, 2)
        for layer, x in zip(module.linear_layers, (query, key), strict=False)
    )
    return (q @ k.transpose(2, 3) / math.sqrt(q.shape[3])).softmax(3)


def given_to(module: nn.Module) -> list[tuple]:
    """Collects the arguments of every call of `module`."""
    calls: list[tuple] = []
    module.register_forward_pre_hook(lambda _, args: calls.append(args))
    return calls


def test_sar_looks_over_the_image():
    from doctr.models.recognition import sar_resnet31

    model = spread(sar_resnet31(pretrained=False, pretrained_backbone=False, vocab="abc", max_length=3))
    attention, seen = model.decoder.attention_module, []
    attention.attention_projector.register_forward_hook(lambda _, __, scores: seen.append(scores.flatten(1)))
    with torch.no_grad(), record(model) as maps:
        logits = model(torch.rand(2, 3, *SIZE), return_model_output=True)["out_map"]
    (found,) = maps.values()
    assert list(maps) == ["decoder.attention_module"]
    assert found.kind == "pairwise"
    assert found.values.shape == (2, 1, logits.shape[1], 4, 32)
    torch.testing.assert_close(found.values[:, 0].flatten(2), torch.stack(seen[1:], 1).softmax(2))


def test_master_looks_over_the_image():
    from doctr.models.recognition import master

    model = spread(master(pretrained=False, pretrained_backbone=False, vocab="abc", max_length=5))
    source = model.decoder.source_attention[1]
    calls = given_to(source)
    with torch.no_grad(), record(model) as maps:
        model(torch.rand(2, 3, *SIZE))
    query, key, *_ = calls[-1]  # each run writes the whole text again
    ours = maps["decoder.source_attention.1"]
    assert ours.kind == "pairwise"
    assert ours.values.shape == (2, 8, 5, 4, 32)
    torch.testing.assert_close(ours.values.flatten(3), weights_of(source, query, key))
    assert {maps[f"decoder.attention.{layer}"].kind for layer in range(3)} == {"alignment"}


def test_parseq_looks_over_the_patches():
    from doctr.models.recognition import parseq

    model = spread(parseq(pretrained=False, pretrained_backbone=False, vocab="abc", max_length=4))
    cross = model.decoder.cross_attention
    calls = given_to(cross)
    with torch.no_grad(), record(model) as maps:
        model(torch.rand(2, 3, *SIZE))
    query, key, *_ = calls[-1]
    ours = maps["decoder.cross_attention"]
    assert ours.kind == "pairwise"
    assert ours.values.shape == (2, 12, 5, 8, 16)  # patches of 4 x 8
    torch.testing.assert_close(ours.values.flatten(3), weights_of(cross, query, key))
    assert maps["decoder.attention"].kind == "alignment"


def test_vitstr_looks_over_the_patches():
    from doctr.models.recognition import vitstr_small

    model = spread(vitstr_small(pretrained=False, pretrained_backbone=False, vocab="abc", max_length=4))
    with torch.no_grad(), record(model) as maps:
        model(torch.rand(1, 3, *SIZE))
    assert len(maps) == 12
    for each in maps.values():
        assert each.kind == "pairwise"
        assert each.values.shape == (1, 6, 128, 8, 16)
        assert each.values.sum((3, 4)).min() < 0.999  # the class token has the rest
