"""Any block into any CNN: identity insertion, gradients, removal, over the families of timm and torchvision."""

import copy

import pytest
import torch

from cv_attention.backbones import build, insert, plan, remove


def round_trip(name, at, size):
    """Identity insertion equal, gradient reaches every block, removal gives back modules, keys and output."""
    torch.manual_seed(0)
    model = build(name, num_classes=10).eval()
    image = torch.randn(2, 3, size, size)
    with torch.no_grad():
        plain = model(image)
    modules = [(n, id(m)) for n, m in model.named_modules()]
    state = copy.deepcopy(model.state_dict())  # a plain dict would lack the versions that mnasnet asks for
    planned = insert(model, "se", at, init="identity", input_size=size)
    with torch.no_grad():
        assert torch.equal(model(image), plain)
    model.train()
    output = model(image)
    output = output[0] if isinstance(output, tuple) else output  # torchvision's inceptions have helpers in training
    output.square().sum().backward()
    for site in planned.sites:
        gradients = [parameter.grad for parameter in model.get_submodule(site.block).parameters()]
        assert all(gradient is not None for gradient in gradients), site.name
    model.load_state_dict(state, strict=True)
    model.eval()
    with torch.no_grad():
        assert torch.equal(model(image), plain)
    remove(model)
    assert modules == [(n, id(m)) for n, m in model.named_modules()]
    assert list(state) == list(model.state_dict())
    with torch.no_grad():
        assert torch.equal(model(image), plain)


@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("resnet20", "residual"),
        ("resnet20", "stage"),
        ("timm/resnet18", "residual"),
        ("timm/mobilenetv3_small_050", "residual"),
        ("timm/regnetx_002", "stage"),
        ("timm/convnext_atto", "residual"),
        ("torchvision/mobilenet_v3_large", "residual"),
        ("torchvision/shufflenet_v2_x0_5", "stage"),
        pytest.param("torchvision/convnext_tiny", "residual", marks=pytest.mark.long),
    ],
)
def test_round_trip(name, at):
    round_trip(name, at, 64)


# Models whose units are sums of a branch and a shortcut.
RESIDUAL = """
    resnet18 resnet50d resnext50_32x4d wide_resnet50_2 seresnet50 ecaresnet50t skresnet18 resnest14d res2net50_26w_4s
    res2next50 resnetv2_50 resnetrs50 resnetblur50 legacy_seresnet18 nf_resnet50 nf_regnet_b0 nfnet_f0 eca_nfnet_l0
    regnetx_002 regnety_004 regnetz_b16 efficientnet_b0 efficientnetv2_rw_t efficientnet_es tf_efficientnet_lite0
    mobilenetv2_100 mobilenetv3_small_050 mobilenetv4_conv_small mixnet_s mnasnet_small fbnetc_100 fbnetv3_b
    hardcorenas_a spnasnet_100 tinynet_e ghostnet_100 ghostnetv2_100 repghostnet_050 convnext_atto convnextv2_atto
    edgenext_xx_small hrnet_w18_small dla34 dla60_res2net dla102 cspresnet50 cspresnext50 cspdarknet53 cs3darknet_m
    darknet53 sedarknet21 xception41 xception41p legacy_xception inception_resnet_v2 inception_next_atto repvgg_a0
    mobileone_s0 tresnet_m gernet_s starnet_s1 poolformer_s12 repvit_m0_9 fastvit_t8 focalnet_tiny_srf lambda_resnet26t
    gcresnet33ts
    torchvision/resnet18 torchvision/resnet34 torchvision/resnet50 torchvision/resnext50_32x4d
    torchvision/wide_resnet50_2 torchvision/regnet_x_400mf torchvision/regnet_y_400mf torchvision/regnet_y_800mf
    torchvision/convnext_tiny torchvision/efficientnet_b0 torchvision/efficientnet_b1 torchvision/efficientnet_v2_s
    torchvision/mobilenet_v2 torchvision/mobilenet_v3_small torchvision/mobilenet_v3_large torchvision/mnasnet0_5
    torchvision/mnasnet1_0
"""
# Models without such sums.
STAGES_ONLY = """
    densenet121 densenetblur121d vgg11 vgg11_bn dpn68 selecsls42 ese_vovnet19b_dw vovnet39a rexnet_100 lcnet_050
    mobilenetv1_100 rdnet_tiny inception_v3 inception_v4 nasnetalarge pnasnet5large mambaout_femto
    torchvision/alexnet torchvision/densenet121 torchvision/googlenet torchvision/inception_v3
    torchvision/shufflenet_v2_x0_5 torchvision/shufflenet_v2_x1_0 torchvision/squeezenet1_0 torchvision/squeezenet1_1
    torchvision/vgg11 torchvision/vgg13
"""
SIZES = {"inception_v3": 96, "inception_v4": 96, "inception_resnet_v2": 96, "torchvision/inception_v3": 299}


def test_the_table_is_long_enough():
    names = RESIDUAL.split() + STAGES_ONLY.split()
    assert len(set(names)) == len(names)
    assert len([name for name in names if "/" not in name]) >= 60
    assert len([name for name in names if "/" in name]) >= 20


@pytest.mark.long
@pytest.mark.parametrize("name", RESIDUAL.split())
@pytest.mark.parametrize("at", ["residual", "stage", "post"])
def test_families(name, at):
    round_trip(f"timm/{name}" if "/" not in name else name, at, SIZES.get(name, 64))


@pytest.mark.long
@pytest.mark.parametrize("name", STAGES_ONLY.split())
def test_families_without_residual_units(name):
    size, name = SIZES.get(name, 64), f"timm/{name}" if "/" not in name else name
    round_trip(name, "stage", size)
    with pytest.raises(ValueError, match=r"has no position 'residual'; it has: stage \(\d sites\)"):
        plan(build(name), "se", input_size=size)
