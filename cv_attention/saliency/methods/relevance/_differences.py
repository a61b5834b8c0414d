"""Passes differences between images and a baseline back through any model: DeepLIFT's rescale rule.

Images and baseline run as one batch. Every function must give the difference of its output as multipliers times the
differences of its inputs. Linear functions do so by their gradient. Of y = f(a), elementwise, the multiplier is
dy / da, a quotient of differences. Of a product, with means over image and baseline written [a]:
d(a b) = [b] da + [a] db, exactly; the same holds for matrix products. Softmax and normalisations are made of these.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

from cv_attention.blocks.functional import attention_weights
from cv_attention.saliency.core.layers import bare_logits
from cv_attention.saliency.methods.relevance._functions import Functions, depends, in_place, names
from cv_attention.saliency.methods.relevance._linear import Redirect

_ELEMENTWISE = (
    *("relu", "relu_", "leaky_relu", "leaky_relu_", "prelu", "gelu", "silu", "silu_", "hardswish", "hardswish_"),
    *("mish", "mish_", "elu", "elu_", "selu", "selu_", "celu", "celu_", "hardtanh", "hardtanh_", "relu6", "relu6_"),
    *("clamp", "clamp_", "clamp_min", "clamp_min_", "clamp_max", "clamp_max_", "clip", "square", "tanh", "tanh_"),
    *("sigmoid", "sigmoid_", "hardsigmoid", "hardsigmoid_", "exp", "exp_", "log", "log1p", "sqrt", "sqrt_", "rsqrt"),
    *("reciprocal", "erf", "softplus", "abs", "pow", "__pow__", "pow_", "logsigmoid", "softsign", "sin", "cos"),
)
_SMALLEST = 1e-7  # a smaller difference takes the derivative in place of the quotient


class Differences(Functions):
    """Bends the gradients of the first half of a batch to DeepLIFT's multipliers; the second half is the baseline.

    Args:
        batch: Number of images, half of what runs.
    """

    def __init__(self, batch: int) -> None:
        super().__init__()
        self.batch = batch
        self.rules = (
            dict.fromkeys(_ELEMENTWISE, self._elementwise)
            | dict.fromkeys(names("mul", "multiply"), self._product)
            | dict.fromkeys(names("div", "truediv", "true_divide", "divide"), self._quotient)
            | dict.fromkeys(("matmul", "bmm", "mm", "__matmul__", "__rmatmul__"), self._product)
            | {"baddbmm": self._baddbmm, "scaled_dot_product_attention": self._attention, "softmax": self._softmax}
            | {"max_pool2d": self._pool, "amax": self._largest, "max": self._largest}
            | dict.fromkeys(("layer_norm", "rms_norm"), self._layer_norm)
            | {"group_norm": self._group_norm, "instance_norm": self._instance_norm}
        )

    def halves(self, x: Tensor) -> tuple[Tensor, Tensor, int] | None:
        """Returns images' and baseline's part of a tensor and their axis, or None if it has no such parts."""
        for axis in range(min(x.dim(), 2)):
            size = x.shape[axis]
            if size == 2 * self.batch or (axis == 0 and size % (2 * self.batch) == 0 and size):
                return *x.detach().chunk(2, axis), axis
        return None

    def _mean(self, x: Tensor) -> Tensor:
        """Returns a constant, the mean of image and baseline in both halves."""
        parts = self.halves(x)
        if parts is None:
            return x.detach()
        first, second, axis = parts
        return torch.cat([(first + second) / 2] * 2, axis)

    def _elementwise(self, func: Callable, x: Tensor, *rest: Any, **options: Any) -> Tensor:
        parts = self.halves(x) if not any(map(depends, rest)) else None
        if parts is None:
            return func(x, *rest, **options)
        with torch.enable_grad():
            alone = x.detach().clone().requires_grad_()
            y = func(alone.clone(), *rest, **options)
            [slope] = torch.autograd.grad(y.sum(), alone)
        y = y.detach()
        before, after = parts[0] - parts[1], torch.sub(*y.chunk(2, parts[2]))
        near = before.abs() < _SMALLEST
        quotient = torch.where(near, slope.chunk(2, parts[2])[0], after / torch.where(near, 1, before))
        factor = torch.cat([quotient, torch.zeros_like(quotient)], parts[2])
        found = Redirect.apply(x, factor, [y])
        return x.copy_(found) if in_place(func) else found  # pyright: ignore[reportReturnType, reportArgumentType]

    def _product(self, func: Callable, a: Any, b: Any, *rest: Any, **options: Any) -> Tensor:
        if not (depends(a) and depends(b)):
            return func(a, b, *rest, **options)
        with torch.no_grad():
            y = func(a.detach().clone() if in_place(func) else a, b, *rest, **options)
        work = torch.mul if in_place(func) else func
        carrier = work(a, self._mean(b)) + work(self._mean(a), b)
        found = Redirect.apply(carrier, torch.ones((), dtype=carrier.dtype, device=carrier.device), [y])
        return a.copy_(found) if in_place(func) else found  # pyright: ignore[reportReturnType, reportArgumentType]

    def _quotient(self, func: Callable, a: Any, b: Any, *rest: Any, **options: Any) -> Tensor:
        if not depends(b) or in_place(func) or rest or options:
            return func(a, b, *rest, **options)
        inverse = self._elementwise(torch.reciprocal, b)
        return self._product(torch.mul, a, inverse) if isinstance(a, Tensor) else inverse * a

    def _softmax(self, func: Callable, x: Tensor, dim: int = -1, *rest: Any, **options: Any) -> Tensor:
        dim = options.get("dim", dim)
        top = x.detach().amax(dim, keepdim=True)
        parts = self.halves(top)
        if parts is not None:
            top = torch.cat([torch.maximum(parts[0], parts[1])] * 2, parts[2])
        e = self._elementwise(torch.exp, x - top)
        return self._quotient(torch.div, e, e.sum(dim, keepdim=True))

    def _normalised(self, x: Tensor, over: tuple[int, ...], eps: float, centred: bool = True) -> Tensor:
        u = x - x.mean(over, keepdim=True) if centred else x
        variance = self._elementwise(torch.square, u).mean(over, keepdim=True)
        return self._product(torch.mul, u, self._elementwise(torch.rsqrt, variance + eps))

    def _layer_norm(self, func: Callable, x: Tensor, shape: Any, *rest: Any, **options: Any) -> Tensor:
        order = ("weight", "bias", "eps") if func.__name__ == "layer_norm" else ("weight", "eps")
        given = {**dict(zip(order, rest)), **options}  # noqa: B905
        eps = given.get("eps")
        eps = torch.finfo(x.dtype).eps if eps is None else eps
        y = self._normalised(x, tuple(range(-len(shape), 0)), eps, func.__name__ == "layer_norm")
        y = y if given.get("weight") is None else y * given["weight"]
        return y if given.get("bias") is None else y + given["bias"]

    def _group_norm(self, func: Callable, x: Tensor, groups: int, *rest: Any, **options: Any) -> Tensor:
        given = {**dict(zip(("weight", "bias", "eps"), rest)), **options}  # noqa: B905
        parts = x.unflatten(1, (groups, -1))
        y = self._normalised(parts, tuple(range(2, parts.dim())), given.get("eps", 1e-5)).flatten(1, 2)
        return _scaled(y, given.get("weight"), given.get("bias"))

    def _instance_norm(self, func: Callable, x: Tensor, weight: Any, bias: Any, *rest: Any) -> Tensor:
        mean, _, from_image, _, eps, _ = rest
        if mean is not None and not from_image:
            return func(x, weight, bias, *rest)
        return _scaled(self._normalised(x, tuple(range(2, x.dim())), eps), weight, bias)

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
        if self.halves(x) is None or options.pop("return_indices", False):
            return func(x, *rest, **options)
        y, places = torch.nn.functional.max_pool2d(x.detach(), *rest, **options, return_indices=True)
        return Largest.apply(x, x.detach().clone(), places.flatten(2), [y])

    def _largest(self, func: Callable, x: Tensor, *rest: Any, **options: Any) -> Any:
        """Handles a maximum over one axis; those of two tensors and of several axes keep their gradient."""
        dim = options.get("dim", rest[0] if rest else None)
        if isinstance(dim, tuple | list) and len(dim) == 1:
            dim = dim[0]
        axis = None if not isinstance(dim, int) else dim % x.dim()
        if self.halves(x) is None or axis in (None, 0) or func.__name__ not in ("amax", "max"):
            return func(x, *rest, **options)
        keep = options.get("keepdim", rest[1] if len(rest) > 1 else False)
        y, places = x.detach().max(axis, keepdim=True)
        last = x.movedim(axis, -1)
        flat = last.reshape(len(last), -1, last.shape[-1])
        found = Largest.apply(flat, flat.detach().clone(), places.reshape(*flat.shape[:2], 1), [y.reshape(*flat.shape[:2], 1)])
        found = found.reshape(*last.shape[:-1], 1).movedim(-1, axis)  # pyright: ignore[reportOptionalMemberAccess]
        found = found if keep else found.squeeze(axis)
        return found if func.__name__ == "amax" else torch.return_types.max((found, places if keep else places.squeeze(axis)))


class Largest(Function):
    """Returns maxima; their difference goes to where the image's and the baseline's maxima lie, as in SHAP and captum."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, values: Tensor, places: Tensor, found: list[Tensor]) -> Tensor:
        """Takes inputs (2 B, C, ...) and the positions (2 B, C, n) of the maxima in them."""
        ctx.values, ctx.places = values, places
        y = found.pop()
        ctx.y = y.detach().clone()
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Divides contributions by the inputs' differences."""
        g = gradients[0].flatten(2).chunk(2)[0]
        (y, base), (here, there) = ctx.y.flatten(2).chunk(2), ctx.places.chunk(2)
        top = torch.maximum(y, base)
        first, second = ctx.values.flatten(2).chunk(2)
        # Of equal maxima, as in a baseline of one colour, the one counts that is the other's maximum, too.
        there = torch.where(second.gather(2, here) == base, here, there)
        here = torch.where(first.gather(2, there) == y, there, here)
        shares = torch.zeros_like(first).scatter_add(2, here, g * (top - base)).scatter_add(2, there, g * (y - top))
        plain = torch.zeros_like(first).scatter_add(2, here, g)
        difference = first - second
        near = difference.abs() < _SMALLEST
        m = torch.where(near, plain, shares / torch.where(near, 1, difference))
        return torch.cat([m, torch.zeros_like(m)]).view(ctx.values.shape), None, None, None


class Beside(nn.Module):
    """Runs images beside a baseline, in a mode; its class has the model's name, for messages."""

    def __new__(cls, model: nn.Module, *_: Any) -> "Beside":
        """Returns an instance of a class that is called like the model's."""
        return super().__new__(type(type(model).__name__, (cls,), {}))

    def __init__(self, model: nn.Module, mode: Differences, baseline: Tensor) -> None:
        super().__init__()
        self.model, self.mode, self.baseline = model, mode, baseline

    def forward(self, images: Tensor) -> Any:
        """Returns the logits of the images."""
        if not images.requires_grad:
            return self.model(images)
        with self.mode:
            return bare_logits(self.model(torch.cat([images, self.baseline])))[: len(images)]


def _scaled(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    shape = (-1, *[1] * (x.dim() - 2))
    x = x if weight is None else x * weight.view(shape)
    return x if bias is None else x + bias.view(shape)
