"""Propagates relevance through any model, as gradients times inputs.

Write each tensor's relevance as R = a m, with its values a. A function y = f(a, b, ...) that is homogeneous of degree
1 in the inputs that depend on the image satisfies sum_i a_i dy/da_i = y, so that the plain gradient, m_a = m_y dy/da,
divides R_y = y m_y in proportion to the contributions: sums of branches, concatenations, means, pooling, padding,
views, ReLU. Autograd does all of this, in the order in which the model computes. Only other functions need a rule:

- activations, y = f(a): all relevance goes to a, hence m_a = m_y y / a;
- BatchNorm is merged into the layer before it, or is an affine map of its own;
- LayerNorm and its relatives divide by a standard deviation that counts as constant;
- a gate times a value: the gate counts as constant, so that the value gets the relevance. Of two factors the gate is
  what came out of a sigmoid, a softmax or their relatives, else the one that is broadcast;
- other products of two factors, also matrix products, are of degree 2: each gets one half (the uniform rule);
- a softmax counts as constant, or as its tangent: R_i = x_i (R_i - s_i sum_j R_j) / x_i, which is its plain gradient;
- convolutions and fully connected layers follow the rule of a `Composite`.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from cv_attention.blocks.functional import attention_weights
from cv_attention.saliency.methods.relevance._functions import IN_TURN, depends, in_place, names
from cv_attention.saliency.methods.relevance._layers import Layers
from cv_attention.saliency.methods.relevance._ledger import Ledger
from cv_attention.saliency.methods.relevance._linear import Redirect
from cv_attention.saliency.methods.relevance.composites import Composite

# All relevance goes to the input of these; their value at 0 is 0.
_ACTIVATIONS = (
    *("gelu", "silu", "silu_", "hardswish", "hardswish_", "mish", "mish_", "elu", "elu_", "selu", "selu_", "celu"),
    *("celu_", "hardtanh", "hardtanh_", "relu6", "relu6_", "clamp", "clamp_", "clamp_max", "clamp_max_", "clamp_min"),
    *("clamp_min_", "clip", "square", "tanh", "tanh_", "hardshrink", "softshrink", "tanhshrink", "pow", "__pow__"),
    *("pow_", "softsign"),
)
_GATES = ("sigmoid", "sigmoid_", "hardsigmoid", "hardsigmoid_")
_TANGENTS = (
    *("exp", "exp_", "log", "log1p", "sqrt", "sqrt_", "rsqrt", "reciprocal", "erf", "softplus", "logsigmoid", "sin"),
    *("cos", "log_softmax"),
)
_NORMS = ("layer_norm", "group_norm", "instance_norm", "rms_norm")
# A gate remains one in another shape.
_SHAPES = (
    *("view", "reshape", "unsqueeze", "squeeze", "expand", "expand_as", "permute", "transpose", "flatten", "unflatten"),
    *("repeat", "repeat_interleave", "contiguous", "to", "type_as", "clone", "float", "upsample_nearest2d", "movedim"),
    *("upsample_bilinear2d", "upsample_bicubic2d", "roll", "view_as", "swapaxes", "t", *IN_TURN),
)


class Propagation(Layers):
    """Bends the gradients of everything that runs in this mode, so that gradient times input is relevance.

    Args:
        composite: The rules of linear layers.
        softmax: ``"tangent"`` (AttnLRP), or ``"constant"``, through which no relevance flows.
        ledger: Receives what does not reach the image; None keeps no account, which costs less.
    """

    def __init__(self, composite: Composite, softmax: str, ledger: Ledger | None = None) -> None:
        super().__init__(composite, ledger)
        self.softmax = softmax
        self.rules |= (
            dict.fromkeys(_ACTIVATIONS, self._activation)
            | dict.fromkeys(_GATES, self._gate)
            | dict.fromkeys(_TANGENTS, self._tangent)
            | dict.fromkeys(_NORMS, self._norm)
            | dict.fromkeys(_SHAPES, self._shape)
            | dict.fromkeys(names("add", "sub"), self._sum)
            | dict.fromkeys(names("mul", "multiply"), self._product)
            | dict.fromkeys(names("div", "truediv", "true_divide", "divide"), self._quotient)
            | dict.fromkeys(("matmul", "bmm", "mm", "__matmul__", "__rmatmul__", "einsum"), self._matmul)
            | dict.fromkeys(("cat", "concat", "concatenate", "stack", "addcmul"), self._joined)
            | {"softmax": self._softmax, "_softmax": self._softmax}
            | {"baddbmm": self._baddbmm, "scaled_dot_product_attention": self._attention}
        )

    def normalise(self, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
        """Normalises by the statistics of the batch, of which the deviation counts as constant."""
        return self._scaled(self._normalised(x, (0, *range(2, x.dim())), eps), weight, bias)

    def _norm(self, func: Callable, x: Tensor, *rest: Any, **options: Any) -> Tensor:
        name = func.__name__
        if name in ("layer_norm", "rms_norm"):
            shape = rest[0] if rest else options["normalized_shape"]
            order = ("weight", "bias", "eps") if name == "layer_norm" else ("weight", "eps")
            given = {**dict(zip(order, rest[1:], strict=False)), **options}
            eps = torch.finfo(x.dtype).eps if given.get("eps") is None else given["eps"]
            y = self._normalised(x, tuple(range(-len(shape), 0)), eps, centred=name == "layer_norm")
            return self._scaled(y, given.get("weight"), given.get("bias"), last=True)
        if name == "group_norm":
            groups = rest[0]
            given = {**dict(zip(("weight", "bias", "eps"), rest[1:], strict=False)), **options}
            parts = x.unflatten(1, (groups, -1))
            y = self._normalised(parts, tuple(range(2, parts.dim())), given.get("eps", 1e-5))
            return self._scaled(y.flatten(1, 2), given.get("weight"), given.get("bias"))
        if rest[2] is not None and not rest[4]:  # instance norm by running statistics
            weight, bias, mean, var, _, momentum, eps, cudnn = rest
            return self._batch_norm(torch.batch_norm, x, weight, bias, mean, var, False, momentum, eps, cudnn)
        y = self._normalised(x, tuple(range(2, x.dim())), rest[6])
        return self._scaled(y, rest[0], rest[1])

    def _normalised(self, x: Tensor, over: tuple[int, ...], eps: float, *, centred: bool = True) -> Tensor:
        """Normalises by a standard deviation that counts as constant; means are linear."""
        u = x - x.mean(over, keepdim=True) if centred else x
        with torch.no_grad():
            rate = torch.rsqrt(u.square().mean(over, keepdim=True) + eps)
        return u * rate

    def _scaled(self, x: Tensor, weight: Tensor | None, bias: Tensor | None, *, last: bool = False) -> Tensor:
        shape = () if last else (-1, *[1] * (x.dim() - 2))
        if weight is not None:
            x = x * (weight if last else weight.view(shape))
        if bias is None:
            return x
        return self._sum(torch.add, x, bias if last else bias.view(shape), kind="normalisation")

    def _activation(self, func: Callable, x: Tensor, *rest: Any, **options: Any) -> Tensor:
        if not x.requires_grad or any(map(depends, rest)):
            return func(x, *rest, **options)
        with torch.no_grad():
            y = func(x.clone() if in_place(func) else x, *rest, **options)
            ratio = torch.where(x == 0, 0, y / torch.where(x == 0, 1, x))
        if in_place(func):
            return x.mul_(ratio)
        return Redirect.apply(x, ratio, [y])  # pyright: ignore[reportReturnType]

    def _gate(self, func: Callable, x: Tensor, *rest: Any, **options: Any) -> Tensor:
        return _mark(self._tangent(func, x, *rest, **options))

    def _tangent(self, func: Callable, x: Tensor, *rest: Any, **options: Any) -> Tensor:
        kind = func.__name__.rstrip("_")
        if in_place(func) or not self.ledger:
            return func(x, *rest, **options)
        [x] = self.ledger.enter(kind, [x])
        y = func(x, *rest, **options)
        self.ledger.leave(kind, y)
        return y

    def _softmax(self, func: Callable, x: Tensor, *rest: Any, **options: Any) -> Tensor:
        if self.softmax == "constant":
            return _mark(func(x.detach(), *rest, **options))
        return _mark(self._tangent(func, x, *rest, **options))

    def _shape(self, func: Callable, *args: Any, **options: Any) -> Any:
        output = func(*args, **options)
        first = args[0]
        return _mark(output) if isinstance(first, Tensor) and _marked(first) else output

    def _sum(self, func: Callable, a: Any, b: Any, *rest: Any, kind: str = "constants", **options: Any) -> Tensor:
        y = func(a, b, *rest, **options)
        if depends(a) and depends(b):
            return y
        if _marked(a) or _marked(b):
            _mark(y)
        if self.ledger:
            constant = b if depends(a) else a
            sign = -options.get("alpha", 1) if "sub" in func.__name__ else options.get("alpha", 1)
            if "rsub" in func.__name__ or constant is a:
                sign = 1
            self.ledger.leave(kind, y, (torch.as_tensor(constant, device=y.device) * sign).to(y.dtype).expand_as(y))
        return y

    def _product(self, func: Callable, a: Any, b: Any, *rest: Any, **options: Any) -> Tensor:
        if not (depends(a) and depends(b)):
            y = func(a, b, *rest, **options)
            return _mark(y) if _marked(a) or _marked(b) else y
        gates = _marked(a), _marked(b)
        if gates[0] == gates[1]:
            gates = a.numel() < b.numel(), b.numel() < a.numel()
        if gates[1]:
            return func(a, b.detach(), *rest, **options)
        if gates[0] and not in_place(func):
            return func(a.detach(), b, *rest, **options)
        y = func(a, b, *rest, **options)
        y.register_hook(lambda g: g / 2)
        return _mark(y) if _marked(a) and _marked(b) else y

    def _quotient(self, func: Callable, a: Any, b: Any, *rest: Any, **options: Any) -> Tensor:
        if depends(a) and depends(b):
            b = b.detach()
        y = func(a, b, *rest, **options)
        return _mark(y) if _marked(a) else y

    def _matmul(self, func: Callable, *args: Any, **options: Any) -> Tensor:
        factors = args[1:] if isinstance(args[0], str) else args
        if len(factors) == 1 and isinstance(factors[0], list | tuple):
            factors = factors[0]
        number = sum(map(depends, factors))
        y = func(*args, **options)
        if number > 1:
            y.register_hook(lambda g: g / number)
        return y

    def _baddbmm(self, func: Callable, x: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
        y = self._matmul(torch.bmm, a, b) * alpha
        return self._sum(torch.add, y, x * beta) if beta else y

    def _joined(self, func: Callable, *args: Any, **options: Any) -> Tensor:
        if not self.ledger:
            return func(*args, **options)
        parts = args[0] if isinstance(args[0], list | tuple) else args
        y = func(*args, **options)
        zeroed = [torch.zeros_like(part) if depends(part) else part for part in parts]
        with torch.no_grad():
            rest = func(zeroed, *args[1:], **options) if parts is args[0] else func(*zeroed, **options)
        self.ledger.leave("constants", y, rest)
        return y

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
        if self.softmax == "constant":
            return func(query.detach(), key.detach(), value, attn_mask, 0.0, is_causal, **options)
        with self:
            weights = attention_weights(query, key, attn_mask=attn_mask, is_causal=is_causal, **options)
            if value.dim() > 2 and value.shape[-3] != weights.shape[-3]:  # grouped queries
                value = value.repeat_interleave(weights.shape[-3] // value.shape[-3], -3)
            return weights.to(value.dtype) @ value


def _marked(value: Any) -> bool:
    return getattr(value, "_is_gate", False)


def _mark(output: Any) -> Any:
    """Marks the output of a gate's activation, or each of several."""
    for value in (output,) if isinstance(output, Tensor) else output:
        if isinstance(value, Tensor):
            value._is_gate = True  # pyright: ignore[reportAttributeAccessIssue]
    return output
