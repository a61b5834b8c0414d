"""Selects the layers that a saliency method uses."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from typing_extensions import TypeAliasType

from cv_attention.globs import select
from cv_attention.maps.wrappers import bare_modules, unwrap
from cv_attention.saliency.core.layouts import to_grid

# None: the last spatial stage; names or globs of modules, or modules themselves.
Layers = TypeAliasType("Layers", str | nn.Module | Sequence[str | nn.Module] | None)

# Model -> (key for which its last spatial module was determined, name of that module).
_found: WeakKeyDictionary[nn.Module, tuple[tuple, str]] = WeakKeyDictionary()


def bare_logits(output: Any) -> Any:
    """Returns the logits of a Hugging Face classifier's output; other outputs are returned unchanged."""
    return getattr(output, "logits", output)


def find_layers(model: nn.Module, images: Tensor, layers: Layers) -> dict[str, nn.Module]:
    """Resolves `layers` to modules, by name; see `last_spatial` for None.

    Raises:
        ValueError: if a name or glob matches no module, or a given module is not part of the model.
    """
    modules = {name: module for name, module in bare_modules(model).items() if name}
    if layers is None:
        name = last_spatial(model, images)
        return {name: modules[name]}
    chosen = []
    for layer in layers if isinstance(layers, Sequence) and not isinstance(layers, str) else [layers]:
        if not isinstance(layer, str | nn.Module):
            raise ValueError(f"layers must be names, globs or modules, got {layer!r}")
        if isinstance(layer, str):
            chosen += select(list(modules), [layer], f"module of {type(model).__name__}")
        else:
            chosen += [name for name, module in modules.items() if module is unwrap(layer)]
            if not chosen or modules[chosen[-1]] is not unwrap(layer):
                raise ValueError(
                    f"the given layer {type(layer).__name__} is not a module of this {type(model).__name__}"
                )
    if not chosen:
        raise ValueError("layers must name at least one module, got none")
    return {name: modules[name] for name in chosen}


def last_spatial(model: nn.Module, images: Tensor) -> str:
    """Returns the name of the module with the last feature map (B, C, H, W) larger than 1x1 before pooling.

    Of nested modules that end together, it is the outermost: a ResNet's whole last stage, including inserted attention.
    If tokens (B, N, C) come later, as in vision transformers, it is the last module on whose patches the logits depend;
    if that is not the very last, because only the class token is used there, the last normalisation, which is the input
    of the last attention. It takes one or two forward passes of one image; the result is cached until the model's
    modules or the image size change.

    Raises:
        ValueError: if there is no such module.
    """
    modules = bare_modules(model)
    key = (tuple(map(id, modules.values())), images.shape[1:])
    known = _found.get(model)
    if known is not None and known[0] == key:
        return known[1]
    spatial, tokens = _run_once(model, modules, images[:1])
    name = _last_tokens(model, modules, images[:1]) if tokens else spatial
    if name is None:
        raise ValueError(
            f"no module of {type(model).__name__} gives a feature map (B, C, H, W) larger than 1x1, or tokens of a "
            f"grid on which the logits depend, for images of {images.shape[-2]}x{images.shape[-1]}; give layers=..., "
            "or larger images"
        )
    _found[model] = (key, name)
    return name


def _run_once(model: nn.Module, modules: dict[str, nn.Module], image: Tensor) -> tuple[str | None, bool]:
    """Runs one image; returns the last module with a feature map, and whether tokens came later."""
    spatial, tokens = None, False

    def look(name: str, output: Tensor) -> None:
        nonlocal spatial, tokens
        grid = to_grid(output, image) if output.dim() == 4 else None
        if grid is not None and grid.shape[-2] * grid.shape[-1] > 1:
            spatial, tokens = name, False
        elif output.dim() == 3 and output.shape[1] > 1:
            tokens = True

    with _watched(modules, look):
        model(image)
    return spatial, tokens


def _last_tokens(model: nn.Module, modules: dict[str, nn.Module], image: Tensor) -> str | None:
    """Returns the last module with tokens on whose patches the logits depend; see `last_spatial`."""
    seen: dict[str, Tensor] = {}

    def keep(name: str, output: Tensor) -> Tensor | None:
        if output.dim() != 3 or to_grid(output, image) is None or not output.requires_grad:
            return None
        seen.pop(name, None)  # for a module that runs several times, the last run is used
        seen[name] = output
        return output.clone()  # later modules may modify it in place

    with torch.enable_grad():
        with _watched(modules, keep):
            logits = bare_logits(model(image.detach().clone().requires_grad_()))
        # weights that no normalisation cancels
        score = (logits * torch.linspace(1, 2, logits.shape[-1], device=logits.device)).sum()
        gradients = torch.autograd.grad(score, list(seen.values()), allow_unused=True) if seen else ()
    grids = {name: to_grid(g, image) for name, g in zip(seen, gradients, strict=True)}
    counting = [name for name, grid in grids.items() if grid is not None and bool((grid != 0).any())]
    if not counting or counting[-1] == list(seen)[-1]:
        return counting[-1] if counting else None
    norms = [name for name in counting if "Norm" in type(modules[name]).__name__]
    return (norms or counting)[-1]


@contextmanager
def _watched(modules: dict[str, nn.Module], look: Callable[[str, Tensor], Tensor | None]) -> Iterator[None]:
    """Passes the output of every module but pools, in this thread, to `look`, whose result replaces it."""
    thread = threading.get_ident()

    def hook(name: str, module: nn.Module, output: object) -> Tensor | None:
        if threading.get_ident() != thread or not isinstance(output, Tensor) or "Pool" in type(module).__name__:
            return None
        return look(name, output)

    with ExitStack() as stack:
        for name, module in modules.items():
            if name:
                handle = module.register_forward_hook(lambda m, _, output, name=name: hook(name, m, output))
                stack.callback(handle.remove)
        yield
