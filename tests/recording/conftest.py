import pytest
import torch
from torch import nn

import cv_attention as cva
from tests.recording.nets import Net


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(6, 3, 12, 10, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(1)
    net = Net()
    cva.insert(net, "cbam", ["conv1"], input_size=(12, 10))
    return net
