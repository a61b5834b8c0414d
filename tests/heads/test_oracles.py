"""Heads against their equations, written as loops over samples, steps and positions, and against torch's modules."""

import itertools
import math
from typing import NamedTuple

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from cv_attention.blocks.functional import sincos_2d
from cv_attention.heads import Memory
from cv_attention.heads.decoders.ctc import best_path, prefix_search
from cv_attention.heads.decoders.orders import query_mask, sample_orders
from cv_attention.heads.decoders.search import search
from tests.heads.cases import CHANNELS, GRID, OUTPUTS, PADDING, head, memory, sample, texts


def encoded(read_from):
    """A memory with its positions added, as double."""
    return read_from.values.double() + sincos_2d(CHANNELS, *GRID).flatten(0, 1)


def score(decoder, state, vector, case):
    """The score of one state and one vector, as its paper writes it."""
    module = decoder.score
    if "additive" in case:
        hidden = module.key.weight @ vector + module.query.weight @ state + module.query.bias
        return module.v @ hidden.tanh()
    if "general" in case:
        return state @ module.weight @ vector / len(vector) ** 0.5
    if "concat" in case:
        return module.v @ (module.weight @ torch.cat([state, vector])).tanh()
    return state @ vector


@pytest.mark.parametrize(("case", "kind"), [
    ("gru", "additive before"), ("gru-after-general", "general after"), ("gru-dot", "dot before"),
    ("lstm", "additive before"), ("lstm-after-concat", "concat after gate"), ("gru-mean", "mean before"),
])  # fmt: skip
def test_recurrent_decoders_against_their_equations(case, kind):
    """Bahdanau's and Luong's order, every number by itself."""
    decoder, read_from, tokens = head(case).double(), memory(), texts()
    expected = decoder(read_from._replace(values=read_from.values.double()), tokens)
    vectors = encoded(read_from)
    for index in range(5):
        kept = [vectors[index, i] for i in range(vectors.shape[1]) if read_from.keep[index, i]]
        mean = sum(kept) / len(kept)
        state, cell = affine(decoder.start_state, mean).tanh(), None
        if decoder.start_cell is not None:
            cell = affine(decoder.start_cell, mean).tanh()
        fed = torch.zeros_like(state)
        told = decoder.first
        for step in range(int((tokens[index] != PADDING).sum())):
            y = decoder.embedding.weight[told]
            if "before" in kind:
                context = look(decoder, state, kept, kind)
                state, cell = move(decoder, torch.cat([y, context]), state, cell)
                deep = torch.cat([state, context, y])
            else:
                state, cell = move(decoder, torch.cat([y, fed]), state, cell)
                context = look(decoder, state, kept, kind)
                fed = deep = (decoder.combine.weight @ torch.cat([context, state])).tanh()
            assert_close(expected[index, step], affine(decoder.output, deep))
            told = int(tokens[index, step])


def affine(layer, vector):
    return layer.weight @ vector + layer.bias


def move(decoder, entered, state, cell):
    """The next state of the cell, and what an LSTM keeps."""
    if cell is None:
        return decoder.cell(entered[None], state[None])[0], None
    state, cell = decoder.cell(entered[None], (state[None], cell[None]))
    return state[0], cell[0]


def look(decoder, state, vectors, kind):
    """The context of a state: the mean, or a weighted sum, with Xu's gate."""
    if "mean" in kind:
        return sum(vectors) / len(vectors)
    weights = torch.stack([score(decoder, state, vector, kind) for vector in vectors]).exp()
    context = sum(w * v for w, v in zip(weights / weights.sum(), vectors, strict=True))
    return context * affine(decoder.gate, state).sigmoid() if "gate" in kind else context


def test_coverage_is_the_penalty_of_the_paper():
    decoder, read_from, tokens = head("gru-coverage"), memory(), texts()
    with torch.no_grad():
        decoded = decoder.decode(read_from, tokens)
    penalties = []
    for index in range(5):
        total = 0.0
        for position in range(12):
            if read_from.keep[index, position]:
                steps = [t for t in range(5) if tokens[index, t] != PADDING]
                total += (1 - sum(float(decoded.weights[index, 0, t, position]) for t in steps)) ** 2
        penalties.append(total)
    with torch.no_grad():
        plain = decoder.cross_entropy(decoded.logits, tokens, 0.0)
        assert float(decoder.loss(read_from, tokens) - plain) == pytest.approx(0.5 * sum(penalties) / 5, rel=1e-4)


def test_the_loss_is_cross_entropy_of_real_numbers():
    decoder, read_from, tokens = head("gru"), memory(), texts()
    logs = decoder(read_from, tokens).detach().log_softmax(2)
    each = [-float(logs[b, t, tokens[b, t]]) for b in range(5) for t in range(5) if tokens[b, t] != PADDING]
    assert decoder.loss(read_from, tokens).item() == pytest.approx(sum(each) / len(each), rel=1e-5)


def torch_decoder(decoder) -> nn.TransformerDecoder:
    """torch's Transformer decoder with the weights of ours."""
    width = decoder.embedding.weight.shape[1]
    layer = nn.TransformerDecoderLayer(width, decoder.heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
    built = nn.TransformerDecoder(layer, len(decoder.layers), nn.LayerNorm(width)).eval()
    for theirs, ours in zip(built.layers, decoder.layers, strict=True):
        pairs = [(theirs.norm1, ours.norm1), (theirs.norm2, ours.norm2), (theirs.norm3, ours.norm3),
                 (theirs.linear1, ours.mlp[0]), (theirs.linear2, ours.mlp[3]),
                 (theirs.self_attn.out_proj, ours.own.project),
                 (theirs.multihead_attn.out_proj, ours.cross.project)]  # fmt: skip
        for one, other in pairs:
            one.load_state_dict(other.state_dict())
        for attention, own in ((theirs.self_attn, ours.own), (theirs.multihead_attn, ours.cross)):
            parts = attention.state_dict() | {
                name: torch.cat([getattr(own.query, part), getattr(own.key_value, part)])
                for name, part in (("in_proj_weight", "weight"), ("in_proj_bias", "bias"))
            }
            attention.load_state_dict(parts)
    built.norm.load_state_dict(decoder.norm.state_dict())
    return built


@pytest.mark.parametrize("case", ["transformer", "transformer-one-layer"])
def test_the_transformer_is_torchs(case):
    decoder, tokens = head(case), texts()
    values = torch.randn(5, 12, decoder.embedding.weight.shape[1])
    torch.manual_seed(0)
    from cv_attention.heads import TransformerDecoder

    heads, layers = decoder.heads, len(decoder.layers)
    ours = TransformerDecoder(values.shape[2], OUTPUTS, 4, GRID, layers=layers, heads=heads, position="none").eval()
    keep = memory().keep
    theirs = torch_decoder(ours)
    inputs = ours.inputs(tokens)
    embedded = ours.embedding(inputs) + ours.steps[:5]
    causal = nn.Transformer.generate_square_subsequent_mask(5)
    found = ours.output(theirs(embedded, values, tgt_mask=causal, tgt_is_causal=True, memory_key_padding_mask=~keep))
    assert_close(ours(Memory(values, GRID, keep), tokens), found, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("case", ["permuted", "permuted-two-layers"])
def test_no_step_sees_itself_or_what_comes_later(case):
    """In every order, and when a text is refined: exactly, by gradients with respect to the embeddings told."""
    decoder, one = head(case).double(), sample(memory(), 0)
    one = one._replace(values=one.values.double())
    tokens = torch.tensor([[1, 2, 3, 4, 5]])
    told = decoder.inputs(tokens)
    stacked, keep = decoder._stacked(one)
    orders = [*sample_orders(5, 7, device=tokens.device), None]
    for order in orders:
        embedded = decoder.embedding.weight[told].detach().requires_grad_()
        decoder.embedding.forward = lambda numbers, embedded=embedded: embedded
        cloze = order is None
        rank = torch.zeros(5, dtype=torch.int64) if cloze else order
        logits, _ = decoder._run(stacked, keep, told, rank, seen=False, cloze=cloze)
        for step in range(5):
            [gradient] = torch.autograd.grad(logits[0, step].square().sum(), embedded, retain_graph=True)
            seen = gradient[0].abs().sum(1) > 0
            for column in range(1, 5):  # the number that step column - 1 wrote
                writer = column - 1
                allowed = writer != step if cloze else bool(rank[writer] < rank[step])
                assert bool(seen[column]) == allowed, (order, step, column)


def test_orders_come_in_mirrored_pairs():
    torch.manual_seed(0)
    orders = sample_orders(6, 6, device=torch.device("cpu"))
    assert orders[0].tolist() == [0, 1, 2, 3, 4, 5]
    assert all((first + second == 5).all() for first, second in zip(orders[::2], orders[1::2], strict=True))
    assert all(sorted(order.tolist()) == list(range(6)) for order in orders)
    assert len({tuple(order.tolist()) for order in orders}) > 3
    assert len(sample_orders(1, 6, device=torch.device("cpu"))) == 1


def test_from_left_to_right_is_causal():
    rank = torch.arange(5)
    assert torch.equal(query_mask(rank), torch.ones(5, 5, dtype=torch.bool).tril())


def test_the_permuted_loss_is_the_mean_over_its_orders():
    decoder, read_from, tokens = head("permuted"), memory(), texts()
    torch.manual_seed(4)
    found = decoder.loss(read_from, tokens)
    torch.manual_seed(4)
    stacked, keep = decoder._stacked(read_from)
    each = []
    for order in sample_orders(5, 6, device=tokens.device):
        logits, _ = decoder._run(stacked, keep, decoder.inputs(tokens), order, seen=False)
        each.append(decoder.cross_entropy(logits, tokens, 0.0))
    assert_close(found, sum(each) / 6)


def test_refining_writes_each_number_from_all_others():
    """A text read in parallel is refined by the same text with one number hidden at a time."""
    decoder, read_from = head("permuted-parallel"), sample(memory(), 0)
    stacked, keep = decoder._stacked(read_from)
    first = decoder._run(
        stacked, keep, torch.tensor([[decoder.first, *[PADDING] * 4]]), torch.zeros(5, dtype=torch.int64), seen=False
    ).logits.argmax(2)
    numbers = first[0].tolist()
    numbers = numbers[: numbers.index(0)] if 0 in numbers else numbers
    free = decoder(read_from)
    for step in range(5):
        told = [decoder.first, *numbers[:4]]
        told += [PADDING] * (5 - len(told))
        if step + 1 < 5:
            told[step + 1] = PADDING  # hidden
        rank = torch.full((5,), 5)
        rank[:4] = 0  # all come before ...
        rank[step] = 6  # ... this one
        logits = decoder._run(stacked, keep, torch.tensor([told]), rank, seen=False).logits
        assert_close(free[0, step], logits[0, step], atol=1e-5, rtol=1e-5)


def collapsed(path):
    """What a path of numbers says: repeated ones once, without blanks."""
    return tuple(number for number, _ in itertools.groupby(path) if number != 0)


def test_prefix_search_finds_the_text_that_most_paths_say():
    """Against all paths through five columns of four numbers."""
    generator = torch.Generator().manual_seed(0)
    differ = 0
    for _ in range(20):
        logs = torch.randn(5, 4, generator=generator).log_softmax(1)
        totals: dict[tuple[int, ...], float] = {}
        for path in itertools.product(range(4), repeat=5):
            probability = math.exp(sum(float(logs[column, number]) for column, number in enumerate(path)))
            totals[collapsed(path)] = totals.get(collapsed(path), 0.0) + probability
        assert tuple(prefix_search(logs, beams=2000)) == max(totals, key=lambda text: totals[text])
        likeliest = max(
            itertools.product(range(4), repeat=5), key=lambda p: sum(float(logs[c, n]) for c, n in enumerate(p))
        )
        assert tuple(best_path(logs)) == collapsed(likeliest)
        differ += tuple(best_path(logs)) != tuple(prefix_search(logs, beams=2000))
    assert differ > 0  # the two searches are not the same


def test_ctc_says_how_likely_a_text_is():
    """The sum over a text's logarithms is that over all paths."""
    decoder, read_from = head("ctc"), sample(memory(), 1)
    logs = decoder(read_from).detach()[0, :4].log_softmax(1).double()  # the other columns are padding
    found = decoder.read(read_from)
    numbers = tuple(number for number in found.tokens[0].tolist() if number not in (0, PADDING))
    total = sum(
        math.exp(sum(float(logs[column, number]) for column, number in enumerate(path)))
        for path in itertools.product(range(OUTPUTS), repeat=4)
        if collapsed(path) == numbers
    )
    assert math.exp(float(found.log_probabilities.sum())) == pytest.approx(total, rel=1e-4)


@pytest.mark.parametrize("beams", [1, 2, 5])
def test_ctc_has_no_length_penalty_in_any_search(beams):
    decoder, read_from = head("ctc"), sample(memory(), 1)
    decoder.read(read_from, beams=beams, length_penalty=0.0)
    with pytest.raises(ValueError, match=r"ctc has no length penalty, got length_penalty=0\.5"):
        decoder.read(read_from, beams=beams, length_penalty=0.5)


def test_the_length_penalty_is_that_of_the_paper():
    """Of all texts of at most three numbers, the one with the largest score is returned."""
    decoder, read_from = head("gru", outputs=3, longest=2, seed=2), sample(memory(), 0)
    for penalty in (0.0, 1.0, 3.0):
        best, largest = None, -math.inf
        for numbers in itertools.product(range(3), repeat=3):
            text = numbers[: numbers.index(0) + 1] if 0 in numbers else numbers
            state, told, total = decoder.start(read_from), 3, 0.0
            for number in text:
                logits, state, _ = decoder.step(state, torch.tensor([told]))
                total, told = total + float(logits.detach().log_softmax(1)[0, number]), number
            value = total / ((5 + len(text)) / 6) ** penalty
            if value > largest:
                best, largest = list(text), value
        found = decoder.read(read_from, beams=27, length_penalty=penalty)
        assert [number for number in found.tokens[0].tolist() if number != 4] == best


class Tree:
    """A decoder that has other logits after every beginning of a text."""

    first, padding = 3, 4

    def __init__(self, seed):
        self.seed = seed

    def start(self, memory):
        return (torch.zeros(len(memory.values), dtype=torch.int64),)

    def step(self, state, token):
        codes = 5 * state[0] + token + 1
        logits = [
            2 * torch.randn(3, generator=torch.Generator().manual_seed(1000 * self.seed + c)) for c in codes.tolist()
        ]
        return torch.stack(logits), State(codes), None


class State(NamedTuple):
    codes: torch.Tensor


@pytest.mark.parametrize("penalty", [0.0, 0.5, 2.0])
def test_beam_search_finds_the_text_of_the_largest_score(penalty):
    """Against all texts of at most four numbers; a text that has ended keeps its length while others grow."""
    lengths = set()
    for seed in range(25):
        tree, scores = Tree(seed), {}
        for numbers in itertools.product(range(3), repeat=4):
            text = numbers[: numbers.index(0) + 1] if 0 in numbers else numbers
            state, told, total = (torch.zeros(1, dtype=torch.int64),), tree.first, 0.0
            for number in text:
                logits, state, _ = tree.step(state, torch.tensor([told]))
                total, told = total + float(logits.log_softmax(1)[0, number]), number
            scores[text] = total / ((5 + len(text)) / 6) ** penalty
        found = search(tree, Memory(torch.zeros(1, 1, 1)), steps=4, beams=81, length_penalty=penalty).tokens[0].tolist()
        best = max(scores, key=lambda text: scores[text])
        assert tuple(number for number in found if number != tree.padding) == best
        lengths.add(len(best))
    assert len(lengths) > 2


def test_drawn_vectors_learn_what_the_expectation_says():
    """REINFORCE's gradient, averaged over samples, is that of the expected reward, by enumeration of all positions."""
    decoder, one, tokens = head("lstm-reinforce").train(), sample(memory(), 1), torch.tensor([[2]])
    decoder.draw.entropy, count = 0.0, 6000
    scored = decoder.score.v
    state = decoder.start(one)
    scores = decoder.score(state.hidden[:, None], state.keys, state.grid).masked_fill(~one.keep[:, None], -torch.inf)
    probabilities = scores.softmax(-1)[0, 0]
    rewards = []
    for position in range(12):
        context = state.values[:, position]
        embedded = decoder.embedding(torch.tensor([decoder.first]))
        moved = decoder._moved(state, torch.cat([embedded, context], 1))
        logits = decoder.output(torch.cat([moved.hidden, context, embedded], 1))
        rewards.append(logits.log_softmax(1)[0, 2].detach())
    [expected] = torch.autograd.grad((probabilities * torch.stack(rewards)).sum(), scored)
    many = Memory(one.values.expand(count, -1, -1), one.grid, one.keep.expand(count, -1))
    torch.manual_seed(0)
    loss = decoder.loss(many, tokens.expand(count, -1))
    [found] = torch.autograd.grad(loss, scored)  # the cross-entropy has none: a sample is a constant
    assert_close(-found, expected, atol=0.03 * float(expected.abs().max()) + 1e-3, rtol=0.1)
