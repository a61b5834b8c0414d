"""What insertion does to a model, what it leaves alone, and that all of it can be undone."""

import copy
import io
import pickle
from functools import partial

import pytest
import torch
from torch import nn

from cv_attention.backbones import build, insert, plan, remove
from tests.quick import quick_only


class Squeeze(nn.Module):
    """SE as the paper has it, small enough to be seen through."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(channels // reduction, 1)
        self.fc1, self.fc2 = nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, channels, 1)

    def forward(self, x):
        return x * self.fc2(self.fc1(x.mean((2, 3), keepdim=True)).relu()).sigmoid()


class Batchwise(nn.Module):
    """A block with buffers, dropout and a last operation whose gradient needs its output."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(channels, channels, 3, 1, 1), nn.BatchNorm2d(channels)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        return self.drop(self.bn(self.conv(x))).sigmoid()


class Scale(nn.Module):
    def __init__(self, channels: int, factor: float = 2.0) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.full((1,), factor))

    def forward(self, x):
        return x * self.factor


class Unit(nn.Module):
    """A residual unit whose addition and activation work in place."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.act = nn.Conv2d(4, 4, 3, 1, 1), nn.BatchNorm2d(4), nn.ReLU(inplace=True)

    def forward(self, x):
        out = self.bn(self.conv(x))
        out += x
        return self.act(out)


def small(**options):
    torch.manual_seed(0)
    return build("resnet20", num_classes=4, width=8, **options)


def snapshot(model):
    """Everything about a model that planning and removal must leave as it was."""
    return {
        "modules": [(name, id(module)) for name, module in model.named_modules()],
        "values": {k: v.clone() for k, v in model.state_dict().items()},
        "ids": {k: id(v) for k, v in model.state_dict(keep_vars=True).items()},
        "training": [m.training for m in model.modules()],
        "grads": {k: None if p.grad is None else p.grad.clone() for k, p in model.named_parameters()},
        "requires_grad": [p.requires_grad for p in model.parameters()],
        "hooks": [
            (len(m._forward_hooks), len(m._forward_pre_hooks), len(m._load_state_dict_pre_hooks))
            for m in model.modules()
        ],
        "attributes": [sorted(vars(m)) for m in model.modules()],
        "random": torch.get_rng_state(),
    }


def assert_same(before, after):
    for key in before.keys() - {"values", "grads", "random"}:
        assert before[key] == after[key], key
    assert torch.equal(before["random"], after["random"])
    assert list(before["values"]) == list(after["values"])
    for key, value in before["values"].items():
        assert torch.equal(value, after["values"][key]), key
    for key, value in before["grads"].items():
        other = after["grads"][key]
        assert (value is None and other is None) or torch.equal(value, other), key


def used(model):
    """The model with mixed training flags, gradients and frozen weights, as one in the middle of training."""
    model(torch.randn(4, 3, 32, 32)).sum().backward()
    model.layer1.eval()
    model.bn1.requires_grad_(False)
    return model


class Restless(nn.Module):
    """Changes a buffer and draws random numbers in eval mode too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.register_buffer("calls", torch.zeros(1))
        self.register_buffer("last", torch.zeros(1))

    def forward(self, x):
        self.calls += 1
        self.last = torch.rand(1)
        return self.conv(x)


@pytest.mark.parametrize("at", ["residual", "stage", "layer2.*", ["layer1.0.bn2", "stage"]])
@pytest.mark.parametrize("init", ["plain", "identity"])
def test_plan_changes_nothing(at, init):
    model = used(small())
    before = snapshot(model)
    plan(model, Batchwise, at, init=init)
    assert_same(before, snapshot(model))


def test_plan_restores_even_restless_models():
    model = Restless()
    before = snapshot(model)
    plan(model, Squeeze, "conv")
    assert_same(before, snapshot(model))


@pytest.mark.parametrize("block", [Squeeze, Batchwise, Scale])
@pytest.mark.parametrize("at", ["residual", "stage"])
def test_insert_and_remove_restore_the_model(block, at):
    model = used(small())
    before, image = snapshot(model), torch.randn(2, 3, 32, 32)
    plain = model.eval()(image)
    model.train()
    model.layer1.eval()
    random = torch.get_rng_state()
    inserted = insert(model, block, at)
    assert torch.equal(torch.get_rng_state(), random)
    assert not torch.equal(copy.deepcopy(model).eval()(image), plain)
    for site in inserted.sites:
        assert model.get_submodule(site.block).training == model.get_submodule(site.name).training
    assert sorted(remove(model)) == sorted(site.block for site in inserted.sites)
    torch.set_rng_state(before["random"])
    assert_same(before, snapshot(model))
    assert torch.equal(model.eval()(image), plain)


@pytest.mark.parametrize("block", [Squeeze, Batchwise, partial(Scale, factor=3.0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_identity_changes_no_output(block, dtype):
    model, image = small().eval().to(dtype), torch.randn(2, 3, 32, 32, dtype=dtype)
    plain = model(image)
    insert(model, block, "residual", init="identity")
    insert(model, block, "stage", init="identity")
    assert torch.equal(model(image), plain)
    assert {p.dtype for p in model.parameters()} == {dtype}


def test_identity_learns():
    model = small().train()
    insert(model, Squeeze, init="identity")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    image = torch.randn(4, 3, 32, 32)
    for step in range(2):
        optimizer.zero_grad()
        model(image).square().sum().backward()
        block = model.layer2[1].bn2.attention
        assert block.alpha.grad.abs().min() > 0
        # While alpha is 0 the block itself gets no gradient; after one step it does.
        assert (block.block.fc2.bias.grad.abs().sum().item() > 0) == (step == 1)
        optimizer.step()
    assert block.alpha.abs().min() > 0


def test_identity_keeps_the_type_under_autocast():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3))
    insert(model, Squeeze, "0", init="identity", input_size=16)
    with torch.autocast("cpu", torch.bfloat16):
        assert model[0](torch.randn(1, 3, 8, 8)).dtype == torch.bfloat16


@pytest.mark.parametrize("block", [Squeeze, Batchwise])
@pytest.mark.parametrize("init", ["plain", "identity"])
def test_trains_before_additions_in_place(block, init):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), Unit(), Unit())
    inserted = insert(model, block, "residual", init=init, input_size=16)
    assert [site.name for site in inserted.sites] == ["1.bn", "2.bn"]
    model(torch.randn(2, 3, 16, 16)).square().sum().backward()
    reached = [p for n, p in model.named_parameters() if "attention" in n and p.grad is not None]
    assert any(p.grad.abs().sum() > 0 for p in reached)


def test_applies_the_block_to_the_hosts_output():
    model, image = small().eval(), torch.randn(1, 3, 32, 32)
    seen = {}
    insert(model, Squeeze, "layer2.0.bn2")
    host = model.layer2[0].bn2
    model.layer2[0].conv2.register_forward_hook(lambda m, a, out: seen.update(conv=out))
    host.register_forward_hook(lambda m, a, out: seen.update(host=out))
    model(image)
    torch.testing.assert_close(seen["host"], host.attention(host.forward(seen["conv"])))


def test_two_insertions_compose_in_order_and_go_one_by_one():
    model, x = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()), torch.randn(1, 3, 8, 8)
    before = snapshot(model)
    plain = model[0](x)
    insert(model, partial(Scale, factor=2.0), "0", input_size=8)
    second = insert(model, Shift, "0", input_size=8)
    assert second.sites[0].block == "0.attention_2"
    torch.testing.assert_close(model[0](x), 2 * plain + 5)
    assert remove(model, "attention") == ["0.attention"]
    torch.testing.assert_close(model[0](x), plain + 5)
    with pytest.raises(ValueError, match="'attention'; there are: attention_2"):
        remove(model, "attention")
    assert remove(model, second) == ["0.attention_2"]
    torch.set_rng_state(before["random"])
    assert_same(before, snapshot(model))
    assert remove(model) == []


class Shift(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.full((channels, 1, 1), 5.0))

    def forward(self, x):
        return x + self.shift


def test_second_residual_insertion_finds_the_same_hosts():
    model = small()
    first, second = insert(model, Squeeze), insert(model, Squeeze)
    assert [s.name for s in first.sites] == [s.name for s in second.sites]
    assert second.parameters == first.parameters + first.added_parameters


def test_vanilla_checkpoints_load_strictly():
    vanilla, model = small(), small()
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.5)
    insert(model, Squeeze)
    insert(model, Batchwise, "stage")
    blocks = {k: v.clone() for k, v in model.state_dict().items() if "attention" in k}
    result = model.load_state_dict(vanilla.state_dict(), strict=True)
    assert result.missing_keys == result.unexpected_keys == []
    for key, value in vanilla.state_dict().items():
        assert torch.equal(model.state_dict()[key], value)
    for key, value in blocks.items():
        assert torch.equal(model.state_dict()[key], value)
    assert set(vanilla.state_dict()) | set(blocks) == set(model.state_dict())


@pytest.mark.parametrize("assign", [False, True])
def test_vanilla_checkpoints_load_into_a_wrapper(assign):
    class Wrapper(nn.Module):
        def __init__(self, backbone):
            super().__init__()
            self.backbone = backbone

    state = Wrapper(small()).state_dict()
    model = Wrapper(small())
    insert(model.backbone, Squeeze, init="identity")
    alpha = model.backbone.layer1[0].bn2.attention.alpha
    assert model.load_state_dict(state, strict=True, assign=assign).missing_keys == []
    assert model.backbone.layer1[0].bn2.attention.alpha is alpha


def test_attended_checkpoints_load_strictly_into_an_attended_model():
    one, two = small(), small()
    insert(one, Squeeze, seed=1)
    insert(two, Squeeze, seed=2)
    key = "layer1.0.bn2.attention.fc1.weight"
    assert not torch.equal(one.state_dict()[key], two.state_dict()[key])
    two.load_state_dict(one.state_dict(), strict=True)
    assert torch.equal(one.state_dict()[key], two.state_dict()[key])


def test_partly_attended_checkpoints_and_others_are_refused():
    model = small()
    insert(model, Squeeze)
    state = model.state_dict()
    del state["layer1.0.bn2.attention.fc1.weight"]
    with pytest.raises(RuntimeError, match=r"Missing key.*layer1\.0\.bn2\.attention\.fc1\.weight"):
        model.load_state_dict(state)
    vanilla = small().state_dict()
    del vanilla["fc.bias"]
    with pytest.raises(RuntimeError, match=r"fc\.bias"):
        model.load_state_dict(vanilla)
    remove(model)
    with pytest.raises(RuntimeError, match="Unexpected key"):
        model.load_state_dict(state)


def test_same_backbone_whatever_block():
    torch.manual_seed(3)
    model = small()
    torch.manual_seed(5)
    insert(model, Squeeze)
    one = torch.rand(3)
    torch.manual_seed(5)
    insert(small(), Batchwise, "stage", init="identity")
    torch.manual_seed(5)
    assert torch.equal(one, torch.rand(3))


def test_seed_decides_the_blocks_weights():
    states = []
    for seed, noise in ((0, 1), (0, 2), (1, 1)):
        model = small()
        torch.manual_seed(noise)
        insert(model, Squeeze, seed=seed)
        states.append(model.layer1[0].bn2.attention.fc1.weight)
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])
    assert not torch.equal(model.layer1[0].bn2.attention.fc1.weight, model.layer1[1].bn2.attention.fc1.weight)


def test_copies_and_pickles():
    model, image = small().eval(), torch.randn(1, 3, 32, 32)
    insert(model, Squeeze)
    insert(model, Squeeze, "stage", init="identity")
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    copies = [
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        torch.load(file, weights_only=False),
    ]
    expected = model(image)
    with torch.no_grad():
        model.layer1[0].bn2.attention.fc2.bias.fill_(9.0)
    for other in copies:
        assert torch.equal(other(image), expected)
        other.load_state_dict(small().state_dict(), strict=True)
        remove(other)
        assert torch.equal(other(image), small().eval()(image))


@pytest.mark.parametrize("init", quick_only(["identity"], ["plain", "identity"]))
def test_compiles_in_one_graph(init):
    model, image = nn.Sequential(nn.Conv2d(3, 4, 3), Unit(), Unit()), torch.randn(2, 3, 9, 9)
    insert(model, Batchwise, "residual", init=init, input_size=16)
    insert(model, Squeeze, "**.bn", init=init, input_size=16)
    model.eval()
    expected = model(image)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(image), expected)
    compiled(image).sum().backward()
    assert model[1].bn.attention_2 is not None
    torch._dynamo.reset()


@pytest.mark.long
def test_exports():
    model, image = small().eval(), torch.randn(2, 3, 32, 32)
    insert(model, Squeeze, init="identity")
    program = torch.export.export(model, (image,))
    torch.testing.assert_close(program.module()(image), model(image))


def test_channels_last_is_kept():
    model = small().to(memory_format=torch.channels_last).eval()
    insert(model, Squeeze, init="identity")
    image = torch.randn(2, 3, 32, 32).to(memory_format=torch.channels_last)
    seen = []
    model.layer3[2].bn2.register_forward_hook(lambda m, a, out: seen.append(out))
    model(image)
    assert seen[0].is_contiguous(memory_format=torch.channels_last)


def test_distributed(tmp_path):
    torch.distributed.init_process_group("gloo", f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        model = small()
        insert(model, Squeeze)
        wrapped = nn.parallel.DistributedDataParallel(model)
        wrapped(torch.randn(2, 3, 32, 32)).sum().backward()
        assert model.layer1[0].bn2.attention.fc1.weight.grad is not None
        with pytest.raises(ValueError, match="before wrapping"):
            insert(wrapped, Squeeze)
    finally:
        torch.distributed.destroy_process_group()


def test_meta_models():
    with torch.device("meta"):
        model = small()
    inserted = insert(model, Squeeze)
    assert inserted.to_dict()["flops"] == plan(small(), Squeeze).flops
    assert {p.device.type for p in model.parameters()} == {"meta"}


def test_a_hundred_times_leaves_nothing_behind():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), Unit())
    before = snapshot(model)
    for _ in range(100):
        insert(model, Squeeze, "residual", input_size=8)
        remove(model)
    assert_same(before, snapshot(model))
