"""Gates over channels and positions equal those of other libraries, with their weights copied over."""

import pytest
import torch
from timm.layers.cbam import CbamModule
from torch.testing import assert_close

from cv_attention import blocks
from tests.blocks.cases import feature_map


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("channels", [8, 32])
def test_cbam_is_timms(channels, training):
    theirs = CbamModule(channels)
    ours = blocks.CBAM(channels, bias=False)
    with torch.no_grad():
        ours.reduce.weight.copy_(theirs.channel.fc1.weight.flatten(1))
        ours.expand.weight.copy_(theirs.channel.fc2.weight.flatten(1))
        # timm stacks [mean, max] where the official code stacks [max, mean].
        ours.spatial.conv.weight.copy_(theirs.spatial.conv.conv.weight.flip(1))
        ours.spatial.norm.weight.copy_(theirs.spatial.conv.bn.weight)
    x = feature_map(2, channels, 9, 7)
    assert_close(ours.train(training)(x), theirs.train(training)(x))
