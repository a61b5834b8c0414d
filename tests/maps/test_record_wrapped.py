"""record() on models in wrappers, off fast paths, in threads; and what it says when there is nothing to see."""

import threading

import pytest
import timm
import torch
from torch import nn

from cv_attention.maps import record

torch.manual_seed(0)
IMAGES = torch.randn(2, 3, 64, 64)
NAMES = ["blocks.0.attn", "blocks.1.attn"]


def vit():
    torch.manual_seed(0)
    return timm.create_model("vit_tiny_patch16_224", img_size=64, depth=2).eval()


def recorded(model, run=None):
    with torch.no_grad(), record(model) as maps:
        (run or model)(IMAGES)
    return maps


@pytest.fixture(scope="module")
def plain():
    return recorded(vit())


@pytest.fixture
def process_group(tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def check_same(maps, plain):
    assert list(maps) == NAMES
    for name in NAMES:
        assert (maps[name].kind, maps[name].prefix) == ("pairwise", 1)
        torch.testing.assert_close(maps[name].tokens, plain[name].tokens)


def test_fully_shard(plain, process_group):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    model, mesh = vit(), init_device_mesh("cpu", (1,))
    for block in model.blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    check_same(recorded(model), plain)
    with record(model, detach=False) as maps:
        output = model(IMAGES)
    # parameters come back for backward where it enters a unit by its output
    (maps[NAMES[1]].values.square().sum() + 0 * output.sum()).backward()
    assert model.blocks[0].attn.qkv.weight.grad.full_tensor().abs().sum() > 0


def test_distributed_data_parallel(plain, process_group):
    check_same(recorded(nn.parallel.DistributedDataParallel(vit())), plain)


def test_compiled(plain):
    torch.compiler.reset()
    compiled = torch.compile(vit(), backend="eager")
    compiled(IMAGES)
    check_same(recorded(compiled), plain)
    in_place = vit()
    in_place.compile(backend="eager")
    in_place(IMAGES)
    check_same(recorded(in_place), plain)


def test_checkpointed_activations(plain):
    model = vit()
    model.set_grad_checkpointing()
    with record(model) as maps:
        model.train()(IMAGES).sum().backward()
    check_same(maps, plain)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_autocast(plain, half):
    with torch.autocast("cpu", half):
        maps = recorded(vit())
    for name in NAMES:
        torch.testing.assert_close(maps[name].tokens.float(), plain[name].tokens, rtol=0.1, atol=0.01)


def test_two_threads_see_their_own_images(plain):
    model, found, barrier = vit(), {}, threading.Barrier(2)

    def work(number):
        with torch.no_grad(), record(model) as maps:
            barrier.wait(30)
            for _ in range(5):
                model(IMAGES[number : number + 1])
            barrier.wait(30)
        found[number] = maps

    threads = [threading.Thread(target=work, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, maps in found.items():
        torch.testing.assert_close(maps[NAMES[1]].tokens, plain[NAMES[1]].tokens[number : number + 1])


def test_nested_records_see_the_same(plain):
    model = vit()
    with torch.no_grad(), record(model) as outer, record(model, only="blocks.1.*", dtype=torch.float64) as inner:
        model(IMAGES)
    check_same(outer, plain)
    assert list(inner) == NAMES[1:]
    torch.testing.assert_close(inner[NAMES[1]].tokens, plain[NAMES[1]].tokens.double())


def test_an_exception_inside_attention_leaves_nothing():
    def fail(*_):
        raise RuntimeError("mine")

    model = vit()
    hook = model.blocks[1].attn.proj.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="mine"), record(model):
        model(IMAGES)
    hook.remove()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    with record(model) as maps:
        model(IMAGES)
    assert list(maps) == NAMES


@pytest.mark.parametrize("padded", [False, True])
def test_transformer_encoders_leave_their_fast_path(padded):
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.TransformerEncoder(layer, 2).eval()
    words = torch.randn(2, 5, 8)
    mask = torch.tensor([[False] * 5, [False] * 3 + [True] * 2]) if padded else None
    with torch.no_grad():
        with record(model) as maps:
            model(words, src_key_padding_mask=mask)
        first = model.layers[0].self_attn
        weights = first(words, words, words, key_padding_mask=mask, average_attn_weights=False)[1]
    assert list(maps) == ["layers.0.self_attn", "layers.1.self_attn"]
    torch.testing.assert_close(maps["layers.0.self_attn"].values, weights)


def test_maps_print_as_a_table():
    maps = recorded(vit())
    lines = repr(maps).splitlines()
    assert lines[0].split() == ["map", "kind", "shape", "range"]
    assert lines[1].split()[:3] == ["blocks.0.attn", "pairwise", "2x3x16x4x4"]
    assert lines[1].endswith("prefix 1")
    one = repr(maps["blocks.0.attn"])
    assert one.startswith("RecordedMap(pairwise, (2, 3, 16, 4, 4), 0.")
    assert "tensor" not in one + repr(maps)


def test_memory_options(plain):
    model = vit()
    with torch.no_grad(), record(model, only="*.1.attn", device="cpu", dtype=torch.float16) as maps:
        model(IMAGES)
    (found,) = maps.values()
    assert found.values.dtype == found.tokens.dtype == torch.float16
    assert found.values.data_ptr() != found.tokens.data_ptr()
    assert found.values.untyped_storage().data_ptr() == found.tokens.untyped_storage().data_ptr()  # kept once
    torch.testing.assert_close(found.tokens.float(), plain[NAMES[1]].tokens, rtol=1e-3, atol=1e-3)


class HiddenAttention(nn.Module):
    """Its kernel shows nothing."""

    def forward(self, x):
        return x


class GateAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = HiddenAttention()
        self.other = timm.layers.SEModule(4, rd_channels=2)

    def forward(self, x, gated=False):
        return self.other(x) if gated else self.inner(x)


def in_another_thread(model, x):
    thread = threading.Thread(target=model, args=(x,), kwargs={"gated": True})
    thread.start()
    thread.join()


def test_nothing_recorded_says_of_each_module_why():
    model, x = GateAttention(), torch.randn(1, 4, 3, 3)
    message = r"(?s)inner \(HiddenAttention\) ran neither a softmax.*sdpa.*other \(SEModule\) did not run"
    with pytest.raises(ValueError, match=message), record(model):
        model(x)
    with pytest.raises(ValueError, match="another thread"), record(model):
        in_another_thread(model, x)
    with record(model) as maps:
        model(x, gated=True)
    assert list(maps) == ["other"]
