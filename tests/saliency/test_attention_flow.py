"""Attention flow against a case by hand and against networkx."""

import networkx
import numpy as np
import pytest
import timm
import torch
from torch import nn

from cv_attention import saliency as s
from cv_attention.saliency.methods.attention.attention_flow import patch_flows

X = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def test_two_layers_by_hand():
    """A class token and two patches; shares[layer][to][from]."""
    first = [[0.6, 0.3, 0.1], [0.0, 0.7, 0.3], [0.2, 0.0, 0.8]]
    second = [[0.5, 0.1, 0.4], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    # patch 1 reaches the class token through itself as min(0.3, 0.5), through patch 1 as min(0.7, 0.1), not by patch 2;
    # patch 2 as min(0.1, 0.5), min(0.3, 0.1) and min(0.8, 0.4)
    np.testing.assert_allclose(patch_flows(np.array([first, second]), 1), [0.3 + 0.1, 0.1 + 0.1 + 0.4], atol=1e-6)
    # without a class token all three read, each at most 1: everything that leaves the patch, if it can go on
    flows = patch_flows(np.array([first, second]), 0)
    np.testing.assert_allclose(flows, [(0.5 + 0.2) / 3, (0.3 + 0.7) / 3, (0.1 + 0.3 + 0.8) / 3], atol=1e-6)


@pytest.mark.parametrize(
    "options", [{}, {"reg_tokens": 2}, {"class_token": False, "global_pool": "avg"}], ids=["class", "registers", "none"]
)
def test_equals_networkx(options):
    torch.manual_seed(0)
    model = timm.create_model("vit_tiny_patch16_224", img_size=16, patch_size=8, depth=3, num_classes=5, **options)
    for parameter in model.parameters():
        nn.init.normal_(parameter, 0, 0.15)
    model.eval()
    got = s.attention_flow(model, X, upsample=False)
    seen = []
    for block in model.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(lambda m, args, out: seen.append(out.detach()))
    model(X)
    tokens = seen[0].shape[-1]
    extra = tokens - 4
    for image in range(2):
        graph = networkx.DiGraph()
        for level, a in enumerate(seen):
            mixed = (a[image].mean(0) + torch.eye(tokens)) / 2
            for i in range(tokens):
                for j in range(tokens):
                    graph.add_edge((level, j), (level + 1, i), capacity=float(mixed[i, j] / mixed[i].sum()))
        read = [0] if extra else range(tokens)
        for i in read:
            graph.add_edge((len(seen), i), "out", capacity=1.0)
        flows = [networkx.maximum_flow_value(graph, (0, j), "out") / len(read) for j in range(extra, tokens)]
        torch.testing.assert_close(got[image, 0].flatten(), torch.tensor(flows), rtol=0, atol=1e-5)
    assert got.std() > 1e-3
