"""Attended models in the hands of torch's and timm's tools: each on one model with blocks at every kind of place."""

import copy
import warnings

import pytest
import torch
from torch import nn

from cv_attention.backbones import build, insert, plan, remove
from cv_attention.backbones.models.cifar_resnet import CifarResNet
from tests.quick import quick_first


def small():
    torch.manual_seed(0)
    return CifarResNet((1, 2, 2), num_classes=4, width=8).eval()


def attended():
    """A small ResNet with a block after, before, parallel to and instead of a host."""
    model = small()
    insert(model, "cbam", init="identity")
    insert(model, {"pre:0": "eca", "identity:1": "se", "post:1": "simam", "replace:layer3.1.conv1": "mhsa"})
    return model


def image(batch=2):
    return torch.randn(batch, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def process_group(tmp_path):
    torch.distributed.init_process_group("gloo", f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.long
@pytest.mark.parametrize("strict", [False, True])
def test_export(strict):
    model, x = attended(), image()
    program = torch.export.export(model, (x,), strict=strict)
    torch.testing.assert_close(program.module()(x), model(x))


@pytest.mark.long
def test_onnx(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    model, x = attended(), image()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter calls what torch deprecates
        program = torch.onnx.export(model, (x,), dynamo=True, verbose=False)
    program.save(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    torch.testing.assert_close(torch.from_numpy(output), model(x), rtol=1e-3, atol=1e-4)


@pytest.mark.long
def test_compile_in_one_graph():
    model, x = attended(), image()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), model(x))
    compiled(x).sum().backward()
    assert model.layer2[1].attention_2.reduce.weight.grad is not None
    torch._dynamo.reset()


def test_ema():
    from timm.utils import ModelEmaV3

    model = attended()
    ema = ModelEmaV3(model, decay=0.5)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    ema.update(model)
    for key, value in ema.module.state_dict().items():
        if value.is_floating_point() and key in dict(model.named_parameters()):
            torch.testing.assert_close(value, before[key] + 0.5)
    remove(ema.module)
    assert list(ema.module.state_dict()) == list(small().state_dict())


def test_timm_parameter_groups():
    from timm.optim import create_optimizer_v2
    from timm.optim._param_groups import param_groups_weight_decay

    model = attended()
    optimizer = create_optimizer_v2(model, opt="adamw", lr=1e-2, weight_decay=0.1)
    grouped = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters())
    decays = {id(p): group["weight_decay"] for group in param_groups_weight_decay(model, 0.1) for p in group["params"]}
    block = model.layer2[0].bn2.attention
    assert decays[id(block.block.spatial.norm.weight)] == 0  # one axis
    assert decays[id(model.layer2[1].attention_2.reduce.weight)] == 0.1
    assert decays[id(model.layer2[1].attention_2.reduce.bias)] == 0
    model.train()(image(4)).square().sum().backward()
    optimizer.step()
    assert block.block.expand.weight.abs().max() > 0


def test_timm_layer_decay():
    from timm.optim import create_optimizer_v2

    model = build("timm/resnet18", num_classes=4)
    insert(model, "se", input_size=64)
    optimizer = create_optimizer_v2(model, opt="sgd", lr=1.0, layer_decay=0.5)
    scale = {id(p): group["lr_scale"] for group in optimizer.param_groups for p in group["params"]}
    names = dict(model.named_parameters())
    assert len(scale) == len(names)
    for layer in ("layer1.0", "layer4.1"):  # a block learns at the rate of the layer in which it is
        ours, theirs = names[f"{layer}.bn2.attention.reduce.weight"], names[f"{layer}.conv2.weight"]
        assert scale[id(ours)] == scale[id(theirs)]


def test_fully_shard(process_group):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    model, x = attended(), image(4)
    expected = model(x)
    mesh = init_device_mesh("cpu", (1,))
    for layer in (model.layer1, model.layer2, model.layer3):
        for unit in layer:
            fully_shard(unit, mesh=mesh)
    fully_shard(model, mesh=mesh)
    output = model(x)
    torch.testing.assert_close(output, expected)
    output.square().sum().backward()
    for name, parameter in model.named_parameters():
        if "attention.block.expand" in name or "attention_2" in name:
            assert parameter.grad is not None, name
    torch.optim.SGD(model.parameters(), lr=0.1).step()


def test_distributed_data_parallel(process_group):
    model, x = attended().train(), image(4)
    single = copy.deepcopy(model)
    wrapped = nn.parallel.DistributedDataParallel(model)
    wrapped(x).square().sum().backward()
    single(x).square().sum().backward()
    for (name, one), two in zip(model.named_parameters(), single.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, msg=name)


def test_checkpointed_activations():
    from torch.utils.checkpoint import checkpoint

    model, x = attended(), image()
    model(x).sum().backward()
    plain = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    y = model.act1(model.bn1(model.conv1(x)))
    for layer in (model.layer1, model.layer2, model.layer3):
        for unit in layer:
            y = checkpoint(unit, y, use_reentrant=False)
    model.fc(y.mean((2, 3))).sum().backward()
    for parameter, gradient in zip(model.parameters(), plain, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_threads():
    from concurrent.futures import ThreadPoolExecutor

    model = attended()
    images = [torch.randn(1, 3, 32, 32) for _ in range(8)]
    with torch.no_grad():
        expected = [model(x) for x in images]
        with ThreadPoolExecutor(4) as pool:
            for one, two in zip(pool.map(torch.no_grad()(model), images), expected, strict=True):
                torch.testing.assert_close(one, two)


@pytest.mark.parametrize("block", ["se", "simam", "vit", "lka"])
@pytest.mark.parametrize("at", quick_first(["residual", "identity", "replace:-1"]))
def test_plans_under_the_meta_device(block, at):
    expected = plan(build("resnet20", num_classes=4), block, at).to_dict()
    with torch.device("meta"):
        assert plan(build("resnet20", num_classes=4), block, at).to_dict() == expected
        model = build("resnet20", num_classes=4)
        insert(model, block, at)
    assert {p.device.type for p in model.parameters()} == {"meta"}
    model.to_empty(device="cpu")
    remove(model)
    model.load_state_dict(build("resnet20", num_classes=4).state_dict(), strict=True)
    assert {p.device.type for p in model.parameters()} == {"cpu"}


def test_plans_a_real_model_under_the_meta_device():
    model, x = build("resnet20", num_classes=4).eval(), image()
    plain = model(x)
    with torch.device("meta"):
        insert(model, "se", init="identity")
    assert {p.device.type for p in model.parameters()} == {"cpu"}
    assert torch.equal(model(x), plain)


class FixedSize(nn.Module):
    """Takes images of 48 pixels alone, and says so only by failing."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, 2, 1)
        self.fc = nn.Linear(8 * 24 * 24, 2)

    def forward(self, x):
        return self.fc(self.conv(x).flatten(1))


def test_models_with_a_fixed_input_size():
    with pytest.raises(ValueError, match="give its input_size"):
        plan(FixedSize(), "se", "conv")
    model, x = FixedSize().eval(), torch.randn(2, 3, 48, 48)
    plain = model(x)
    insert(model, "lka", "conv", init="identity", input_size=48)  # and a block that could take any size
    assert torch.equal(model(x), plain)


def test_timm_models_with_a_fixed_input_size():
    model = build("timm/halonet26t", num_classes=3)
    assert plan(model, "se", "stage").input_shape == (3, *model.pretrained_cfg["input_size"][1:])


def test_backbones_of_detection_and_segmentation_models():
    from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn
    from torchvision.models.segmentation import lraspp_mobilenet_v3_large

    detector = fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None, num_classes=3).eval()
    x = [torch.rand(3, 64, 64)]
    with torch.no_grad():
        plain = detector.backbone(torch.stack(x))
        planned = insert(detector.backbone.body, "se", init="identity", input_size=64)
        attended = detector.backbone(torch.stack(x))
        assert len(planned.sites) == 10
        assert all(torch.equal(attended[key], value) for key, value in plain.items())
        assert set(detector(x)[0]) == {"boxes", "labels", "scores"}
        segmenter = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=3).eval()
        plain = segmenter(torch.stack(x))["out"]
        insert(segmenter, "se", init="identity", input_size=64)
        assert torch.equal(segmenter(torch.stack(x))["out"], plain)


def sequential():
    torch.manual_seed(0)
    convolutions = [(3, 8), (8, 8), None, (8, 16), (16, 16)]
    layers = []
    for size in convolutions:
        layers += [nn.Conv2d(*size, 3, padding=1), nn.ReLU()] if size else [nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4)).eval()


@pytest.mark.parametrize(
    ("at", "names"), [("stage", ["3", "8"]), ("stage:-1", ["8"]), ("replace", ["2", "7"]), ("[05]", ["0", "5"])]
)
def test_models_made_of_sequential_alone(at, names):
    model, x = sequential(), image()
    plain = model(x)
    replaced = at == "replace"
    planned = insert(model, "mhsa" if replaced else "se", at, init="plain" if replaced else "identity", input_size=32)
    assert [site.name for site in planned.sites] == names
    assert torch.equal(model(x), plain) != replaced
    remove(model)
    assert torch.equal(model(x), plain)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_plans_and_inserts_on_a_gpu():
    expected = plan(small(), "cbam").to_dict()
    model, x = small().cuda(), image().cuda()
    plain, state = model(x), torch.cuda.get_rng_state()
    assert plan(model, "cbam").to_dict() == expected
    assert torch.equal(torch.cuda.get_rng_state(), state)
    insert(model, "cbam", init="identity")
    assert {p.device.type for p in model.parameters()} == {"cuda"}
    assert torch.equal(model(x), plain)
