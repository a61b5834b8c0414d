"""What every head keeps to: reading is writing what it read, samples are apart, padding is never seen."""

import copy
import io
import itertools
import math

import pytest
import torch
from torch.testing import assert_close

from cv_attention import record
from cv_attention.heads import Memory, text_heads
from tests.heads.cases import ATTENDING, CASES, PADDING, SEARCHED, STEPS, STEPWISE, head, memory, sample, texts
from tests.quick import quick_only

FIRST = [case for case in SEARCHED if case.count("-") == 0 or case in ("gru-local", "gru-concat-gate", "gru-mean")]


def test_every_head_has_a_case():
    assert {name for name, _ in CASES.values()} == set(text_heads())


@pytest.mark.parametrize("case", STEPWISE)
def test_reading_is_writing_what_was_read(case):
    """Free running on its own output equals being told the same numbers, step for step."""
    lengths = set()
    for seed in range(8):
        decoder, read_from = head(case, seed=seed), memory(seed=seed)
        found = decoder.read(read_from)
        logs = decoder(read_from, found.tokens).log_softmax(2)
        real = found.tokens != PADDING
        told = logs.gather(2, found.tokens.masked_fill(~real, 0)[..., None])[..., 0]
        assert_close(told[real], found.log_probabilities[real])
        lengths |= set(real.sum(1).tolist())
    assert len(lengths) > 1


@pytest.mark.parametrize("case", SEARCHED)
def test_free_logits_name_the_text_that_is_read(case):
    decoder, read_from = head(case), memory()
    found, free = decoder.read(read_from), decoder(read_from).argmax(2)
    for numbers, chosen in zip(found.tokens.tolist(), free.tolist(), strict=True):
        length = numbers.index(0) + 1 if 0 in numbers else len(numbers)
        assert chosen[:length] == numbers[:length]


@pytest.mark.parametrize("case", STEPWISE)
def test_a_step_is_told_nothing_of_what_follows(case):
    decoder, read_from, tokens = head(case), memory(), texts()
    changed = tokens.clone()
    changed[0, 2:4] = torch.tensor([1, 5])
    first, second = decoder(read_from, tokens)[0], decoder(read_from, changed)[0]
    assert torch.equal(first[:3], second[:3])
    assert not torch.allclose(first[3:], second[3:])


@pytest.mark.parametrize("case", CASES)
def test_samples_are_apart(case):
    """A sample's reading depends neither on its neighbours nor on their order."""
    decoder, read_from = head(case), memory()
    found, logits = decoder.read(read_from), decoder(read_from)
    order = torch.tensor([3, 1, 4, 0, 2])
    shuffled = Memory(read_from.values[order], read_from.grid, read_from.keep[order])
    assert_close(decoder(shuffled), logits[order])
    for index in range(5):
        alone = decoder.read(sample(read_from, index))
        length = alone.tokens.shape[1]
        assert torch.equal(alone.tokens[0], found.tokens[index, :length])
        assert (found.tokens[index, length:] == PADDING).all()
        assert_close(alone.log_probabilities[0], found.log_probabilities[index, :length], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_padding_is_never_seen(case):
    """What lies in the padding of a memory, and how much there is of it, changes nothing."""
    decoder, read_from, tokens = head(case), memory(), texts()
    if case.startswith("permuted"):
        decoder.orders = 2  # others are random
    other = read_from.values.clone()
    other[~read_from.keep] = 1e4
    padded = Memory(other, read_from.grid, read_from.keep)
    assert torch.equal(decoder.read(padded).tokens, decoder.read(read_from).tokens)
    assert_close(decoder(padded, tokens), decoder(read_from, tokens))
    assert_close(decoder.loss(padded, tokens), decoder.loss(read_from, tokens))


@pytest.mark.parametrize("case", [case for case in CASES if CASES[case][1].get("position") != "learned"])
def test_more_padding_changes_nothing(case):
    decoder, read_from = head(case), memory()
    rows, columns = read_from.grid
    values, keep = read_from.values.unflatten(1, read_from.grid), read_from.keep.unflatten(1, read_from.grid)
    wider = torch.cat([values, torch.full_like(values[:, :, :3], 7.0)], 2).flatten(1, 2)
    kept = torch.cat([keep, torch.zeros_like(keep[:, :, :3])], 2).flatten(1, 2)
    if case == "gru-local":
        pytest.skip("its centre is a share of the width of the map")
    longer = decoder.read(Memory(wider, (rows, columns + 3), kept))
    found = decoder.read(read_from)
    assert torch.equal(longer.tokens, found.tokens)
    assert_close(longer.log_probabilities, found.log_probabilities)


@pytest.mark.parametrize("case", STEPS)
def test_what_follows_the_end_teaches_nothing(case):
    """The gradient of every logit behind the end is exactly zero, and that of those before is not."""
    decoder, read_from, tokens = head(case), memory(), texts()
    logits = decoder(read_from, tokens).detach().requires_grad_()
    decoder.cross_entropy(logits, tokens, 0.1).backward()
    moved = logits.grad.abs().sum(2)
    assert (moved[tokens == PADDING] == 0).all()
    assert (moved[tokens != PADDING] > 0).all()


@pytest.mark.parametrize("case", CASES)
def test_padding_of_texts_teaches_nothing(case):
    decoder, read_from, tokens = head(case), memory(), texts()
    shorter = tokens[1:2]
    one = sample(read_from, 1)
    torch.manual_seed(3)
    expected = decoder.loss(one, shorter[:, :2])
    if case.startswith("permuted"):  # the orders of more steps are others
        decoder.orders = 1
        expected = decoder.loss(one, shorter[:, :2])
    assert_close(decoder.loss(one, shorter), expected)


@pytest.mark.parametrize("case", CASES)
def test_the_loss_is_the_mean_over_numbers(case):
    """Of all samples together, each number weighs the same: not each sample."""
    decoder, read_from, tokens = head(case), memory(), texts()
    if case.startswith("permuted"):
        decoder.orders = 1
    if case == "gru-coverage" or case.startswith("ctc"):
        pytest.skip("has a loss of samples")
    counts = (tokens != PADDING).sum(1)
    each = [decoder.loss(sample(read_from, index), tokens[index : index + 1]) for index in range(5)]
    assert_close(decoder.loss(read_from, tokens), (torch.stack(each) * counts).sum() / counts.sum())


@pytest.mark.parametrize("case", quick_only(FIRST, SEARCHED))
def test_all_beams_find_the_likeliest_text(case):
    """With as many beams as there are texts, search is enumeration."""
    decoder, read_from = head(case, outputs=3, longest=3, seed=2), memory(2)
    found = decoder.read(read_from, beams=3**4)
    for index in range(2):
        best, score = _enumerated(decoder, sample(read_from, index))
        numbers = [number for number in found.tokens[index].tolist() if number != 4]
        assert numbers == best
        assert math.isclose(found.log_probabilities[index].sum().item(), score, abs_tol=1e-4)


def _enumerated(decoder, read_from):
    """Tries every text of at most four numbers, told step by step."""
    best, score = None, -math.inf
    for numbers in itertools.product(range(3), repeat=4):
        text = list(numbers[: numbers.index(0) + 1] if 0 in numbers else numbers)
        state, told, total = decoder.start(read_from), decoder.first, 0.0
        for number in text:
            logits, state, _ = decoder.step(state, torch.tensor([told]))
            total, told = total + float(logits.detach().log_softmax(1)[0, number]), number
        if total > score:
            best, score = text, total
    return best, score


@pytest.mark.parametrize("case", [case for case in ATTENDING if case in STEPWISE])
def test_beams_keep_their_own_weights(case):
    """The weights returned are those of the text returned, as told step by step."""
    decoder, read_from = head(case), memory()
    found = decoder.read(read_from, beams=4)
    with record(decoder) as maps:
        decoder(read_from, found.tokens)
    told = maps["map"].values.flatten(3)
    real = (found.tokens != PADDING)[:, None, :, None].expand_as(told)
    assert_close(found.weights[real], told[real])
    assert not found.weights[~real].any()


@pytest.mark.parametrize("case", ATTENDING)
def test_weights_sum_to_one_over_what_is_no_padding(case):
    decoder, read_from = head(case), memory()
    with record(decoder) as maps:
        found = decoder.read(read_from)
    weights = maps["map"].values.flatten(3)
    assert maps["map"].kind == "pairwise"
    assert torch.equal(weights, found.weights)
    real = found.tokens != PADDING
    sums = weights.sum(3).transpose(1, 2)
    assert_close(sums[real], torch.ones_like(sums[real]))
    assert not weights[~read_from.keep[:, None, None].expand_as(weights)].any()


@pytest.mark.parametrize("case", ATTENDING)
def test_recording_changes_nothing(case):
    decoder, read_from, tokens = head(case), memory(), texts()
    plain = decoder.read(read_from), decoder(read_from, tokens)
    with record(decoder):
        seen = decoder.read(read_from), decoder(read_from, tokens)
    assert torch.equal(plain[0].tokens, seen[0].tokens)
    assert_close(plain[1], seen[1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_every_parameter_learns(case):
    decoder, read_from, tokens = head(case).train(), memory(), texts()
    torch.manual_seed(0)  # of draws
    decoder.loss(read_from, tokens).backward()
    still = [name for name, parameter in decoder.named_parameters() if parameter.grad is None]
    still += [name for name, parameter in decoder.named_parameters() if not parameter.grad.any()]
    assert still == []


@pytest.mark.parametrize("case", CASES)
def test_state_dict_round_trip(case):
    first, second = head(case), head(case, seed=5)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second.load_state_dict(torch.load(file))
    assert torch.equal(first(memory()), second(memory()))
    assert torch.equal(copy.deepcopy(first)(memory()), first(memory()))


@pytest.mark.parametrize("case", CASES)
def test_bfloat16_autocast(case):
    decoder, read_from, tokens = head(case), memory(), texts()
    exact = decoder(read_from, tokens)
    with torch.autocast("cpu", torch.bfloat16):
        narrow, loss = decoder(read_from, tokens), decoder.loss(read_from, tokens)
        found = decoder.read(read_from)
    assert_close(narrow.float(), exact, atol=0.5, rtol=0.1)
    assert loss.isfinite()
    assert found.tokens.shape[0] == 5


@pytest.mark.parametrize("case", CASES)
def test_a_sample_of_padding_alone_is_named(case):
    read_from = memory()
    read_from.keep[3] = False
    with pytest.raises(ValueError, match="all vectors of sample 3 are padding"):
        head(case).read(read_from)


@pytest.mark.parametrize("case", CASES)
def test_one_sample_and_one_step(case):
    decoder = head(case)
    one = sample(memory(), 0)
    assert decoder(one, torch.tensor([[0]])).shape[0] == 1
    assert decoder.loss(one, torch.tensor([[0]])).isfinite()


@pytest.mark.parametrize("case", CASES)
def test_wrong_numbers_of_beams_are_refused(case):
    for beams in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="beams"):
            head(case).read(memory(), beams=beams)
