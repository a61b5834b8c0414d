"""Builds a backbone by name: our own small networks, timm's and torchvision's models."""

import inspect
import re
from collections.abc import Callable
from typing import Any, Literal

from torch import nn

from cv_attention.backbones.models import cifar_resnet, convnet, wide_resnet
from cv_attention.backbones.models.by_class_path import build_class
from cv_attention.backbones.models.glimpse import Glimpse
from cv_attention.backbones.models.new_head import start_head_at_zero
from cv_attention.backbones.models.perceiver import Perceiver
from cv_attention.backbones.models.spatial_transformer import SpatialTransformer
from cv_attention.backbones.positions.heads import declare_heads
from cv_attention.extras import require
from cv_attention.suggest import suggest

# Our own networks by name: the class, and the arguments that the name stands for.
OWN: dict[str, tuple[Callable[..., nn.Module], dict[str, Any]]] = {
    **{name: (cifar_resnet.CifarResNet, shape) for name, shape in cifar_resnet.SHAPES.items()},
    **{name: (wide_resnet.WideResNet, shape) for name, shape in wide_resnet.SHAPES.items()},
    **{name: (convnet.ConvNet, shape) for name, shape in convnet.SHAPES.items()},
    "perceiver": (Perceiver, {}),
    "glimpse": (Glimpse, {}),
    "spatial_transformer": (SpatialTransformer, {}),
}
Library = Literal["own", "timm", "torchvision", "class"]
_FIXED = {"blocks", "depth", "widening", "num_classes"}  # no options: the name says them


def build(name: str, *, num_classes: int = 1000, pretrained: bool = False, **options: Any) -> nn.Module:
    """Builds an image classifier by name.

    A bare name is looked up among our own networks (ResNets, wide ResNets, ``convnet``, ``perceiver``, ``glimpse``,
    ``spatial_transformer``), then in timm, then in torchvision; ``timm/resnet50`` and ``torchvision/resnet50`` say
    which library is meant. What none of them knows and has a dot is the class path of a network of your own,
    ``my_net.MyNet``: a module whose constructor takes ``num_classes`` and the options.

    Args:
        name: Name of the model; timm's names may carry a tag of pretrained weights (``resnet50.a1_in1k``).
        num_classes: Number of logits; pretrained weights of another number get a new head that starts at zero.
        pretrained: Load the library's default pretrained weights.
        **options: Further arguments of the model's constructor.

    Returns:
        A module from images (B, 3, H, W) to logits (B, num_classes), in training mode, on the CPU.

    Raises:
        ValueError: for an unknown name, an option that the model does not have, or weights that do not exist.

    Examples:
        >>> import torch
        >>> from cv_attention import backbones
        >>> model = backbones.build("resnet20", num_classes=10, width=8)
        >>> model(torch.randn(2, 3, 32, 32)).shape
        torch.Size([2, 10])
        >>> backbones.build("resnet20", wdith=8)
        Traceback (most recent call last):
            ...
        ValueError: backbone 'resnet20' has no option 'wdith'; did you mean 'width'?
    """
    if not (isinstance(num_classes, int) and num_classes >= 1):
        raise ValueError(f"num_classes must be a whole number of at least 1, got num_classes={num_classes!r}")
    library, bare = find_library(name)
    makers = {"own": _build_own, "timm": _build_timm, "torchvision": _build_torchvision, "class": build_class}
    return makers[library](name, bare, num_classes, pretrained, options)


def find_library(name: str) -> tuple[Library, str]:
    """Finds which library has a backbone, and its name there.

    Raises:
        ValueError: for an unknown name.
    """
    library, _, bare = name.rpartition("/")
    if library not in ("", "timm", "torchvision"):
        raise ValueError(f"unknown library {library!r} in backbone {name!r}; use timm/ or torchvision/")
    if library == "" and bare in OWN:
        return "own", bare
    require("train", f"backbone {name!r}")
    if library != "torchvision" and _is_timm(bare):
        return "timm", bare
    if library != "timm" and bare in _torchvision_names():
        return "torchvision", bare
    if library == "" and "." in bare:
        return "class", bare
    raise ValueError(_unknown(library, bare, name))


def _build_own(name: str, bare: str, num_classes: int, pretrained: bool, options: dict[str, Any]) -> nn.Module:
    if pretrained:
        raise ValueError(f"there are no pretrained weights of {name!r}; set pretrained to false")
    kind, shape = OWN[bare]
    accepted = set(inspect.signature(kind).parameters) - _FIXED
    for option in options:
        if option not in accepted:
            raise ValueError(_unknown_option(name, option, accepted))
    return declare_heads(kind(num_classes=num_classes, **{**shape, **options}), ["fc"])


def _build_timm(name: str, bare: str, num_classes: int, pretrained: bool, options: dict[str, Any]) -> nn.Module:
    import timm

    _, _, tag = bare.partition(".")
    if tag and bare not in timm.list_pretrained(f"{bare}*"):
        tags = ", ".join(timm.list_pretrained(f"{bare.partition('.')[0]}.*")) or "none"
        raise ValueError(f"timm has no weights {bare!r}; it has {tags}")
    if pretrained and not timm.is_model_pretrained(bare):
        raise ValueError(f"timm has no pretrained weights of {name!r}; set pretrained to false")
    model = _construct(name, timm.create_model, bare, pretrained=pretrained, num_classes=num_classes, options=options)
    stated: Any = model
    if pretrained and num_classes != stated.pretrained_cfg["num_classes"]:
        start_head_at_zero(model)
    return model


def _build_torchvision(name: str, bare: str, num_classes: int, pretrained: bool, options: dict[str, Any]) -> nn.Module:
    from torchvision import models

    if "weights" in options:
        raise ValueError(f"backbone {name!r}: use pretrained=True in place of weights={options['weights']!r}")
    if not pretrained:
        # Without it, torchvision warns of a change of default that never came.
        if bare in ("googlenet", "inception_v3"):
            options = {"init_weights": True, **options}
        model = _construct(name, models.get_model, bare, num_classes=num_classes, options=options)
    else:
        model = _construct(name, models.get_model, bare, weights="DEFAULT", options=options)
        _replace_head(model, num_classes)
    # Its classifiers register the head last, behind auxiliary ones.
    layers = [layer for layer, module in model.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    return declare_heads(model, layers[-1:])


def _construct(
    name: str, create: Callable[..., nn.Module], bare: str, *, options: dict[str, Any], **fixed: Any
) -> nn.Module:
    """Calls a library's constructor and turns its complaint about an argument into one of ours."""
    for option in options:
        if option == "checkpoint_path":
            raise ValueError(f"backbone {name!r}: checkpoint_path is not an option; give the file as model.weights")
    try:
        return create(bare, **fixed, **options)
    except TypeError as error:
        found = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if found and found[1] in options:
            raise ValueError(_unknown_option(name, found[1], _accepted(error))) from error
        found = re.search(r"multiple values for (?:keyword )?argument '(\w+)'", str(error))
        if found and found[1] in options:
            raise ValueError(f"backbone {name!r} sets {found[1]} itself, so it cannot be an option") from error
        if not options:
            raise
        raise ValueError(f"backbone {name!r} rejects its options {options}: {error}") from error
    except (AssertionError, IndexError, KeyError, ValueError) as error:
        if not options:
            raise
        raise ValueError(f"backbone {name!r} rejects its options {options}: {error}") from error


def _replace_head(model: nn.Module, num_classes: int) -> None:
    """Gives a torchvision model with 1000 logits new last layers, at zero, unless 1000 are wanted."""
    if num_classes == 1000:
        return
    heads = [
        (name, module)
        for name, module in model.named_modules()
        if (isinstance(module, nn.Linear) and module.out_features == 1000)
        or (isinstance(module, nn.Conv2d) and module.out_channels == 1000 and module.kernel_size == (1, 1))
    ]
    if not heads:
        raise ValueError(f"{type(model).__name__} has no last layer of 1000 logits to replace")
    for name, module in heads:
        parent, _, child = name.rpartition(".")
        if isinstance(module, nn.Linear):
            head = nn.Linear(module.in_features, num_classes, module.bias is not None)
        else:
            head = nn.Conv2d(module.in_channels, num_classes, 1, bias=module.bias is not None)
        for parameter in head.parameters():  # see `start_head_at_zero`; auxiliary heads too
            nn.init.zeros_(parameter)
        setattr(model.get_submodule(parent), child, head)


def _is_timm(name: str) -> bool:
    import timm

    return timm.is_model(name)


def _torchvision_names() -> list[str]:
    from torchvision import models

    return models.list_models(module=models)


def _accepted(error: TypeError) -> set[str]:
    """The options of the constructor that refused one, whose class is among the names of the error's own frames."""
    kind = re.match(r"([\w.]+)\.__init__\(\)", str(error))
    frame, found = error.__traceback__, set()
    while kind is not None and frame is not None:
        inside = frame.tb_frame
        for one in (*inside.f_locals.values(), *inside.f_globals.values()):
            if inspect.isclass(one) and one.__qualname__ == kind[1]:
                parameters = inspect.signature(one).parameters.values()
                found |= {p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
        frame = frame.tb_next
    return found - _FIXED


def _unknown(library: str, bare: str, name: str) -> str:
    """Suggests close matches; a library's names are shown with it, as they may be made for larger images."""
    known = {} if library else {own: own for own in OWN}
    if library != "torchvision":
        import timm

        known |= {one: f"timm/{one}" for one in timm.list_models() if one not in known}
    if library != "timm":
        known |= {one: f"torchvision/{one}" for one in _torchvision_names() if one not in known}
    return f"unknown backbone {name!r}{suggest(bare, known, cutoff=0.5, label=known.__getitem__)}"


def _unknown_option(name: str, option: str, accepted: set[str]) -> str:
    return f"backbone {name!r} has no option {option!r}{suggest(option, sorted(accepted)) if accepted else ''}"
