"""Passes differences between images and a baseline back through any model: DeepLIFT's rescale rule.

Every function must give the difference of its output as multipliers times the
differences of its inputs. Linear functions do so by their gradient. Of y = f(a), elementwise, the multiplier is
dy / da, a quotient of differences. Of a product, with means over image and baseline written [a]:
d(a b) = [b] da + [a] db, exactly; the same holds for matrix products. Softmax and normalisations are made of these.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

from cv_attention.blocks.functional import attention_weights
from cv_attention.saliency.core.forward import copies
from cv_attention.saliency.core.outputs.results import Result
from cv_attention.saliency.core.targets import target_scores
from cv_attention.saliency.methods.relevance._functions import Functions, depends, in_place, names
from cv_attention.saliency.methods.relevance._linear import Redirect

_ELEMENTWISE = (
    *("relu", "relu_", "leaky_relu", "leaky_relu_", "prelu", "gelu", "silu", "silu_", "hardswish", "hardswish_"),
    *("mish", "mish_", "elu", "elu_", "selu", "selu_", "celu", "celu_", "hardtanh", "hardtanh_", "relu6", "relu6_"),
    *("clamp", "clamp_", "clamp_min", "clamp_min_", "clamp_max", "clamp_max_", "clip", "square", "tanh", "tanh_"),
    *("sigmoid", "sigmoid_", "hardsigmoid", "hardsigmoid_", "exp", "exp_", "log", "log1p", "sqrt", "sqrt_", "rsqrt"),
    *("reciprocal", "erf", "softplus", "abs", "pow", "__pow__", "pow_", "logsigmoid", "softsign", "sin", "cos"),
)
_OTHERWISE = "the model computes something else for the baseline than for the images"
_SMALLEST = 1e-7  # a smaller difference takes the derivative in place of the quotient


class Differences(Functions):
    """Bends gradients to DeepLIFT's multipliers.

    The baseline runs first, and leaves the inputs of every function with a rule; the images follow, and take them up in
    the same order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.recording = True
        self.tape: deque[tuple[tuple, list[Any]]] = deque()
        self.rules = (
            dict.fromkeys(_ELEMENTWISE, self._elementwise)
            | dict.fromkeys(names("mul", "multiply"), self._product)
            | dict.fromkeys(names("div", "truediv", "true_divide", "divide"), self._quotient)
            | dict.fromkeys(("matmul", "bmm", "mm", "__matmul__", "__rmatmul__"), self._product)
            | {"baddbmm": self._baddbmm, "scaled_dot_product_attention": self._attention, "softmax": self._softmax}
            | {"max_pool2d": self._pool, "amax": self._largest, "max": self._largest, "norm": self._norm}
            | dict.fromkeys(("layer_norm", "rms_norm"), self._layer_norm)
            | {"group_norm": self._group_norm, "instance_norm": self._instance_norm}
        )

    def _base(self, func: Callable, *values: Any) -> list[Any] | None:
        """Leaves the baseline's values and returns None, or takes them up for the images."""
        kind = (getattr(func, "__name__", ""), [getattr(value, "shape", None) for value in values])
        if self.recording:
            self.tape.append((kind, [v.detach().clone() if isinstance(v, Tensor) else v for v in values]))
            return None
        before, base = self.tape.popleft() if self.tape else (None, [])
        if before != kind:
            raise ValueError(_OTHERWISE)
        return base

    def _elementwise(self, func: Callable, x: Tensor, *rest: Any, **options: Any) -> Tensor:
        base = None if any(map(depends, rest)) else self._base(func, x)
        if base is None:
            return func(x, *rest, **options)
        found, _ = _quotients(lambda v: func(v.clone(), *rest, **options), x, base[0])
        return x.copy_(found) if in_place(func) else found

    def _product(self, func: Callable, a: Any, b: Any, *rest: Any, **options: Any) -> Tensor:
        base = self._base(func, a, b) if depends(a) and depends(b) else None
        if base is None:
            return func(a, b, *rest, **options)
        found, _ = _products(torch.mul if in_place(func) else func, a, b, *base)
        return a.copy_(found) if in_place(func) else found

    def _quotient(self, func: Callable, a: Any, b: Any, *rest: Any, **options: Any) -> Tensor:
        base = self._base(func, a, b) if depends(b) and not (in_place(func) or rest or options) else None
        if base is None:
            return func(a, b, *rest, **options)
        inverse, before = _quotients(torch.reciprocal, b, base[1])
        if depends(a):
            return _products(torch.mul, a, inverse, base[0], before)[0]
        return inverse * a

    def _softmax(self, func: Callable, x: Tensor, dim: int = -1, *rest: Any, **options: Any) -> Tensor:
        base = self._base(func, x)
        if base is None:
            return func(x, dim, *rest, **options)
        dim = options.get("dim", dim)
        top = torch.maximum(x.detach(), base[0]).amax(dim, keepdim=True)
        e, before = _quotients(torch.exp, x - top, base[0] - top)
        inverse, inverse_before = _quotients(torch.reciprocal, e.sum(dim, keepdim=True), before.sum(dim, keepdim=True))
        return _products(torch.mul, e, inverse, before, inverse_before)[0]

    def _normalised(self, x: Tensor, base: Tensor, over: tuple[int, ...], eps: float, centred: bool = True) -> Tensor:
        u = x - x.mean(over, keepdim=True) if centred else x
        before = base - base.mean(over, keepdim=True) if centred else base
        square, square_before = _quotients(torch.square, u, before)
        variance, variance_before = square.mean(over, keepdim=True) + eps, square_before.mean(over, keepdim=True) + eps
        rate, rate_before = _quotients(torch.rsqrt, variance, variance_before)
        return _products(torch.mul, u, rate, before, rate_before)[0]

    def _layer_norm(self, func: Callable, x: Tensor, shape: Any, *rest: Any, **options: Any) -> Tensor:
        base = self._base(func, x)
        if base is None:
            return func(x, shape, *rest, **options)
        order = ("weight", "bias", "eps") if func.__name__ == "layer_norm" else ("weight", "eps")
        given = {**dict(zip(order, rest, strict=False)), **options}
        eps = given.get("eps")
        eps = torch.finfo(x.dtype).eps if eps is None else eps
        y = self._normalised(x, base[0], tuple(range(-len(shape), 0)), eps, func.__name__ == "layer_norm")
        y = y if given.get("weight") is None else y * given["weight"]
        return y if given.get("bias") is None else y + given["bias"]

    def _group_norm(self, func: Callable, x: Tensor, groups: int, *rest: Any, **options: Any) -> Tensor:
        base = self._base(func, x)
        if base is None:
            return func(x, groups, *rest, **options)
        given = {**dict(zip(("weight", "bias", "eps"), rest, strict=False)), **options}
        parts, before = (v.unflatten(1, (groups, -1)) for v in (x, base[0]))
        y = self._normalised(parts, before, tuple(range(2, parts.dim())), given.get("eps", 1e-5)).flatten(1, 2)
        return _scaled(y, given.get("weight"), given.get("bias"))

    def _instance_norm(self, func: Callable, x: Tensor, weight: Any, bias: Any, *rest: Any) -> Tensor:
        mean, _, from_image, _, eps, _ = rest
        base = None if mean is not None and not from_image else self._base(func, x)
        if base is None:
            return func(x, weight, bias, *rest)
        return _scaled(self._normalised(x, base[0], tuple(range(2, x.dim())), eps), weight, bias)

    def _baddbmm(self, func: Callable, x: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
        y = self._product(torch.bmm, a, b) * alpha
        return y + x * beta if beta else y

    def _attention(
        self,
        func: Callable,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        **options: Any,
    ) -> Tensor:
        with self:
            weights = attention_weights(query, key, attn_mask=attn_mask, is_causal=is_causal, **options)
            if value.dim() > 2 and value.shape[-3] != weights.shape[-3]:  # grouped queries
                value = value.repeat_interleave(weights.shape[-3] // value.shape[-3], -3)
            return weights.to(value.dtype) @ value

    def _pool(self, func: Callable, x: Tensor, *rest: Any, **options: Any) -> Any:
        base = None if options.get("return_indices") else self._base(func, x)
        if base is None:
            return func(x, *rest, **options)
        options = {**options, "return_indices": True}
        (y, here), (before, there) = (F.max_pool2d(v, *rest, **options) for v in (x.detach(), base[0]))
        pair = (y.detach().clone(), before), (here, there)
        return Largest.apply(x, base[0], *pair, [y])

    def _norm(
        self, func: Callable, x: Tensor, p: Any = 2, dim: Any = None, keepdim: bool = False, **options: Any
    ) -> Any:
        base = self._base(func, x) if p in (2, "fro") and dim is not None else None
        if base is None:
            return func(x, p, dim, keepdim, **options)
        square, before = _quotients(torch.square, x, base[0])
        return _quotients(torch.sqrt, square.sum(dim, keepdim=keepdim), before.sum(dim, keepdim=keepdim))[0]

    def _largest(self, func: Callable, x: Tensor, *rest: Any, **options: Any) -> Any:
        """Handles a maximum over some axes; that of two tensors keeps its gradient."""
        dim = options.get("dim", rest[0] if rest else None)
        dims = [dim] if isinstance(dim, int) else list(dim) if isinstance(dim, tuple | list) and dim else []
        base = self._base(func, x) if dims and all(d % x.dim() for d in dims) else None
        if base is None:
            return func(x, *rest, **options)
        keep = options.get("keepdim", rest[1] if len(rest) > 1 else False)
        last = list(range(-len(dims), 0))
        rows = x.movedim(dims, last).flatten(-len(dims))
        row, before = rows.flatten(1, -2), base[0].movedim(dims, last).flatten(-len(dims)).flatten(1, -2)
        (y, here), (lower, there) = (v.max(-1, keepdim=True) for v in (row.detach(), before))
        found = Largest.apply(row, before, (y.clone(), lower), (here, there), [y])
        shape = [1 if i in [d % x.dim() for d in dims] else size for i, size in enumerate(x.shape)]
        found, places = (v.view(shape) if keep else v.view(rows.shape[:-1]) for v in (found, here))
        return found if func.__name__ == "amax" else torch.return_types.max((found, places))


class Largest(Function):
    """Returns maxima; their difference goes to where the image's and the baseline's maxima lie, as in SHAP."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, base: Tensor, values: tuple, places: tuple, found: list[Tensor]) -> Tensor:
        """Takes inputs (B, C, ...) of image and baseline, their maxima, and the positions of these."""
        ctx.x, ctx.base, ctx.values, ctx.places = x.detach().clone(), base, values, places
        return found.pop()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Divides contributions by the inputs' differences."""
        g, (y, before), (here, there) = (
            gradients[0].flatten(2),
            (v.flatten(2) for v in ctx.values),
            (p.flatten(2) for p in ctx.places),
        )
        first, second, top = ctx.x.flatten(2), ctx.base.flatten(2), torch.maximum(y, before)
        # Of equal maxima, as in a baseline of one colour, the one counts that is the other's maximum, too.
        there = torch.where(second.gather(2, here) == before, here, there)
        here = torch.where(first.gather(2, there) == y, there, here)
        shares = torch.zeros_like(first).scatter_add(2, here, g * (top - before)).scatter_add(2, there, g * (y - top))
        plain = torch.zeros_like(first).scatter_add(2, here, g)
        difference = first - second
        near = difference.abs() < _SMALLEST
        m = torch.where(near, plain, shares / torch.where(near, 1, difference))
        return m.view(ctx.x.shape), None, None, None, None


class Beside(nn.Module):
    """Runs a baseline and then the images, in a mode; its class has the model's name, for messages."""

    def __new__(cls, model: nn.Module, *_: Any) -> "Beside":
        """Returns an instance of a class that is called like the model's."""
        return super().__new__(type(type(model).__name__, (cls,), {}))  # pyright: ignore[reportArgumentType]

    def __init__(self, model: nn.Module, baseline: Tensor) -> None:
        super().__init__()
        self.model, self.baseline = model, baseline

    def forward(self, images: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Returns the model's output for the images; further arguments are those of the baseline, too."""
        if not images.requires_grad:
            return self.model(images, *args, **kwargs)
        mode = Differences()
        with mode:
            self.model(self.baseline.clone().requires_grad_().clone(), *copies(args), **copies(kwargs))
        mode.recording = False
        with mode:
            output = self.model(images, *args, **kwargs)
        if mode.tape:
            raise ValueError(_OTHERWISE)
        return output


class Scored(nn.Module):
    """Returns the scores (B, T) of targets as a model's output; its class has the model's name, for messages."""

    def __new__(cls, model: nn.Module, *_: Any) -> "Scored":
        """Returns an instance of a class that is called like the model's."""
        return super().__new__(type(type(model).__name__, (cls,), {}))  # pyright: ignore[reportArgumentType]

    def __init__(self, model: nn.Module, targets: Sequence[Any]) -> None:
        super().__init__()
        self.model, self.targets = model, list(targets)

    def forward(self, images: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Returns the scores of the images."""
        result = Result(self.model(images, *args, **kwargs), len(images), type(self.model).__name__)
        return torch.stack([target_scores(result, target) for target in self.targets], 1)


def _quotients(f: Callable[[Tensor], Tensor], x: Tensor, base: Tensor) -> tuple[Tensor, Tensor]:
    """Returns f(x), whose multiplier is the quotient of differences, and f(base)."""
    with torch.enable_grad():
        alone = x.detach().clone().requires_grad_()
        y = f(alone)
        [slope] = torch.autograd.grad(y.sum(), alone)
    y = y.detach()
    with torch.no_grad():
        before, difference = f(base), x.detach() - base
        near = difference.abs() < _SMALLEST
        factor = torch.where(near, slope, (y - before) / torch.where(near, 1, difference))
    return Redirect.apply(x, factor, [y]), before  # pyright: ignore[reportReturnType]


def _products(work: Callable, a: Tensor, b: Tensor, before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the product of a and b with the multipliers of a product, and that of their baselines."""
    with torch.no_grad():
        y, base = work(a, b), work(before, after)
    carrier = work(a, (b.detach() + after) / 2) + work((a.detach() + before) / 2, b)
    one = torch.ones((), dtype=carrier.dtype, device=carrier.device)
    return Redirect.apply(carrier, one, [y]), base  # pyright: ignore[reportReturnType]


def _scaled(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    shape = (-1, *[1] * (x.dim() - 2))
    x = x if weight is None else x * weight.view(shape)
    return x if bias is None else x + bias.view(shape)
