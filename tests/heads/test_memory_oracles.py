"""Memories against their equations on lists of numbers, and against the functions of the package dnc."""

import pytest
import torch
from torch.nn.functional import one_hot, softplus
from torch.testing import assert_close

from cv_attention.heads import DNC, MANN, NTM, GrowingList
from cv_attention.heads.memory import addressing
from cv_attention.heads.memory.cell import Item
from tests.references import memory as reference

INPUTS, STEPS = 7, 9


def scattered(cell):
    """The cell in double precision, with parameters that make its weights differ."""
    torch.manual_seed(3)
    for parameter in cell.parameters():
        torch.nn.init.normal_(parameter, std=1.0)
    return cell.double()


@pytest.mark.parametrize(("cell", "rewritten"), [
    (NTM(INPUTS, slots=5, width=4, read_heads=2), reference.ntm),
    (NTM(INPUTS, slots=2, width=3, shifts=5), reference.ntm),  # shifts wider than the circle
    (DNC(INPUTS, slots=5, width=4, read_heads=3), reference.dnc),
    (DNC(INPUTS, slots=1, width=3), reference.dnc),
    (MANN(INPUTS, 2, 2, slots=6, width=4, read_heads=2, write="paper", address="paper"), reference.mann),
    (MANN(INPUTS, 2, 2, slots=3, width=4, read_heads=3, write="paper", address="paper", strength=False),
     reference.mann),
], ids=["ntm", "ntm-two-slots", "dnc", "dnc-one-slot", "mann", "mann-without-strength"])  # fmt: skip
def test_cells_against_their_equations(cell, rewritten):
    """More steps than slots, two episodes at once, each by itself in the rewrite."""
    cell = scattered(cell)
    x = torch.randn(2, STEPS, INPUTS, dtype=torch.float64)
    state, found = cell.start(2, dtype=torch.float64), []
    for step in x.unbind(1):
        reads, state = cell(step, state)
        found.append((reads, state.read, state.write))
    for index in range(2):
        for ours, theirs in zip(found, rewritten(cell, x[index].tolist()), strict=True):
            for mine, plain in zip(ours, theirs, strict=True):
                assert_close(mine[index], torch.tensor(plain, dtype=torch.float64), atol=1e-9, rtol=1e-7)


@pytest.mark.parametrize("kind", ["list", "mann"])
def test_bound_rows_give_the_labels_of_like_images(kind):
    """The label part of what is read is that of matching networks; MANN's slots hold the same until they are full."""
    torch.manual_seed(0)
    if kind == "list":
        cell = GrowingList(INPUTS, 6, 4, width=5)
    else:
        cell = MANN(INPUTS, 6, 4, slots=8, width=5)
        torch.nn.init.constant_(cell.gate.bias, -1e4)  # always to the least used slot
        torch.nn.init.zeros_(cell.gate.weight)
    cell = cell.double()
    images, labels = torch.randn(1, 6, 6, dtype=torch.float64), [3, 1, 0, 3, 2, 1]
    x, state, before = torch.randn(1, INPUTS, dtype=torch.float64), cell.start(1, dtype=torch.float64), None
    rows, strength = [], float(softplus(cell.strength(x)).detach())
    for step in range(6):
        image = images[:, step]
        label = torch.zeros(1, 4, dtype=torch.float64)
        if before is not None:
            label = one_hot(torch.tensor([labels[step - 1]]), 4).double()
            rows.append((cell.bind(before)[0].tolist(), label[0].tolist()))
        reads, state = cell(x, state, Item(image, image * 0 if before is None else before, label))
        before = image
        if rows:
            empty = [] if kind == "list" else [([0.0] * 5, [0.0] * 4)] * (8 - len(rows))
            expected = reference.matching(rows + empty, cell.bind(image)[0].tolist(), strength)
            assert_close(reads[0, 0, 5:], torch.tensor(expected, dtype=torch.float64))
        else:
            assert not reads.any()


def test_functions_of_the_package_dnc():
    """Usage, allocation, links, precedence, directions and content, one function after the other."""
    theirs = pytest.importorskip("dnc").Memory(4, mem_size=6, cell_size=3, read_heads=2)
    torch.manual_seed(0)
    used, write = torch.rand(5, 6), torch.rand(5, 6).softmax(1)
    read, free = torch.rand(5, 2, 6).softmax(2), torch.rand(5, 2)
    memory, keys, strength = torch.randn(5, 6, 3), torch.randn(5, 2, 3), 5 * torch.rand(5, 2)
    links, precedence = torch.rand(5, 6, 6) / 6, torch.rand(5, 6).softmax(1)
    assert_close(addressing.usage(used, write, read, free), theirs.get_usage_vector(used, free, read, write[:, None]))
    assert_close(addressing.allocation(used), theirs.allocate(used, None)[0][:, 0], atol=2e-6, rtol=1e-5)
    linked = theirs.get_link_matrix(links[:, None], write[:, None], precedence[:, None])
    assert_close(addressing.link(links, precedence, write), linked[:, 0])
    assert_close(
        addressing.precede(precedence, write), theirs.update_precedence(precedence[:, None], write[:, None])[:, 0]
    )
    forward, backward = theirs.directional_weightings(links[:, None], read)
    found = addressing.follow(links, read)
    assert_close(found[0], forward[:, :, 0])
    assert_close(found[1], backward[:, :, 0])
    assert_close(addressing.content(memory, keys, strength), theirs.content_weightings(memory, keys, strength))
