"""Over networks of timm: the score equals the map's sum and what biases, constants and tangents keep."""

import pytest
import torch
from torch import nn

from cv_attention import saliency as s

timm = pytest.importorskip("timm")
pytestmark = pytest.mark.long

# Every kind of layer that timm combines: residual sums and concatenations, gates, attention over windows and channels,
# normalisations, graphs of convolutions. Those that timm builds for one image size alone have it here.
NAMES = [
    "resnet18",
    "resnetv2_50",
    "seresnet50",
    "ecaresnet26t",
    "resnest14d",
    "skresnet18",
    "gcresnet33ts",
    "resnext26ts",
    "regnetx_002",
    "regnety_002",
    "regnetz_005",
    "densenet121",
    "efficientnet_b0",
    "efficientnet_lite0",
    "mobilenetv2_035",
    "mobilenetv3_small_050",
    "mobilenetv4_conv_small",
    "mnasnet_small",
    "hardcorenas_a",
    "fbnetc_100",
    "tinynet_e",
    "lcnet_050",
    "ghostnet_050",
    "ghostnetv2_100",
    "rexnet_100",
    "repvgg_a0",
    "mobileone_s0",
    "repvit_m0_9",
    "dla34",
    "hrnet_w18_small",
    "dpn48b",
    "ese_vovnet19b_dw",
    "xception41",
    "nf_resnet26",
    "eca_nfnet_l0",
    "convnext_atto",
    "convnextv2_atto",
    "inception_next_atto",
    "starnet_s1",
    "hgnetv2_b0",
    "edgenext_xx_small",
    "poolformerv2_s12",
    "mixer_s16_224",
    "resmlp_12_224",
    "gmlp_ti16_224",
    "vit_tiny_patch16_224",
    "deit_tiny_distilled_patch16_224",
    "eva02_tiny_patch14_224",
    "xcit_nano_12_p16_224",
    "pit_ti_224",
    "pvt_v2_b0",
    "swin_tiny_patch4_window7_224",
    "twins_svt_small",
    "visformer_tiny",
    "levit_128s",
    "coat_lite_tiny",
    "mobilevit_xxs",
    "mobilevitv2_050",
    "mvitv2_tiny",
    "convit_tiny",
    "efficientformerv2_s0",
    "efficientvit_b0",
    "efficientvit_m0",
    "fastvit_t8",
    "rdnet_tiny",
    "botnet26t_256",
    "lambda_resnet26t",
    "tiny_vit_5m_224",
    "mambaout_femto",
    "shvit_s1",
    "swiftformer_xs",
    "caformer_s18",
    "cait_xxs24_224",
    "hiera_tiny_224",
]


def randomised(name: str) -> nn.Module:
    try:
        model = timm.create_model(name, num_classes=5, img_size=64)
    except TypeError:  # of networks that take every size
        model = timm.create_model(name, num_classes=5)
    torch.manual_seed(0)
    for module in model.modules():
        if getattr(module, "running_mean", None) is not None:
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
        for kind, parameter in module.named_parameters(recurse=False):
            if parameter.dim() == 1 and kind in ("weight", "bias"):
                nn.init.uniform_(parameter, *((0.75, 1.25) if kind == "weight" else (-0.1, 0.1)))
            elif parameter.dim() > 1 and not bool(parameter.any()):
                nn.init.normal_(parameter, 0, 0.1)
    return model.eval().double()


@pytest.mark.parametrize("name", NAMES)
def test_relevance_is_accounted_for(name):
    model = randomised(name)
    found = s.relevance(model, torch.randn(1, 3, 64, 64).double(), 3, softmax="tangent")
    assert found.error.item() < 1e-2
    assert found.maps.abs().max() > 0
