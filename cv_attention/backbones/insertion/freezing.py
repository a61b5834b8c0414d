"""Freezes everything but blocks (and heads), and restores `requires_grad` on removal."""

from typing import Any

from torch import nn

from cv_attention.backbones.attachment.attach import attached
from cv_attention.backbones.positions.parameters import parameter_parts

_RECORD = "_frozen_by_attention"  # on a model: what has been frozen, and for which blocks
_HERE = "_frozen_here_by_attention"  # on each module: its own frozen parameters, wherever the module goes


def freeze_rest(model: nn.Module, children: set[str], train: str) -> None:
    """Freezes all parameters but those of the parts in `train` (``blocks+head``), until `children` are gone."""
    part = parameter_parts(model)
    record: dict[str, Any] = vars(model).setdefault(_RECORD, {"names": [], "children": []})
    record["children"] += sorted(children)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and part[name] not in train.split("+"):
            parameter.requires_grad_(False)
            record["names"].append(name)
            owner, _, own = name.rpartition(".")
            vars(model.get_submodule(owner)).setdefault(_HERE, []).append(own)


def thaw(model: nn.Module) -> None:
    """Gives parameters their gradients back in every module whose freezing insertions have all been removed."""
    for module in model.modules():
        record = vars(module).get(_RECORD)
        if record is None:
            continue
        record["children"] = sorted(set(record["children"]) & {child for _, _, child, _ in attached(module)})
        if not record["children"]:
            parameters = dict(module.named_parameters())
            for name in record["names"]:
                if name in parameters:
                    parameters[name].requires_grad_(True)
            for below in module.modules():
                for own in vars(below).pop(_HERE, ()):
                    if (parameter := below._parameters.get(own)) is not None:
                        parameter.requires_grad_(True)
            delattr(module, _RECORD)
