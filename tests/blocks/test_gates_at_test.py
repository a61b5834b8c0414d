"""Gates replaced in a trained network, against SE's equation with another gate."""

import pytest
import torch
from torch import nn

from cv_attention.blocks import create
from cv_attention.blocks.controls import gate_means, gates_averaged, gates_replaced, has_gates


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(create("se", 8, reduction=2), create("cbam", 8, reduction=2)).eval()


def test_the_mean_is_that_over_all_images(network):
    batches = [torch.randn(3, 8, 5, 5), torch.randn(2, 8, 5, 5)]
    network.train()
    means = gate_means(network, batches)
    assert network.training
    assert {name: tuple(mean.shape) for name, mean in means.items()} == {
        "0.map": (1, 8, 1, 1), "1.channel_map": (1, 8, 1, 1), "1.spatial.map": (1, 1, 5, 5),
    }  # fmt: skip
    torch.testing.assert_close(means["0.map"], network[0].attention(torch.cat(batches)).mean(0, keepdim=True))


def test_means_of_whatever_passes_the_network(network):
    x = torch.randn(4, 8, 5, 5)
    with gates_averaged(network) as means:
        network[0](x[:3])
        network[0](x[3:])
        assert means == {}
    assert list(means) == ["0.map"]  # the other one was not called
    torch.testing.assert_close(means["0.map"], network[0].attention(x).mean(0, keepdim=True))
    assert has_gates(network)
    assert not has_gates(nn.Conv2d(1, 1, 1))


def test_a_sum_of_half_precision_gates_grows(network):
    network.bfloat16()
    means = gate_means(network, torch.randn(600, 1, 8, 5, 5, dtype=torch.bfloat16))
    assert means["0.map"].dtype == torch.float32
    assert 0.3 < means["0.map"].mean() < 0.7  # about 0.5; a sum in bfloat16 stays at 128


def test_a_replaced_gate_is_used(network):
    x, se = torch.randn(4, 8, 5, 5), network[0]
    means = gate_means(network, [x])
    before = se(x)
    with gates_replaced(network, means, ["0.map"]):
        torch.testing.assert_close(se(x), x * means["0.map"])
    with gates_replaced(network):
        torch.testing.assert_close(se(x), x * se.attention(x)[[2, 3, 0, 1]])
    assert torch.equal(se(x), before)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda n: gates_replaced(n, at=["1.chanel.map"]).__enter__(), "did you mean '1.channel_map'"),
        (lambda n: gates_replaced(n, {}, ["0.map"]).__enter__(), "means has no gate '0.map'"),
        (lambda n: gate_means(n, []), "gate_means needs images, got no batch"),
        (lambda n: gate_means(nn.Conv2d(1, 1, 1), []), "Conv2d has no gate"),
    ],
)
def test_what_is_missing_is_named(network, call, message):
    with pytest.raises(ValueError, match=message):
        call(network)
