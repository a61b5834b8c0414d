"""What every memory keeps to: safe numbers, episodes apart, strips equal to the whole, weights that are seen."""

import io

import pytest
import torch
from torch.testing import assert_close

from cv_attention import record
from cv_attention.heads import HEADS, MANN, RecallHead
from cv_attention.heads.memory import addressing
from cv_attention.heads.memory.recall import MEMORIES

CHANNELS, WAYS, STEPS = 6, 4, 7
CASES = {
    "ntm": {"memory": "ntm"},
    "ntm-linear": {"memory": "ntm", "controller": "linear", "shifts": 5, "read_heads": 2},
    "dnc": {"memory": "dnc"},
    "dnc-two-heads": {"memory": "dnc", "read_heads": 2, "controller": "linear"},
    "mann": {"memory": "mann"},
    "mann-rows": {"memory": "mann", "address": "paper", "read_heads": 2},
    "mann-said": {"memory": "mann", "write": "paper", "read_heads": 2},
    "mann-paper": {"memory": "mann", "write": "paper", "address": "paper", "strength": False, "read_heads": 2},
    "list": {"memory": "list"},
    "list-paper": {"memory": "list", "write": "paper", "address": "paper"},
    "none": {"memory": "none"},
}
WITH_MEMORY = [case for case in CASES if case != "none"]


def head(case, *, seed=0, **options):
    torch.manual_seed(seed)
    built = RecallHead(CHANNELS, WAYS, controller_width=8, slots=5, width=4, **{**CASES[case], **options})
    for parameter in built.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=1.5 * parameter.shape[1] ** -0.5)
    return built.eval()


def episodes(batch=3, steps=STEPS, *, seed=1):
    """Features, labels that arrive, which steps show an image, and which ask."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(batch, steps, CHANNELS, generator=generator)
    told = torch.randint(-1, WAYS, (batch, steps), generator=generator)
    told[:, 0] = -1
    shown = torch.rand(batch, steps, generator=generator) < 0.8
    return features, told, shown, ~shown


def test_every_memory_has_a_case():
    assert {options["memory"] for options in CASES.values()} == set(MEMORIES)
    assert HEADS["recall"].cls is RecallHead
    assert HEADS["recall"].family == "recall"


@pytest.mark.parametrize("case", CASES)
def test_episodes_are_apart(case):
    """An episode's logits depend neither on its neighbours nor on their order; one alone is like among others."""
    recall, given = head(case), episodes()
    logits = recall(*given)
    order = torch.tensor([2, 0, 1])
    assert_close(recall(*(each[order] for each in given)), logits[order])
    for index in range(3):
        alone = recall(*(each[index : index + 1] for each in given))
        assert_close(alone[0], logits[index], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_strips_equal_the_whole(case):
    recall, given = head(case), episodes()
    whole, last = recall.steps(*given)
    state, parts = None, []
    for start, end in ((0, 1), (1, 4), (4, STEPS)):
        part, state = recall.steps(*(each[:, start:end] for each in given), state)
        parts.append(part)
    assert_close(torch.cat(parts, 1), whole)
    flat = [torch.utils._pytree.tree_leaves(each) for each in (state, last)]
    assert len(flat[0]) == len(flat[1])
    for ours, theirs in zip(*flat, strict=True):
        assert_close(ours, theirs)


@pytest.mark.parametrize("case", CASES)
def test_steps_know_nothing_of_what_follows(case):
    recall, (features, told, shown, asked) = head(case), episodes()
    other = features.clone()
    other[:, 4:] = 9.0
    first, second = recall(features, told, shown, asked), recall(other, told, shown, asked)
    assert torch.equal(first[:, :4], second[:, :4])
    assert not torch.allclose(first[:, 4:], second[:, 4:])


@pytest.mark.parametrize("case", WITH_MEMORY)
def test_weights_are_seen_and_are_distributions(case):
    """All steps pass each map at once; recording changes nothing."""
    recall, given = head(case), episodes()
    plain = recall(*given)
    with record(recall) as maps:
        seen = recall(*given)
    assert torch.equal(plain, seen)
    read, write = maps["read"], maps["write"]
    slots = STEPS if case.startswith("list") else 5
    assert read.kind == write.kind == "alignment"
    assert read.values.shape == (3, CASES[case].get("read_heads", 1), STEPS, slots)
    assert (read.values >= 0).all()
    assert (write.values >= 0).all()
    sums = read.values.sum(3)
    if case.startswith(("ntm", "mann")):
        assert_close(sums, torch.ones_like(sums))
    assert (sums < 1 + 1e-5).all()
    assert (write.values.sum(3) < 1 + 1e-5).all()


@pytest.mark.parametrize("case", CASES)
def test_gradients(case):
    """By finite differences, in double precision, through two steps of one episode."""
    recall = head(case).double()
    features, told = torch.randn(1, 2, CHANNELS, dtype=torch.float64), torch.tensor([[-1, 2]])
    told[0, 0] = 0  # something is written in the first step too
    chosen = [parameter for parameter in recall.parameters() if parameter.ndim == 1]
    assert torch.autograd.gradcheck(
        lambda features, *_: recall(features, told), (features.requires_grad_(), *chosen), fast_mode=True
    )


@pytest.mark.parametrize("case", CASES)
def test_every_parameter_learns(case):
    recall, given = head(case).train(), episodes()
    recall(*given).square().sum().backward()
    assert [name for name, p in recall.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("case", CASES)
def test_long_episodes_with_extreme_numbers_stay_finite(case):
    """60 steps over 5 slots, features and parameters far out, zeros among them: no NaN, forward or backward."""
    recall = head(case)
    with torch.no_grad():
        for parameter in recall.parameters():
            parameter.mul_(30)
    features, told, shown, asked = episodes(2, 60)
    features[0, ::3] = 0
    features[1] *= 1e4
    logits = recall(features, told, shown, asked)
    logits.sum().backward()
    assert logits.isfinite().all()
    assert all(p.grad.isfinite().all() for p in recall.parameters())


@pytest.mark.parametrize("case", CASES)
def test_bfloat16_autocast_computes_weights_in_float32(case):
    recall, given = head(case), episodes()
    with torch.autocast("cpu", torch.bfloat16):
        narrow, state = recall.steps(given[0].bfloat16(), *given[1:])
    assert narrow.dtype == torch.float32
    assert case == "none" or state.memory.read.dtype == torch.float32
    assert_close(narrow, recall(given[0].bfloat16().float(), *given[1:]))
    assert state.before.dtype == torch.float32


def test_state_dict_round_trip():
    first, second = head("mann"), head("mann", seed=5)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second.load_state_dict(torch.load(file))
    assert torch.equal(first(*episodes()), second(*episodes()))


def test_no_batch_is_kept_on_modules():
    recall = head("dnc")
    before = {name: set(vars(module)) for name, module in recall.named_modules()}
    recall(*episodes())
    assert {name: set(vars(module)) for name, module in recall.named_modules()} == before
    assert not list(recall.buffers())


# safe numbers, function by function


def test_content_at_a_memory_of_zeros():
    memory, keys = torch.zeros(1, 4, 3, requires_grad=True), torch.zeros(1, 2, 3, requires_grad=True)
    weights = addressing.content(memory, keys, torch.full((1, 2), 50.0))
    assert_close(weights, torch.full((1, 2, 4), 0.25))
    weights[0, 0, 0].backward()
    assert memory.grad.isfinite().all()
    assert keys.grad.isfinite().all()


def test_sharpening_by_large_powers():
    """1e-3 to the power of 20 is 0 in single precision; its share of a sum is not 0 / 0."""
    weights = torch.tensor([[[1e-3, 1e-3, 2e-3, 0.0]]], requires_grad=True)
    sharp = addressing.sharpen(weights, torch.tensor([[40.0]]))
    assert_close(sharp, torch.tensor([[[0.0, 0.0, 1.0, 0.0]]]), atol=1e-6, rtol=0)
    sharp[0, 0, 2].backward()
    assert weights.grad.isfinite().all()
    assert_close(addressing.sharpen(weights, torch.tensor([[1.0]])), weights / weights.sum())


def test_equal_usages_are_taken_in_order():
    assert addressing.allocation(torch.zeros(1, 4)).argmax() == 0
    assert addressing.allocation(torch.full((1, 300), 0.5)).argmax() == 0
    assert addressing.least_used(torch.ones(1, 300), 3).argmax(2).tolist() == [[0, 1, 2]]
    full = addressing.allocation(torch.ones(1, 4, requires_grad=True))
    assert_close(full, torch.zeros(1, 4))


def test_shifts_go_around():
    weights = torch.eye(4)[None, :1]
    assert addressing.shift(weights, torch.tensor([[[0.0, 0.0, 1.0]]])).argmax() == 1
    assert addressing.shift(weights, torch.tensor([[[1.0, 0.0, 0.0]]])).argmax() == 3


def test_mann_fills_its_slots_one_after_the_other_and_then_the_least_recent():
    cell = MANN(2, CHANNELS, WAYS, slots=3, width=4, write="paper", address="paper")
    torch.nn.init.constant_(cell.gate.bias, -1e4)
    torch.nn.init.zeros_(cell.gate.weight)
    state, written = cell.start(1), []
    for _ in range(3):
        _, state = cell(torch.randn(1, 2), state)
        written.append(int(state.write.argmax()))
    assert sorted(written) == [0, 1, 2]
    least = int(state.used.argmin())
    _, state = cell(torch.randn(1, 2), state)
    assert int(state.write.argmax()) == least
    cell = MANN(2, CHANNELS, WAYS, slots=4, width=4, read_heads=2, write="paper", address="paper")
    torch.nn.init.constant_(cell.gate.bias, -1e4)
    torch.nn.init.zeros_(cell.gate.weight)
    full = cell.start(1)._replace(memory=torch.ones(1, 4, 4), used=torch.tensor([[4.0, 1.0, 3.0, 2.0]]))
    _, state = cell(torch.randn(1, 2), full)
    assert state.write.argmax(2).tolist() == [[1, 3]]  # one slot a head
    assert torch.equal(state.memory[0, [0, 2]], torch.ones(2, 4))  # both others are as they were
    assert not (state.memory[0, [1, 3]].abs() > 1).any()  # and both of these were zeroed before


@pytest.mark.parametrize(("options", "words"), [
    ({"slots": 0}, "slots must be a positive whole number, got slots=0"),
    ({"slots": -3}, "slots must be"),
    ({"slots": True}, "slots must be"),
    ({"width": 0}, "width must be"),
    ({"width": float("nan")}, "width must be a positive whole number, got width=nan"),
    ({"read_heads": 0}, "read_heads must be"),
    ({"read_heads": "2"}, "read_heads must be"),
    ({"slots": 2, "read_heads": 3}, "read_heads must be at most slots, got read_heads=3, slots=2"),
    ({"memory": "tape"}, "memory must be one of"),
    ({"memory": None}, "memory must be one of"),
    ({"controller": "gru"}, "controller must be one of"),
    ({"controller_width": 0}, "controller_width must be"),
    ({"memory": "ntm", "shifts": 2}, "shifts must be a positive odd number"),
    ({"write": "both"}, "write must be one of"),
    ({"address": "rows"}, "address must be one of"),
    ({"strength": 3}, "strength must be one of"),
    ({"features": "all"}, "features must be one of"),
    ({"naming": float("nan")}, r"naming must be in \[0, 1\), got naming=nan"),
    ({"naming": 1.0}, r"naming must be in"),
    ({"naming": "much"}, "naming must be a number"),
])  # fmt: skip
def test_mistakes(options, words):
    with pytest.raises(ValueError, match=words):
        RecallHead(CHANNELS, WAYS, **options)


@pytest.mark.parametrize(("features", "told", "words"), [
    (torch.zeros(1, 2, 5), torch.zeros(1, 2, dtype=torch.int64), r"features must be \(B, T, 6\)"),
    (torch.zeros(1, 2, 6), torch.zeros(1, 3, dtype=torch.int64), r"and \(1, 3\)"),
    (torch.zeros(1, 0, 6), torch.zeros(1, 0, dtype=torch.int64), "at least one step"),
    (torch.zeros(1, 1, 6), torch.tensor([[4]]), "told must be -1 or a label below 4, got 4 to 4"),
])  # fmt: skip
def test_inputs_that_do_not_fit(features, told, words):
    with pytest.raises(ValueError, match=words):
        head("mann")(features, told)


@pytest.mark.parametrize("case", CASES)
def test_one_image(case):
    assert head(case)(torch.randn(1, 1, CHANNELS), torch.tensor([[-1]])).isfinite().all()
