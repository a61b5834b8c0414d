"""Which modules a saliency method looks at."""

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from cv_attention.maps.wrappers import bare_modules, select, unwrap
from cv_attention.saliency.layouts import to_grid

# None: the last spatial stage; names or globs of modules, or modules themselves.
Layers = str | nn.Module | Sequence[str | nn.Module] | None

# Model -> (what its last spatial module was found for, that module's name).
_found: WeakKeyDictionary[nn.Module, tuple[tuple, str]] = WeakKeyDictionary()


def find_layers(model: nn.Module, images: Tensor, layers: Layers) -> dict[str, nn.Module]:
    """Returns the modules that `layers` means, by name; see `last_spatial` for None.

    Raises:
        ValueError: if a name or glob matches none, or a given module is not in the model.
    """
    modules = {name: module for name, module in bare_modules(model).items() if name}
    if layers is None:
        name = last_spatial(model, images)
        return {name: modules[name]}
    chosen = []
    for layer in [layers] if isinstance(layers, str | nn.Module) else layers:
        if isinstance(layer, str):
            chosen += select(list(modules), [layer], f"module of {type(model).__name__}")
        else:
            chosen += [name for name, module in modules.items() if module is unwrap(layer)]
            if not chosen or modules[chosen[-1]] is not unwrap(layer):
                raise ValueError(f"the given layer {type(layer).__name__} is no module of this {type(model).__name__}")
    if not chosen:
        raise ValueError("layers must name at least one module, got none")
    return {name: modules[name] for name in chosen}


def last_spatial(model: nn.Module, images: Tensor) -> str:
    """Returns the name of the module that gives the last feature map (B, C, H, W) larger than 1x1 before pooling.

    Of nested modules that end together it is the outermost: a ResNet's whole last stage, with the attention inserted
    into it. One forward of one image finds it; the answer is kept until the model's modules or the image size change.

    Raises:
        ValueError: if there is none, or tokens (B, N, C) come after it, as in vision transformers.
    """
    modules = bare_modules(model)
    key = (tuple(map(id, modules.values())), images.shape[1:])
    known = _found.get(model)
    if known is not None and known[0] == key:
        return known[1]
    spatial, tokens = _run_once(model, modules, images[:1])
    if spatial is None:
        raise ValueError(
            f"no module of {type(model).__name__} gives a feature map (B, C, H, W) larger than 1x1 for images of "
            f"{images.shape[-2]}x{images.shape[-1]}; give layers=..., or larger images"
        )
    if tokens is not None:
        raise ValueError(
            f"{type(model).__name__} works on tokens (B, N, C) after its last feature map {spatial!r}, as in "
            f"{tokens!r}; give layers=..., such as the last block but one; after the last only the class token counts"
        )
    _found[model] = (key, spatial)
    return spatial


def _run_once(model: nn.Module, modules: dict[str, nn.Module], image: Tensor) -> tuple[str | None, str | None]:
    """Runs one image; returns the last module with a feature map, and the last with tokens if that came later."""
    last: list[str | None] = [None, None]
    thread = threading.get_ident()

    def look(name: str, module: nn.Module, output: object) -> None:
        if threading.get_ident() != thread or not isinstance(output, Tensor) or "Pool" in type(module).__name__:
            return
        grid = to_grid(output, image) if output.dim() == 4 else None
        if grid is not None and grid.shape[-2] * grid.shape[-1] > 1:
            last[:] = [name, None]
        elif output.dim() == 3 and output.shape[1] > 1:
            last[1] = name

    with ExitStack() as stack:
        for name, module in modules.items():
            if name:
                hook = module.register_forward_hook(lambda m, _, output, name=name: look(name, m, output))
                stack.callback(hook.remove)
        model(image)
    return last[0], last[1]
