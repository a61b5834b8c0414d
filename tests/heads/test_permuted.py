"""The permuted decoder against its two streams, written one vector, head and layer at a time."""

import pytest
import torch
from torch.testing import assert_close

from cv_attention.blocks.functional import sincos_2d
from cv_attention.heads.decoders.orders import sample_orders
from tests.heads.cases import CHANNELS, GRID, PADDING, head, memory, texts

END = 0


def affine(layer, vector):
    return layer.weight @ vector + layer.bias


def attended(attention, query, vectors):
    """What one query reads from a list of vectors, head by head."""
    asked, found = affine(attention.query, query), []
    width = len(asked) // attention.heads
    both = [affine(attention.key_value, vector) for vector in vectors]
    for number in range(attention.heads):
        part = slice(number * width, (number + 1) * width)
        keys, values = ([each[start:][part] for each in both] for start in (0, len(asked)))
        weights = torch.stack([asked[part] @ key / width**0.5 for key in keys]).softmax(0)
        found.append(sum(w * v for w, v in zip(weights, values, strict=True)))
    return affine(attention.project, torch.cat(found))


def through(layer, x, texts, images):
    """A layer of one vector, which sees some vectors of the text and all of the image."""
    x = x + attended(layer.own, layer.norm1(x), [layer.norm_content(each) for each in texts])
    x = x + attended(layer.cross, layer.norm2(x), images)
    return x + layer.mlp(layer.norm3(x))


def by_hand(decoder, images, numbers, rank, cloze):
    """The logits of each step of one text, its end included."""
    told = [decoder.first, *numbers[:-1]]
    ranks = [-1, *rank]  # of the start and of each number
    columns = [k for k in range(len(told)) if told[k] != END]
    content = {k: decoder.embedding.weight[told[k]] + (decoder.steps[k - 1] if k else 0) for k in columns}
    steps = [decoder.steps[step] for step in range(len(numbers))]
    for layer in decoder.layers:
        seen = [
            [content[k] for k in columns if (k != step + 1 if cloze else k == 0 or ranks[k] < rank[step])]
            for step in range(len(steps))
        ]
        within = {k: [content[j] for j in columns if (j in (0, k) if cloze else ranks[j] <= ranks[k])] for k in columns}
        steps = [through(layer, x, own, images) for x, own in zip(steps, seen, strict=True)]
        content = {k: through(layer, content[k], within[k], images) for k in columns}
    return torch.stack([affine(decoder.output, decoder.norm(x)) for x in steps])


@pytest.mark.parametrize("case", ["permuted", "permuted-two-layers"])
def test_both_streams_are_their_equations(case):
    """From left to right, in other orders, and when each number is written from all others."""
    decoder, read_from, tokens = head(case).double(), memory(), texts()
    read_from = read_from._replace(values=read_from.values.double())
    torch.nn.init.normal_(decoder.steps)
    vectors = read_from.values + sincos_2d(CHANNELS, *GRID).flatten(0, 1)
    stacked, keep = decoder._stacked(read_from)
    torch.manual_seed(3)
    orders = [*sample_orders(5, 3, device=tokens.device), None]
    with torch.no_grad():
        for order in orders:
            cloze, rank = order is None, torch.zeros(5, dtype=torch.int64) if order is None else order
            found = decoder._run(stacked, keep, decoder.inputs(tokens), rank, seen=False, cloze=cloze).logits
            if order is orders[0]:
                assert_close(found, decoder(read_from, tokens))
            for index in range(5):
                images = [vectors[index, i] for i in range(vectors.shape[1]) if read_from.keep[index, i]]
                numbers = [number for number in tokens[index].tolist() if number != PADDING]
                expected = by_hand(decoder, images, numbers, rank.tolist(), cloze)
                assert_close(found[index, : len(numbers)], expected)
