"""Rejects models that cannot take blocks: scripted, compiled, wrapped or not yet built."""

import torch
from torch import nn

from cv_attention.checks import check_module


def check_insertable(model: nn.Module) -> None:
    """Raises ValueError, which says what to do instead, unless blocks can be inserted into `model`."""
    check_module(model)
    kind = type(model).__name__
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            what = f"{kind}'s module {name!r}" if name else kind
            raise ValueError(f"{what} is scripted or traced; insert before torch.jit.script and torch.jit.trace")
    if kind == "OptimizedModule" or any(m._compiled_call_impl is not None for m in model.modules()):
        raise ValueError(f"{kind} is compiled; insert before torch.compile, or into its `_orig_mod`")
    if isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel):
        raise ValueError(f"{kind} does not see new parameters; insert into the model before wrapping it")
    if any(nn.parameter.is_lazy(p) for p in model.parameters()):
        raise ValueError(f"{kind} has uninitialised lazy parameters; run it once before inserting")
    if any(tensor.is_inference() for tensor in (*model.parameters(), *model.buffers())):
        raise ValueError(f"{kind} was made under torch.inference_mode, which forbids changes; make it outside")
