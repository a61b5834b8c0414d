"""Attention to features of several depths (Jetley et al., ICLR 2018), https://arxiv.org/abs/1804.02391."""

from collections.abc import Sequence
from contextvars import ContextVar
from functools import partial
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from cv_attention.blocks import AttentionMap
from cv_attention.blocks.base import check_choice, check_whole
from cv_attention.blocks.functional.half_precision import widened, without_autocast

Score = Literal["pc", "dp"]

NAME = "pay_attention"  # what the head is called below the network
# What a forward has shown so far: the feature maps by their number, and under -1 what the classifier takes. It belongs
# to the thread, as any number of them may run the network.
_shown: ContextVar[dict[int, Tensor] | None] = ContextVar("feature maps of this forward", default=None)


class PayAttention(nn.Module):
    """Classifies by what a global feature g attends to in feature maps h of several depths.

    Paper: "Learn to Pay Attention" (Jetley et al., ICLR 2018), https://arxiv.org/abs/1804.02391.

    For every depth l: ``e_i = u_l · (P_l h_i + g)`` (``pc``) or ``P_l h_i · g`` (``dp``), ``a = softmax(e)``,
    ``g_l = sum_i a_i P_l h_i``; the logits are ``W [g_1, ..., g_L]``. P is left out where a map has as many channels as
    g. Fresh, W is zero. With ``pc``, ``u_l · g`` is the same for all positions and drops out of the softmax: only the
    weights of ``dp`` depend on g.

    Map: one of kind `pairwise` per depth, (B, 1, 1, H, W), which sums to 1.

    Args:
        channels: Channels of each feature map, from the first depth to the last.
        width: Length of g.
        classes: Number of logits.
        score: ``pc`` (parametrised compatibility) or ``dp`` (dot product).

    Raises:
        ValueError: if `score` is unknown or a number is not a positive integer.

    Examples:
        >>> import torch
        >>> from cv_attention.heads import PayAttention
        >>> head = PayAttention([16, 32], width=32, classes=10)
        >>> head([torch.randn(2, 16, 8, 8), torch.randn(2, 32, 4, 4)], torch.randn(2, 32)).shape
        torch.Size([2, 10])
    """

    def __init__(self, channels: Sequence[int], width: int, classes: int, *, score: Score = "pc") -> None:
        super().__init__()
        check_choice("score", score, get_args(Score))
        check_whole(width=width, classes=classes)
        for number in channels:
            check_whole(channels=number)
        self.score = score
        self.project = nn.ModuleList(
            nn.Identity() if number == width else nn.Conv2d(number, width, 1, bias=False) for number in channels
        )
        drawn = torch.empty(len(channels), width).uniform_(-(width**-0.5), width**-0.5)
        self.u = nn.Parameter(drawn) if score == "pc" else None
        self.logits = nn.Linear(len(channels) * width, classes, bias=False)
        nn.init.zeros_(self.logits.weight)
        self.maps = nn.ModuleList(AttentionMap("pairwise") for _ in channels)

    def forward(self, features: Sequence[Tensor], vector: Tensor) -> Tensor:
        """Returns the logits (B, classes) of `features`, maps (B, C, H, W), and of `vector`, g (B, width)."""
        attended = [self._attend(number, x, vector) for number, x in enumerate(features)]
        return self.logits(torch.cat(attended, 1))

    def _attend(self, number: int, x: Tensor, vector: Tensor) -> Tensor:
        local = self.project[number](x).flatten(2)
        with without_autocast(x):
            wide = widened(vector)[..., None]
            if self.u is None:
                scores = (widened(local) * wide).sum(1)
            else:
                scores = ((widened(local) + wide) * widened(self.u[number])[:, None]).sum(1)
            weights = scores.softmax(-1)
        weights = self.maps[number](weights.unflatten(1, x.shape[2:])[:, None, None])
        return (local * weights.flatten(1)[:, None].to(local.dtype)).sum(2)


def pay_attention(
    model: nn.Module, at: Sequence[str], images: Tensor, *, classifier: str | None = None, score: Score = "pc"
) -> PayAttention:
    """Adds a `PayAttention` to a classifier, in place: its logits are added to the network's own.

    The network then classifies by its global feature and by what that attends to; the paper leaves the global feature
    itself out. A fresh head adds zeros, so that the output stays as it is to the bit. The head is a child of the
    network, and no other module gets another name: checkpoints from before still load strictly.

    Args:
        model: Any network from images to logits (B, classes) with a linear last layer.
        at: Names of modules that return feature maps (B, C, H, W), from the first depth to the last.
        images: Images that the model takes, for one forward in which shapes are found; one is enough.
        classifier: Name of the linear layer that makes the logits and takes g; by default it is searched for.
        score: ``pc`` or ``dp``, see `PayAttention`.

    Returns:
        The head, ``model.pay_attention``.

    Raises:
        ValueError: if the model has such a head already, a module does not exist or does not return a feature map, or
            no linear layer makes the logits.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> from cv_attention import heads
        >>> model = cva.backbones.build("resnet20", num_classes=10).eval()
        >>> images = torch.randn(2, 3, 32, 32)
        >>> before = model(images)
        >>> head = heads.pay_attention(model, ["layer1", "layer2", "layer3"], images[:1])
        >>> torch.equal(model(images), before)
        True
        >>> with cva.record(model) as maps:
        ...     logits = model(images)
        >>> [map_.values.shape for map_ in maps.values()]
        [torch.Size([2, 1, 1, 32, 32]), torch.Size([2, 1, 1, 16, 16]), torch.Size([2, 1, 1, 8, 8])]
    """
    if isinstance(at, str) or not at:
        raise ValueError(f"at must be a list of names of modules, got {at!r}")
    if hasattr(model, NAME):
        raise ValueError(f"{type(model).__name__} has a module called {NAME} already; remove it first")
    modules = dict(model.named_modules())
    for name in [*at, *([classifier] if classifier is not None else [])]:
        if name not in modules:
            raise ValueError(f"{type(model).__name__} has no module {name!r}")
    shown, layer = _try(model, at, images, classifier)
    head = PayAttention([shown[n].shape[1] for n in range(len(at))], layer.in_features, layer.out_features, score=score)
    parameter = layer.weight
    model.add_module(NAME, head.to(parameter.device, parameter.dtype).train(model.training))
    for number, name in enumerate(at):
        modules[name].register_forward_hook(partial(_show_output, number=number))
    layer.register_forward_pre_hook(_show_input)
    model.register_forward_pre_hook(_begin)
    model.register_forward_hook(_add_logits)
    model.register_load_state_dict_pre_hook(_forgive)
    return head


def remove_pay_attention(model: nn.Module) -> None:
    """Removes the head that `pay_attention` added; modules, keys and hooks are then as before.

    Args:
        model: The network.

    Raises:
        ValueError: if it has no such head.

    Examples:
        >>> import torch
        >>> from cv_attention import backbones, heads
        >>> model = backbones.build("convnet", num_classes=10)
        >>> head = heads.pay_attention(model, ["layer3", "layer4"], torch.zeros(1, 3, 64, 64))
        >>> heads.remove_pay_attention(model)
        >>> hasattr(model, "pay_attention")
        False
    """
    if not isinstance(getattr(model, NAME, None), PayAttention):
        raise ValueError(f"{type(model).__name__} has no head {NAME}")
    delattr(model, NAME)
    for module in model.modules():
        for hooks in (module._forward_hooks, module._forward_pre_hooks, module._load_state_dict_pre_hooks):
            for key, hook in list(hooks.items()):
                hook = getattr(hook, "hook", hook)
                if (hook.func if isinstance(hook, partial) else hook) in _OURS:
                    del hooks[key]


def _try(
    model: nn.Module, at: Sequence[str], images: Tensor, classifier: str | None
) -> tuple[dict[int, Tensor], nn.Linear]:
    """Runs the model once; returns its feature maps by number, and the layer that makes the logits."""
    shown: dict[int, Any] = {}
    linear: list[tuple[nn.Linear, Tensor, Tensor]] = []

    def keep(module: nn.Module, given: tuple[Tensor, ...], output: Any, *, number: int) -> None:
        shown[number] = output

    def keep_linear(module: nn.Linear, given: tuple[Tensor, ...], output: Tensor) -> None:
        linear.append((module, given[0], output))

    modules, training = dict(model.named_modules()), {module: module.training for module in model.modules()}
    handles = [modules[name].register_forward_hook(partial(keep, number=n)) for n, name in enumerate(at)]
    handles += [m.register_forward_hook(keep_linear) for m in modules.values() if isinstance(m, nn.Linear)]
    try:
        with torch.no_grad():
            logits = model.eval()(images)
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in training.items():
            module.training = mode
    for number, name in enumerate(at):
        found = shown.get(number)
        if not isinstance(found, Tensor) or found.ndim != 4:
            got = tuple(found.shape) if isinstance(found, Tensor) else f"a {type(found).__name__}"
            raise ValueError(f"{name} must return a feature map (B, C, H, W), got {got}")
    wanted = None if classifier is None else modules[classifier]
    for layer, given, output in reversed(linear):
        if given.ndim == 2 and (output is logits if wanted is None else layer is wanted):
            return shown, layer
    what = "no linear layer makes the logits" if wanted is None else f"{classifier} is not a linear layer of a vector"
    raise ValueError(f"{type(model).__name__}: {what}, (B, features) -> (B, classes); a head needs that global feature")


def _begin(model: nn.Module, given: Any) -> None:
    _shown.set({})


def _show_output(module: nn.Module, given: Any, output: Tensor, *, number: int) -> None:
    shown = _shown.get()
    if shown is not None:
        shown[number] = output


def _show_input(module: nn.Module, given: tuple[Tensor, ...]) -> None:
    shown = _shown.get()
    if shown is not None:
        shown[-1] = given[0]


def _add_logits(model: nn.Module, given: Any, output: Tensor) -> Tensor:
    shown = _shown.get()
    _shown.set(None)
    head = getattr(model, NAME)
    assert shown is not None
    return output + head([shown[number] for number in range(len(head.maps))], shown[-1])


def _forgive(model: nn.Module, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    """Lets a checkpoint from before the head load strictly: the head's present values are filled in."""
    own = getattr(model, NAME).state_dict(prefix=f"{prefix}{NAME}.", keep_vars=True)
    if not any(key in state_dict for key in own):
        state_dict.update(own)


_OURS = (_begin, _show_output, _show_input, _add_logits, _forgive)
