"""Operations of every kernel that torch may choose, against plain steps, or counts by hand where it cannot run here."""

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torch.utils import flop_counter

from cv_attention import blocks, plan
from cv_attention.backbones.tracing.flops import CountFlops
from tests.references.flops import plain_flops

B, HEADS, L, S, E, V = 2, 4, 6, 5, 8, 3
ATTENTION = 2 * B * HEADS * L * S * (E + V)
BACKWARD = 2 * B * HEADS * L * S * (3 * E + 2 * V)  # the weights again, then the gradients of all four factors


def counted(run, *inputs, **named):
    with torch.no_grad(), CountFlops() as counter:
        run(*inputs, **named)
    return counter.flops


def meta(*shape, dtype=torch.bfloat16):
    return torch.empty(shape, device="meta", dtype=dtype)


def stand_in(operator, *args):
    """Counts a kernel that this machine cannot run."""

    class Kernel:
        overloadpacket = operator

        def __call__(self, *args):
            return None

    counter = CountFlops()
    counter.__torch_dispatch__(Kernel(), (), args)
    return counter.flops


@pytest.fixture(params=["torch's", "none"])
def registry(request, monkeypatch):
    """Torch's own formulas of this version, or of a version that has none but for convolutions."""
    if request.param == "none":
        kept = {packet: f for packet, f in flop_counter.flop_registry.items() if "conv" in str(packet)}
        monkeypatch.setattr("cv_attention.blocks.flops._torchs_formulas", lambda: kept)


class Attend(nn.Module):
    """Attention whose operands hold a parameter's gradient, as in a model."""

    def __init__(self, **options):
        super().__init__()
        self.options, self.weight = options, nn.Parameter(torch.ones(1))

    def forward(self, q, k, v):
        return F.scaled_dot_product_attention(q * self.weight, k, v, **self.options)


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    ("options", "shapes"),
    [
        ({}, [(B, HEADS, L, E), (B, HEADS, S, E), (B, HEADS, S, E)]),
        ({}, [(B, HEADS, L, E), (B, HEADS, S, E), (B, HEADS, S, V)]),
        ({}, [(B, L, E), (B, S, E), (B, S, E)]),
        ({"is_causal": True}, [(B, HEADS, L, E)] * 3),
        ({"attn_mask": torch.zeros(L, S)}, [(B, HEADS, L, E), (B, HEADS, S, E), (B, HEADS, S, E)]),
        ({"enable_gqa": True}, [(B, HEADS, L, E), (B, 2, S, E), (B, 2, S, E)]),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention(options, shapes, dtype):
    operands = [torch.randn(shape, dtype=dtype) for shape in shapes]
    options = {k: v.to(dtype) if isinstance(v, torch.Tensor) else v for k, v in options.items()}
    model = Attend(**options).to(dtype)
    expected = plain_flops(model, *operands)
    assert counted(model, *operands) == expected > 0


def test_mhsa_in_a_plan():
    model = nn.Sequential(nn.Conv2d(3, 512, 1, bias=False), nn.ReLU())
    planned = plan(model, {"name": "mhsa", "heads": 4}, at="1", input_size=2)
    assert planned.added_flops == 8 * 4 * 512**2 + 4 * 4**2 * 512 == 8_421_376
    assert planned.added_flops == blocks.cost({"name": "mhsa", "heads": 4}, 512, 2, 2).products


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    ("make", "inputs"),
    [
        (lambda: nn.MultiheadAttention(16, 2, batch_first=True), [torch.randn(2, 7, 16)] * 3),
        (lambda: nn.TransformerEncoderLayer(16, 2, 24, batch_first=True), [torch.randn(2, 7, 16)]),
        (lambda: nn.TransformerEncoderLayer(16, 2, 24, batch_first=True, norm_first=True), [torch.randn(2, 7, 16)]),
        (lambda: torchvision.models.VisionTransformer(32, 16, 2, 2, 16, 32), [torch.randn(2, 3, 32, 32)]),
        (lambda: nn.GRU(8, 6, 2, bidirectional=True), [torch.randn(5, 2, 8)]),
        (lambda: nn.Conv2d(4, 8, 3, groups=2), [torch.randn(2, 4, 9, 9)]),
        (lambda: nn.ConvTranspose2d(4, 8, 3, stride=2), [torch.randn(2, 4, 9, 9)]),
    ],
)
def test_modules_with_kernels_of_their_own(make, inputs):
    model = make().eval()
    expected = plain_flops(model, *inputs)
    assert counted(model, *inputs) == expected > 0


@pytest.mark.filterwarnings("ignore:.*nested tensors is in prototype stage")
def test_tokens_of_padding_are_left_out():
    layer = nn.TransformerEncoderLayer(16, 2, 24, batch_first=True)
    model = nn.TransformerEncoder(layer, 1, enable_nested_tensor=True).eval()
    padding = torch.arange(7) >= torch.tensor([[7], [4]])
    images = torch.randn(2, 7, 16)
    expected = plain_flops(layer.eval(), images[:1]) + plain_flops(layer, images[1:, :4])
    assert counted(model, images, src_key_padding_mask=padding) == expected


@pytest.mark.parametrize(("layers", "directions"), [(1, 1), (2, 1), (2, 2)])
def test_lstm(layers, directions):
    model = nn.LSTM(8, 6, layers, bidirectional=directions == 2).eval()
    weights = sum(p.numel() for p in model.parameters() if p.dim() == 2)
    assert counted(model, torch.randn(5, 2, 8)) == 2 * 5 * 2 * weights
    assert plain_flops(model.to("meta"), torch.empty(5, 2, 8, device="meta")) == 2 * 5 * 2 * weights


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (lambda: torch.mm(torch.ones(2, 3), torch.ones(3, 5)), 2 * 2 * 3 * 5),
        (lambda: torch.addmm(torch.ones(5), torch.ones(2, 3), torch.ones(3, 5)), 2 * 2 * 3 * 5),
        (lambda: torch.bmm(torch.ones(4, 2, 3), torch.ones(4, 3, 5)), 2 * 4 * 2 * 3 * 5),
        (lambda: torch.baddbmm(torch.ones(5), torch.ones(4, 2, 3), torch.ones(4, 3, 5)), 2 * 4 * 2 * 3 * 5),
        (lambda: torch.addbmm(torch.ones(5), torch.ones(4, 2, 3), torch.ones(4, 3, 5)), 2 * 4 * 2 * 3 * 5),
        (lambda: torch.ones(2, 3) @ torch.ones(3), 2 * 2 * 3),
        (lambda: torch.addmv(torch.ones(2), torch.ones(2, 3), torch.ones(3)), 2 * 2 * 3),
        (lambda: torch.ones(3) @ torch.ones(3), 2 * 3),
        (lambda: F.bilinear(torch.ones(2, 3), torch.ones(2, 4), torch.ones(5, 3, 4)), 2 * 2 * 5 * (3 * 4 + 4)),
        (lambda: torch.einsum("bik,bkj->bij", torch.ones(4, 2, 3), torch.ones(4, 3, 5)), 2 * 4 * 2 * 3 * 5),
        (lambda: torch._int_mm(*(torch.ones(32, 32, dtype=torch.int8),) * 2), 2 * 32**3),
        (lambda: F.linear(torch.ones(2, 3), torch.ones(5, 3)), 2 * 2 * 3 * 5),
        # sampled at 7 × 7 positions, two groups of 2 → 3 channels
        (
            lambda: torchvision.ops.deform_conv2d(
                torch.ones(2, 4, 9, 9), torch.zeros(2, 18, 7, 7), torch.ones(6, 2, 3, 3)
            ),
            2 * 2 * 49 * 6 * 2 * 9,
        ),
    ],
)
def test_products(run, expected):
    assert counted(run) == expected


def test_models_made_in_inference_mode():
    with torch.inference_mode():
        assert counted(nn.Linear(3, 5), torch.ones(2, 3)) == 2 * 2 * 3 * 5


@pytest.mark.parametrize("name", ["flash_attention", "efficient_attention", "cudnn_attention"])
def test_attention_on_a_gpu(name):
    q, k = meta(B, HEADS, L, E), meta(B, HEADS, S, E)
    kernel = getattr(torch.ops.aten, f"_scaled_dot_product_{name}")
    options = {"flash_attention": (), "efficient_attention": (None, True), "cudnn_attention": (None, True)}[name]
    assert counted(kernel, q, k, k, *options) == 2 * B * HEADS * L * S * 2 * E


def test_attention_of_any_kernel():
    names = {name.split("::")[1].split(".")[0] for name in torch._C._dispatch_get_all_op_names()}
    kernels = {name for name in names if name.startswith("_scaled_dot_product_")}
    assert len(kernels) >= 9
    for name in kernels:
        operands = (meta(B, HEADS, L, E), meta(B, HEADS, S, E), meta(B, HEADS, S, V))
        args = (meta(B, HEADS, L, V), *operands) if name.endswith("_backward") else operands
        expected = BACKWARD if name.endswith("_backward") else ATTENTION
        assert stand_in(getattr(torch.ops.aten, name), *args) == expected, name


def test_backward_counts_as_torchs_registry_where_it_has_it():
    q = torch.randn(B, HEADS, L, E, requires_grad=True)
    with CountFlops() as counter:
        F.scaled_dot_product_attention(q, q, q).sum().backward()
    assert counter.flops == 2 * B * HEADS * L * L * 2 * E + 2 * B * HEADS * L * L * 5 * E


@pytest.mark.parametrize("name", ["aten._flash_attention_forward", "torch_attn._varlen_attn"])
def test_sequences_end_to_end(name):
    begins = torch.tensor([0, 2, 5, 9])
    q, v = meta(9, HEADS, E), meta(9, HEADS, V)

    def count(begins):
        return stand_in(name, q, q, v, begins, begins, 4, 4, 0.0, False)

    assert count(begins) == 2 * HEADS * (2 * 2 + 3 * 3 + 4 * 4) * (E + V)
    assert count(begins.to("meta")) == 2 * HEADS * 3 * 4 * 4 * (E + V)  # where no length is known, the longest


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_operators_of_higher_order():
    from torch.nn.attention.flex_attention import flex_attention

    q, k = torch.randn(1, 2, 128, 16), torch.randn(1, 2, 64, 16)
    with torch.compiler.set_stance("force_eager"):
        assert counted(flex_attention, q, k, k) == 4 * 2 * 128 * 64 * 16


@pytest.mark.parametrize("layer", [nn.Linear(8, 4), nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 4))])
@pytest.mark.filterwarnings("ignore:.*deprecated")
def test_quantised_layers_count_as_their_originals(layer):
    quantised = torch.ao.quantization.quantize_dynamic(layer.eval(), {nn.Linear})
    assert counted(quantised, torch.ones(3, 8)) == plain_flops(layer, torch.ones(3, 8))
