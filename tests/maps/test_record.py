"""record(): every map, by its name, from any wrapper, without a trace."""

import threading

import pytest
import torch
from torch import nn

from cv_attention.blocks.base import AttentionMap, Gate
from cv_attention.maps import RecordedMap, gate_statistics, record, rollout, to_heatmap


class Squeeze(Gate):
    kind = "channel"

    def __init__(self, channels):
        super().__init__()
        self.fc = nn.Conv2d(channels, channels, 1)

    def attention(self, x):
        return self.fc(x.mean((2, 3), keepdim=True)).sigmoid()


class Fused(nn.Module):
    """One-headed attention over positions that takes another path when somebody looks."""

    def __init__(self):
        super().__init__()
        self.map = AttentionMap("pairwise")
        self.paths = []

    def forward(self, x):
        q = x.flatten(2).transpose(1, 2)
        self.paths.append(self.map.observed)
        if not self.map.observed:
            return nn.functional.scaled_dot_product_attention(q, q, q).transpose(1, 2).view_as(x)
        attention = (q @ q.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1)
        self.map(attention.unflatten(2, x.shape[2:]).unsqueeze(1))
        return (attention @ q).transpose(1, 2).view_as(x)


def make():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), Squeeze(4), nn.ReLU(inplace=True), Squeeze(4))


X = torch.randn(2, 3, 6, 5, generator=torch.Generator().manual_seed(1))
NAMES = ["1.map", "3.map"]


def hooks(model):
    return [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]


def expected(model):
    """The maps, computed by hand."""
    x = model[0](X)
    first = model[1].attention(x)
    return [first, model[3].attention((x * first).relu())]


def test_records_each_map_and_leaves_nothing():
    model = make()
    before = hooks(model)
    with record(model) as maps:
        output = model(X)
    assert list(maps) == NAMES
    for recorded, values in zip(maps.values(), expected(model), strict=True):
        assert isinstance(recorded, RecordedMap)
        assert recorded.kind == "channel"
        assert not recorded.values.requires_grad
        torch.testing.assert_close(recorded.values, values.detach(), rtol=0, atol=0)
    assert hooks(model) == before
    torch.testing.assert_close(model(X), output, rtol=0, atol=0)


def test_fused_kernels_step_aside_only_meanwhile():
    model = Fused()
    plain = model(X)
    with record(model) as maps:
        looked = model(X)
    model(X)
    assert model.paths == [False, True, False]
    assert list(maps) == ["map"]
    torch.testing.assert_close(looked, plain)
    torch.testing.assert_close(maps["map"].values.sum((-2, -1)), torch.ones(2, 1, 30))


def test_latest_forward_wins():
    model = make()
    with record(model) as maps:
        model(torch.zeros(5, 3, 4, 4))
        model(X)
    torch.testing.assert_close(maps["1.map"].values, expected(model)[0].detach())


def test_only_moves_and_converts():
    model = make()
    with record(model, only="3.*", dtype=torch.float16, device="cpu") as maps:
        model(X)
    assert list(maps) == ["3.map"]
    assert maps["3.map"].values.dtype == torch.float16


def test_gradients_flow_on_request():
    model = make()
    with record(model, detach=False) as maps:
        model(X)
    maps["3.map"].values.sum().backward()
    assert model[0].weight.grad.abs().sum() > 0


def test_an_exception_passes_and_leaves_no_hook():
    model = make()
    before = hooks(model)
    with pytest.raises(RuntimeError, match="mine"), record(model):
        raise RuntimeError("mine")
    with pytest.raises(RuntimeError, match="channels"), record(model):
        model(torch.zeros(1, 7, 4, 4))
    assert hooks(model) == before


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients(mode):
    model = make()
    with mode(), record(model) as maps:
        model(X)
    torch.testing.assert_close(maps["3.map"].values, expected(model)[1].detach(), rtol=0, atol=0)


def test_other_models_are_not_looked_at():
    model = make()
    with record(model) as maps:
        make()(X)
        assert not maps
        model(X)
    assert list(maps) == NAMES


def test_nested_records_are_independent():
    model = make()
    with record(model) as outer:
        with record(model, only="1.map") as inner:
            model(X)
        assert list(inner) == ["1.map"]
        model(X[:1])
    assert [len(m.values) for m in (inner["1.map"], outer["1.map"])] == [2, 1]


def test_threads_record_their_own_forward():
    model, found = make(), {}
    barrier = threading.Barrier(2)

    def work(batch):
        with record(model) as maps:
            barrier.wait(10)
            for _ in range(20):
                model(X[:1].expand(batch, -1, -1, -1))
            barrier.wait(10)
        found[batch] = [len(m.values) for m in maps.values()]

    threads = [threading.Thread(target=work, args=(batch,)) for batch in (1, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {1: [1, 1], 3: [3, 3]}
    assert not any(hooks(model))


class Root(nn.Module):
    def __init__(self, child):
        super().__init__()
        self.child = child

    def forward(self, x):
        return self.child(x)


def compiled_before(model):
    compiled = torch.compile(model, backend="eager")
    compiled(X)  # its graph exists and knows no hooks
    return compiled, compiled


def compiled_in_place(model):
    model.compile(backend="eager")
    model(X)
    return model, model


def compiled_part(model):
    model = Root(model)
    model.child = torch.compile(model.child, backend="eager")
    model(X)
    return model, model


def compiled_function(model):
    function = torch.compile(lambda x: model(x), backend="eager")
    function(X)
    return model, function


def compiled_outer_recorded_inner(model):
    compiled = torch.compile(model, backend="eager")
    compiled(X)
    return model, compiled


@pytest.mark.parametrize(
    ("wrap", "names"),
    [
        (compiled_before, NAMES),
        (compiled_in_place, NAMES),
        (compiled_part, ["child." + name for name in NAMES]),
        (compiled_function, NAMES),
        (compiled_outer_recorded_inner, NAMES),
    ],
)
def test_compiled_models(wrap, names):
    torch.compiler.reset()
    calls = []
    model = make()
    values = expected(model)
    looked_at, run = wrap(model)
    plain = run(X)
    with record(looked_at) as maps:
        output = run(X)
    assert list(maps) == names
    torch.testing.assert_close(maps[names[1]].values, values[1].detach())
    torch.testing.assert_close(output, plain)
    # Afterwards compiled code is compiled again.
    check = torch.compile(lambda x: x + 1, backend=lambda graph, _: calls.append(1) or graph.forward)
    check(X)
    assert calls == [1]


def test_data_parallel_names_have_no_prefix():
    model = make()
    with record(nn.DataParallel(model)) as maps:
        nn.DataParallel(model)(X)
    assert list(maps) == NAMES


def test_distributed_data_parallel(tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1)
    try:
        model = nn.parallel.DistributedDataParallel(make())
        with record(model) as maps:
            model(X).sum().backward()
    finally:
        torch.distributed.destroy_process_group()
    assert list(maps) == NAMES


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda maps: maps["1.mop"], r"no map is called '1\.mop'; did you mean '1\.map'"),
        (lambda maps: to_heatmap(maps), r"take one, as in maps\['name'\]"),
        (lambda maps: to_heatmap(maps["1.map"].values), "a recorded map is needed.*got Tensor"),
        (lambda maps: gate_statistics(maps), r"take one, as in maps\['name'\]"),
        (lambda maps: rollout(["1.map"]), "a recorded map is needed.*got str"),
        (lambda maps: record("vit").__enter__(), "model must be a torch.nn.Module, built already, got 'vit'"),
        (lambda maps: record(make(), dtype="float16").__enter__(), "torch.float16, got 'float16'"),
    ],
)
def test_what_is_no_map_or_model_is_named(call, message):
    model = make()
    with record(model) as maps:
        model(X)
    with pytest.raises((ValueError, KeyError), match=message):
        call(maps)


def test_errors_say_what_to_do():
    with pytest.raises(ValueError, match=r"Conv2d has no attention map.*insert a block"), record(nn.Conv2d(3, 3, 1)):
        pass
    model = make()
    with (
        pytest.raises(ValueError, match=r"no attention map matches '1\.mop'; did you mean '1\.map'"),
        record(model, only="1.mop"),
    ):
        pass
    with (
        pytest.raises(ValueError, match=r"(?s)nothing was recorded.*1\.map \(AttentionMap\) did not run.*3\.map"),
        record(model),
    ):
        model[0](X)
    assert not any(hooks(model))
