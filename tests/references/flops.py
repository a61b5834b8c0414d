"""Operations counted where nothing is fused: what is left are convolutions and matrix products, which torch counts."""

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def plain_flops(model, *inputs, **named):
    """Runs a model in plain steps, as it stands, and returns the operations that every version of torch counts."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            model(*inputs, **named)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return counter.get_total_flops()
