import pytest
import torch
from torch import nn

from cv_attention.blocks.base import AttentionMap, Gate, bottleneck, check_choice, check_divisible, check_odd


class Halve(Gate):
    kind = "joint"

    def attention(self, x):
        return torch.full_like(x, 0.5)


class TwoPaths(nn.Module):
    """Says which path ran: 1 is the fused one, 2 the one that shows its map."""

    def __init__(self):
        super().__init__()
        self.map = AttentionMap("joint")

    def forward(self, x):
        return self.map(x) * 0 + 2 if self.map.observed else x * 0 + 1


def test_gate_multiplies_by_its_map():
    x = torch.randn(2, 3, 4, 5)
    assert torch.equal(Halve()(x), x / 2)


def test_a_hook_that_replaces_the_map_changes_the_output():
    gate, x = Halve(), torch.randn(2, 3, 4, 5)
    handle = gate.map.register_forward_hook(lambda module, inputs, output: torch.zeros_like(output))
    assert torch.equal(gate(x), torch.zeros_like(x))
    handle.remove()
    assert torch.equal(gate(x), x / 2)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch", "ignore::FutureWarning:torch")
@pytest.mark.parametrize("in_place", [False, True], ids=["torch.compile", "module.compile"])
def test_a_compiled_module_notices_who_looks_and_who_left(in_place):
    torch._dynamo.reset()
    model, x = TwoPaths(), torch.ones(2)
    if in_place:
        model.compile(fullgraph=True, backend="aot_eager")
        compiled = model
    else:
        compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    assert compiled(x).tolist() == [1, 1]
    seen = []
    handle = model.map.register_forward_hook(lambda module, inputs, output: seen.append(output))
    assert compiled(x).tolist() == [2, 2]
    assert len(seen) == 1
    handle.remove()
    assert compiled(x).tolist() == [1, 1]
    assert len(seen) == 1


def test_unknown_kind_is_an_error():
    with pytest.raises(ValueError, match=r"^kind must be one of 'channel', 'spatial'"):
        AttentionMap("chanel")


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: bottleneck(0, 16), "channels must be a positive whole number, got channels=0"),
        (lambda: bottleneck(8, True), "reduction must be a positive whole number, got reduction=True"),
        (lambda: check_odd(kernel_size=4), "kernel_size must be a positive odd number, got kernel_size=4"),
        (lambda: check_divisible(channels=30, heads=4), "divisible by heads, got channels=30, heads=4"),
        (lambda: check_choice("mode", "dto", ["dot", "sum"]), "one of 'dot', 'sum', got mode='dto'; .*'dot'"),
    ],
)  # fmt: skip
def test_arguments_are_checked(check, message):
    with pytest.raises(ValueError, match=message):
        check()


def test_bottleneck_is_never_empty():
    assert [bottleneck(c, 16) for c in (64, 33, 16, 3)] == [4, 2, 1, 1]
    assert bottleneck(64, 16, minimum=8) == 8
