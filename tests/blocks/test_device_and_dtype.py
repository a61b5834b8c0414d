"""Blocks are created on the device and in the floating type asked for, with the same parameters and buffers."""

import pytest
import torch

from cv_attention.blocks import create, resolve
from tests.blocks.cases import DEFAULTS, OPTIONS_LONG, feature_map

every_case = pytest.mark.parametrize("case", OPTIONS_LONG, ids=str)
every_block = pytest.mark.parametrize("case", DEFAULTS, ids=str)


def tensors(block):
    """Every parameter and buffer by name, also those that are not saved."""
    return {**dict(block.named_parameters()), **dict(block.named_buffers())}


def described(block):
    return {name: (type(value), value.shape, value.dtype) for name, value in tensors(block).items()}


@every_case
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_dtype_is_that_of_every_parameter_and_buffer(case, dtype):
    torch.manual_seed(0)
    block = create(case.entry.name, case.channels, dtype=dtype, **dict(case.options))
    assert described(block) == described(case.build().to(dtype))
    x = feature_map(2, case.channels, 4, 5, dtype=dtype)
    assert block(x).dtype == dtype


@every_case
def test_meta_needs_no_memory_and_takes_a_checkpoint(case):
    meta = create(case.entry.name, case.channels, device="meta", dtype=torch.float64, **dict(case.options))
    assert all(value.is_meta for value in tensors(meta).values())
    x = torch.empty(2, case.channels, 4, 5, device="meta", dtype=torch.float64)
    assert meta.eval()(x).shape == x.shape
    trained = case.build_trained().double()
    buffers = {name for name, _ in trained.named_buffers()}
    loaded = meta.to_empty(device="cpu")
    loaded.load_state_dict(trained.state_dict())
    for name in buffers - trained.state_dict().keys():  # what no checkpoint holds
        loaded.get_buffer(name).copy_(trained.get_buffer(name))
    x = feature_map(2, case.channels, 4, 5, dtype=torch.float64)
    assert torch.equal(loaded(x), trained(x))


@every_case
def test_the_defaults_follow_torchs(case):
    torch.set_default_dtype(torch.float64)
    try:
        block = case.build()
    finally:
        torch.set_default_dtype(torch.float32)
    assert described(block) == described(case.build().double())
    with torch.device("meta"):
        assert all(value.is_meta for value in tensors(case.build()).values())


@every_block
def test_float32_on_the_processor_draws_the_same_numbers_as_the_default(case):
    expected = case.build().state_dict()
    torch.manual_seed(0)
    state = create(case.entry.name, case.channels, device="cpu", dtype=torch.float32).state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in state.items())


@pytest.mark.parametrize(
    "spec",
    [{"name": "se", "dtype": "float64"}, {"class_path": "cv_attention.blocks.CBAM", "init_args": {"device": "cuda"}}],
    ids=str,
)
def test_configurations_do_not_choose_them(spec):
    with pytest.raises(ValueError, match=r"(device|dtype) is not an option; a block takes the .* it is inserted at"):
        resolve(spec)
