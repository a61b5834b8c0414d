import subprocess
import sys

import pytest
import torch
from torch import nn

from cv_attention.backbones import build, plan
from cv_attention.backbones.models.build import _replace_head


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


# Table 6 of He et al. 2016, in millions; ResNet-18 with a 3×3 stem counted by hand in many repositories.
@pytest.mark.parametrize(
    ("name", "millions"),
    [("resnet20", 0.27), ("resnet32", 0.46), ("resnet44", 0.66), ("resnet56", 0.85), ("resnet110", 1.7)],
)
def test_cifar_resnets_have_the_published_size(name, millions):
    digits = 1 if millions > 1 else 2
    assert round(parameters(build(name, num_classes=10)) / 1e6, digits) == millions


def test_resnet18_cifar_is_torchvisions_with_another_stem():
    from torchvision.models import resnet18

    other = resnet18(num_classes=10)
    other.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    other.maxpool = nn.Identity()
    model = build("resnet18_cifar", num_classes=10)
    ours = {k.replace("shortcut", "downsample"): v for k, v in model.state_dict().items()}
    other.load_state_dict(ours, strict=True)
    image = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(model.eval()(image), other.eval()(image))


def test_option_a_shortcut_against_loops():
    from cv_attention.backbones.models.cifar_resnet import PadShortcut

    x = torch.randn(2, 4, 5, 6)
    expected = torch.zeros(2, 8, 3, 3)
    for c in range(4):
        for i in range(3):
            for j in range(3):
                expected[:, c + 2, i, j] = x[:, c, 2 * i, 2 * j]
    assert torch.equal(PadShortcut(4, 2)(x), expected)


@pytest.mark.parametrize("options", [{}, {"stem_stride": 2}, {"width": 8}, {"shortcut": "B"}, {"in_chans": 1}])
def test_own_options(options):
    model = build("resnet20", num_classes=7, **options).eval()
    channels = options.get("in_chans", 3)
    assert model(torch.zeros(1, channels, 33, 47)).shape == (1, 7)
    assert model.layer1[0].bn2.num_features == options.get("width", 16)
    sizes = []
    model.layer3.register_forward_hook(lambda module, args, output: sizes.append(output.shape[-1]))
    model(torch.zeros(1, channels, 64, 64))
    assert sizes == [16 // options.get("stem_stride", 1)]


@pytest.mark.parametrize(
    ("name", "module", "features"),
    [
        ("resnet18", "timm.", 512),
        ("timm/mobilenetv3_small_050", "timm.", 1024),
        ("torchvision/resnet18", "torchvision.", 512),
        ("squeezenet1_1", "torchvision.", None),
        ("mnasnet0_5", "torchvision.", None),
    ],
)
def test_finds_the_library(name, module, features):
    model = build(name, num_classes=5).eval()
    assert type(model).__module__.startswith(module)
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 5)


def test_options_reach_the_libraries():
    assert build("resnet18", num_classes=2, in_chans=1).conv1.in_channels == 1
    assert build("torchvision/mobilenet_v2", num_classes=2, dropout=0.1).classifier[0].p == 0.1


@pytest.mark.parametrize(
    ("name", "options", "parts"),
    [
        ("resnet2O", {}, ["'resnet2O'", "resnet20"]),
        ("timm/resnt50", {}, ["'timm/resnt50'", "timm/resnet50"]),
        ("torchvision/resnt50", {}, ["torchvision/resnet50"]),
        ("keras/resnet50", {}, ["'keras'", "timm/"]),
        ("resnet20", {"widht": 8}, ["'widht'", "width"]),
        ("resnet20", {"width": 0}, ["width=0"]),
        ("resnet20", {"shortcut": "C"}, ["'C'", "'A' or 'B'"]),
        ("resnet20", {"pretrained": True}, ["resnet20", "pretrained"]),
        ("resnet20", {"num_classes": 0}, ["num_classes=0"]),
        ("resnet18", {"widht": 8}, ["'widht'", "'resnet18'"]),
        ("resnet18.nobody", {}, ["'resnet18.nobody'", "resnet18.a1_in1k"]),
        ("lcnet_035", {"pretrained": True}, ["lcnet_035", "pretrained"]),
        ("torchvision/resnet18", {"widht": 8}, ["'widht'"]),
        ("torchvision/resnet18", {"weights": "DEFAULT"}, ["pretrained=True"]),
        ("convnext_atto", {"depths": (1,)}, ["depths", "convnext_atto"]),
    ],
)
def test_says_what_is_wrong(name, options, parts):
    with pytest.raises(ValueError) as caught:
        build(name, **options)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "squeezenet1_1", "googlenet"])
def test_pretrained_torchvision_head_is_replaced(name, monkeypatch):
    from torchvision import models

    def without_download(bare, weights=None, **options):
        assert weights == "DEFAULT"
        extra = {"init_weights": False, "aux_logits": True} if bare == "googlenet" else {}
        return real(bare, **extra, **options)

    real = models.get_model
    monkeypatch.setattr(models, "get_model", without_download)
    model = build(f"torchvision/{name}", num_classes=3, pretrained=True).eval()
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 3)


def test_head_of_1000_stays():
    model = nn.Sequential(nn.Linear(4, 1000))
    head = model[0]
    _replace_head(model, 1000)
    assert model[0] is head


@pytest.mark.long  # a process that imports torch; tests/test_core.py has another
def test_own_resnets_need_neither_timm_nor_torchvision():
    code = (
        "import sys; from cv_attention.backbones import build; build('resnet20');"
        "assert not {'timm', 'torchvision', 'lightning'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Tables 4 and 5 of Zagoruyko and Komodakis 2016, in millions.
@pytest.mark.parametrize(
    ("name", "millions"), [("wrn16_4", 2.8), ("wrn16_8", 11.0), ("wrn28_10", 36.5), ("wrn40_2", 2.2), ("wrn40_4", 8.9)]
)
def test_wide_resnets_have_the_published_size(name, millions):
    with torch.device("meta"):
        assert abs(parameters(build(name, num_classes=10)) / 1e6 - millions) < 0.06


def test_a_wide_resnet_against_its_equations():
    torch.manual_seed(0)
    model = build("wrn16_4", num_classes=3).double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):  # statistics that matter
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
    w = model.eval().state_dict()
    x = image = torch.randn(2, 3, 16, 16, dtype=torch.double)

    def conv(x, name, stride=1):
        return nn.functional.conv2d(x, w[f"{name}.weight"], stride=stride, padding=w[f"{name}.weight"].shape[-1] // 2)

    def activated(x, name):
        mean, var, scale, shift = (
            w[f"{name}.{key}"].view(-1, 1, 1) for key in ("running_mean", "running_var", "weight", "bias")
        )
        return ((x - mean) / (var + 1e-5).sqrt() * scale + shift).clamp(min=0)

    x = conv(x, "conv1")
    for stage in (1, 2, 3):
        for unit in (0, 1):
            name, stride = f"layer{stage}.{unit}", 2 if stage > 1 and unit == 0 else 1
            a = activated(x, f"{name}.bn1")
            branch = conv(activated(conv(a, f"{name}.conv1", stride), f"{name}.bn2"), f"{name}.conv2")
            x = branch + (conv(a, f"{name}.shortcut", stride) if unit == 0 else x)
    expected = activated(x, "bn").mean((2, 3)) @ w["fc.weight"].T + w["fc.bias"]
    torch.testing.assert_close(model(image), expected)


def test_attention_goes_to_the_end_of_a_wide_residual_branch():
    sites = plan(build("wrn16_4", num_classes=10), "se").sites
    assert [site.name for site in sites] == [f"layer{s}.{u}.conv2" for s in (1, 2, 3) for u in (0, 1)]


def test_stochastic_depth_is_timms_and_torchvisions():
    from timm.layers import drop_path
    from torchvision.ops import stochastic_depth as by_row

    from cv_attention.backbones.models.cifar_resnet import stochastic_depth

    branch = torch.randn(64, 2, 3, 3)
    torch.manual_seed(0)
    expected = drop_path(branch, 0.3, training=True)
    torch.manual_seed(0)
    assert torch.equal(stochastic_depth(branch, 0.3), expected)
    torch.manual_seed(0)
    torch.testing.assert_close(by_row(branch, 0.3, "row"), expected)


def test_stochastic_depth_rises_from_unit_to_unit_and_ends_with_training():
    model = build("resnet20", drop_path_rate=0.2, num_classes=4, width=4)
    units = [unit for stage in (model.layer1, model.layer2, model.layer3) for unit in stage]
    assert [unit.drop_path for unit in units] == pytest.approx([0.025 * k for k in range(9)])
    plain = build("resnet20", num_classes=4, width=4)
    plain.load_state_dict(model.state_dict())
    image = torch.randn(2, 3, 32, 32)
    assert torch.equal(model.eval()(image), plain.eval()(image))


@pytest.mark.parametrize(
    ("name", "option", "words"),
    [
        ("resnet20", {"drop_path_rate": 1.0}, r"drop_path_rate must be in \[0, 1\)"),
        ("wrn16_8", {"dropout": -0.1}, r"dropout must be in \[0, 1\)"),
        ("wrn16_8", {"depth": 22}, "has no option 'depth'"),
    ],
)
def test_own_options_out_of_range(name, option, words):
    with pytest.raises(ValueError, match=words):
        build(name, num_classes=4, **option)


@pytest.mark.parametrize(
    ("name", "option", "right"),
    [
        ("timm/resnet18", "output_strid", "did you mean 'output_stride'?"),
        ("timm/resnet18", "widht", "expected one of aa_layer, act_layer, "),
        ("timm/efficientnet_b0", "drop_rat", "did you mean 'drop_rate'"),
        ("torchvision/resnet18", "norm_layr", "did you mean 'norm_layer'?"),
        ("torchvision/mobilenet_v2", "widht_mult", "did you mean 'width_mult'?"),
    ],
)
def test_a_wrong_option_names_the_right_ones(name, option, right):
    with pytest.raises(ValueError) as caught:
        build(name, **{option: 1})
    assert str(caught.value).startswith(f"backbone {name!r} has no option {option!r}; {right}")


def test_near_names_say_whose_they_are():
    with pytest.raises(ValueError, match=r"unknown backbone 'resnet23'; did you mean .*'timm/resnet.*'resnet32'"):
        build("resnet23")
    with pytest.raises(ValueError, match=r"unknown backbone 'ResNet50'; did you mean 'timm/resnet50'"):
        build("ResNet50")
