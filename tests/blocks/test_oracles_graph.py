"""Graph attention on any graph and on segments, its reach, and what its queries can rank."""

import pytest
import torch
from torch.testing import assert_close

import cv_attention as cva
from cv_attention import blocks
from cv_attention.blocks import functional
from tests.blocks.cases import Case, feature_map
from tests.references import graph

NAMES = ("gat", "gatv2")
every_version = pytest.mark.parametrize("name", NAMES)


def trained(name, **options):
    return Case(blocks.CATALOGUE[name], tuple(options.items())).build_trained().double()


@every_version
@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("self_loops", [False, True])
def test_any_graph_is_the_equation_node_by_node(name, average, self_loops):
    block = trained(name, average=average, self_loops=self_loops)
    # Node 4 has no incoming edge, node 0 a self-loop of its own, and one edge stands there twice.
    edges = torch.tensor([[0, 1, 2, 3, 0, 4, 1, 1], [0, 0, 0, 1, 2, 3, 3, 3]])
    own = [{node} if self_loops else set() for node in range(5)]
    incoming = [sorted({j for j, i in edges.T.tolist() if i == node} | own[node]) for node in range(5)]
    nodes = feature_map(2, 5, 8, dtype=torch.float64)
    expected, weights = getattr(graph, f"{name}_nodes")(block, nodes, incoming)
    with cva.record(block) as maps:
        assert_close(block.on(nodes, edges), expected)
    assert_close(maps["edge_map"].values, weights)
    assert_close(block.on(nodes, edges), expected)
    assert_close(block.on(nodes[0], edges), expected[0])


@every_version
@pytest.mark.parametrize("neighbours", [4, 8])
@pytest.mark.parametrize("self_loops", [False, True])
def test_shifts_are_the_edges_of_a_grid(name, neighbours, self_loops):
    block = trained(name, neighbours=neighbours, self_loops=self_loops)
    x = feature_map(2, 8, 4, 5, dtype=torch.float64)
    edges = functional.grid_edges(4, 5, neighbours=neighbours)
    assert edges.shape[1] == (62 if neighbours == 4 else 110)
    y = block.on(x.flatten(2).transpose(1, 2), edges)
    assert_close(block(x), y.transpose(1, 2).unflatten(2, (4, 5)))


@every_version
def test_gradients_on_edges_are_those_of_shifts(name):
    block, x = trained(name), feature_map(2, 8, 3, 4, dtype=torch.float64).requires_grad_()
    nodes, weight = x.flatten(2).transpose(1, 2), feature_map(2, 8, 3, 4, seed=3, dtype=torch.float64)
    y = block.on(nodes, functional.grid_edges(3, 4)).transpose(1, 2).unflatten(2, (3, 4))
    wanted = (x, *block.parameters())
    expected = torch.autograd.grad((y * weight).sum(), wanted)
    assert_close(torch.autograd.grad((block(x) * weight).sum(), wanted), expected)


@every_version
def test_second_gradients_exist(name):
    block = trained(name)
    x = feature_map(1, 8, 2, 3, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradgradcheck(block, (x,))


@every_version
@pytest.mark.parametrize("neighbours", [4, 8])
def test_a_mark_needs_a_layer_for_each_step(name, neighbours):
    """The gradient of the last column is exactly zero beyond the reach of the layers, and nowhere zero within it."""
    layers = torch.nn.Sequential(*[trained(name, neighbours=neighbours) for _ in range(3)])
    for depth in (1, 2, 3):
        x = feature_map(1, 8, 5, 9, dtype=torch.float64).requires_grad_()
        layers[:depth](x)[0, :, 2, 4].sum().backward()
        row, column = torch.arange(5)[:, None] - 2, torch.arange(9) - 4
        steps = torch.maximum(row.abs(), column.abs()) if neighbours == 8 else row.abs() + column.abs()
        assert torch.equal(x.grad[0].abs().sum(0) != 0, steps <= depth)


def rankings(name, seed):
    """Whether all queries of a complete graph rank the keys alike."""
    block = Case(blocks.CATALOGUE[name], (("heads", 1),)).build_trained(seed=seed).double()
    edges = torch.cartesian_prod(torch.arange(6), torch.arange(6)).T
    with cva.record(block) as maps:
        block.on(feature_map(6, 8, seed=seed, dtype=torch.float64), edges)
    order = maps["edge_map"].values[0, 0].argsort(1)
    return bool((order == order[0]).all())


def test_gat_ranks_keys_alike_for_every_query_and_gatv2_does_not():
    """Theorems 1 and 2 of Brody et al."""
    assert all(rankings("gat", seed) for seed in range(5))
    assert not any(rankings("gatv2", seed) for seed in range(5))


@every_version
def test_maps_are_windows_that_sum_to_one(name):
    block = trained(name, neighbours=4, self_loops=False)
    with cva.record(block) as maps:
        block(feature_map(2, 8, 5, 7, dtype=torch.float64))
    found = maps["map"]
    assert found.values.shape == (2, 4, 35, 3, 3)
    assert (found.values[..., 1, 1] == 0).all()
    dense = found.dense().values
    assert_close(dense.sum((3, 4)), torch.ones(2, 4, 35, dtype=torch.float64))
    assert {tuple(place) for place in dense[0, 0, 8].nonzero().tolist()} == {(0, 1), (1, 0), (1, 2), (2, 1)}
    assert cva.to_heatmap(found).shape == (2, 1, 5, 7)
    assert_close(cva.maps.query_heatmaps(found)[:, 8], dense[:, :, 8].mean(1).float())


def test_a_lone_position_without_edges_returns_the_bias():
    block = trained("gat", self_loops=False)
    y = block(feature_map(2, 8, 1, 1, dtype=torch.float64))
    assert_close(y, block.bias.detach().expand(2, 8)[:, :, None, None])


@every_version
def test_dropout_leaves_whole_weights_out(name):
    block = trained(name, drop_rate=0.5).train()
    x = torch.ones(1, 8, 6, 6, dtype=torch.float64)  # equal values: only the sum of the weights counts
    torch.manual_seed(0)
    assert block(x).std((2, 3)).max() > 0.1
    assert block.eval()(x).std((2, 3)).max() < 1e-12


# Segments of images.


def test_segments_become_nodes_and_edges():
    x = torch.arange(12.0).view(1, 2, 2, 3)
    found = functional.from_labels(x, torch.tensor([[4, 4, 2], [4, 9, 9]]))
    assert found.node_of.tolist() == [[[1, 1, 0], [1, 2, 2]]]
    assert_close(found.nodes, torch.tensor([[2.0, 8.0], [(0 + 1 + 3) / 3, (6 + 7 + 9) / 3], [4.5, 10.5]]))
    assert sorted(map(tuple, found.edges.T.tolist())) == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]


def test_images_of_a_batch_are_not_connected():
    x, labels = feature_map(2, 8, 4, 4), torch.tensor([[0, 0, 1, 1]] * 4)
    found = functional.from_labels(x, labels)
    assert found.node_of.unique().tolist() == [0, 1, 2, 3]
    assert sorted(map(tuple, found.edges.T.tolist())) == [(0, 1), (1, 0), (2, 3), (3, 2)]
    block = blocks.GraphAttention(8)
    both = block.on(found.nodes, found.edges)
    for image in range(2):
        alone = functional.from_labels(x[image : image + 1], labels)
        assert_close(block.on(alone.nodes, alone.edges), both[2 * image : 2 * image + 2])


def test_a_segment_for_each_position_is_the_grid():
    block, x = trained("gat", neighbours=4), feature_map(2, 8, 4, 5, dtype=torch.float64)
    found = functional.from_labels(x, torch.arange(20).view(4, 5))
    with cva.record(block) as maps:
        y = functional.paint(block.on(found.nodes, found.edges).T, found.node_of).transpose(0, 1)
        assert_close(y, block(x))
    painted = functional.paint(maps["edge_map"].values[0, :, :20], found.node_of[0])  # (heads, nodes, H, W)
    assert painted[:, :20].shape == (4, 20, 4, 5)
    assert_close(painted, maps["map"].dense().values[0])


def test_negative_labels_are_no_node():
    x, labels = feature_map(1, 8, 2, 4), torch.tensor([[0, -1, 1, 1], [0, -1, 1, 1]])
    found = functional.from_labels(x, labels)
    assert found.edges.shape == (2, 0)
    painted = functional.paint(found.nodes.T, found.node_of)
    assert (painted[:, 0, :, 1] == 0).all()
    assert_close(painted[:, 0, 0, 0], x[0, :, :, 0].mean(1))
    assert blocks.GraphAttention(8).on(found.nodes, found.edges).isfinite().all()


def test_gradients_reach_the_map_through_segments():
    x = feature_map(1, 8, 4, 4).requires_grad_()
    found = functional.from_labels(x, torch.arange(16).view(4, 4) // 4)
    blocks.GraphAttention(8).on(found.nodes, found.edges).square().sum().backward()
    assert (x.grad != 0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda b, x: b.on(x[0, :, 0].T, torch.tensor([[0], [5]])), "nodes from 0 to 4, got 0 to 5"),
        (lambda b, x: b.on(x[0, :, 0].T, torch.tensor([[0], [-1]])), "got -1 to 0"),
        (lambda b, x: b.on(x[0, :, 0].T, torch.zeros(3, 2, dtype=torch.long)), r"\(3, 2\)"),
        (lambda b, x: b.on(x, torch.zeros(2, 1, dtype=torch.long)), r"\(1, 8, 4, 5\)"),
        (lambda b, x: functional.from_labels(x, torch.zeros(5, 4, dtype=torch.long)), r"\(5, 4\)"),
        (lambda b, x: functional.from_labels(x, torch.zeros(4, 5)), "float32"),
        (lambda b, x: functional.from_labels(x, -torch.ones(4, 5, dtype=torch.long)), "negative"),
        (lambda b, x: blocks.GraphAttention(8, neighbours=6), "neighbours=6"),
        (lambda b, x: blocks.GraphAttention(8, drop_rate=1.0), "drop_rate=1.0"),
    ],
)
def test_bad_graphs_are_said(call, message):
    with pytest.raises(ValueError, match=message):
        call(blocks.GraphAttention(8), feature_map(1, 8, 4, 5))
