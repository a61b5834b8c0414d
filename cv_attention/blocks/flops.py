"""Computes the FLOPs of convolutions and matrix products, the same on every version of torch.

An operation without a formula costs nothing, and torch's registry of formulas differs between versions: before 2.15 it
lacks attention on a CPU, in 2.11 it refuses grouped queries, and no version has `nn.MultiheadAttention`'s fast path,
an LSTM or a deformable convolution. So the formulas here come first, and the registry serves for the rest.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor

Formula = Callable[[tuple[Any, ...], Any], int]  # of the arguments and the output


def flops_of(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    """Returns the floating-point operations of one call; a multiply-add counts as two.

    Args:
        func: An operator, as `TorchDispatchMode` sees it.
        args: Its positional arguments.
        kwargs: Its other arguments.
        out: What it returned.
    """
    operator = getattr(func, "overloadpacket", func)  # an operator of higher order has no overloads
    formula = _formula(str(operator))
    if formula is not None:
        return formula(args, out)
    known = _torchs_formulas().get(operator)
    return known(*args, **kwargs, out_val=out) if known else 0


def _torchs_formulas() -> dict[Any, Any]:
    from torch.utils.flop_counter import flop_registry  # imports triton, where it is installed

    return flop_registry


def _formula(name: str) -> Formula | None:
    """Returns the formula of an operator such as ``aten.mm``; None where only torch may have one."""
    if name.startswith("aten._scaled_dot_product_"):  # one for each device and kernel
        return _attention_backward if name.endswith("_backward") else _attention
    return _FORMULAS.get(name)


def _product(first: int) -> Formula:
    """Returns the formula of a matrix product of the argument number `first` and the next."""

    def flops(args: tuple[Any, ...], out: Any) -> int:
        left, right = args[first], args[first + 1]
        return 2 * left.numel() * (right.shape[-1] if right.dim() > 1 else 1)

    return flops


def _grouped_product(args: tuple[Any, ...], out: Any) -> int:
    left, right = args[:2]
    # Each of a stack of left matrices meets only its own columns of a single right one.
    groups = left.shape[0] if left.dim() == 3 and right.dim() == 2 else 1
    return 2 * left.numel() * right.shape[-1] // max(groups, 1)


def _by_weight(args: tuple[Any, ...], out: Any) -> int:
    """Counts a linear layer or a convolution: each output channel multiplies its weights at every position."""
    weight = args[1] if isinstance(args[1], Tensor) else args[1].unpack()[0]  # packed, where it is quantised
    channels = weight.shape[0] if weight.dim() > 1 else 1
    return 2 * weight.numel() * out.numel() // max(channels, 1)


def _bilinear(args: tuple[Any, ...], out: Any) -> int:
    weight, second = args[1], args[2]
    return 2 * second.shape[0] * (weight.numel() + weight.shape[0] * second.shape[-1])


def _attention(args: tuple[Any, ...], out: Any) -> int:
    """Attention of queries (..., L, E) over keys (..., S, E) and values (..., S, V), whatever is masked."""
    query, key, value = args[:3]
    return 2 * _pairs(query, key) * (query.shape[-1] + value.shape[-1])


def _attention_backward(args: tuple[Any, ...], out: Any) -> int:
    """Computes the weights again, then four products as large as the forward's two."""
    query, key, value = args[1:4]
    return 2 * _pairs(query, key) * (3 * query.shape[-1] + 2 * value.shape[-1])


def _pairs(query: Tensor, key: Tensor) -> int:
    return query.shape[:-1].numel() * key.shape[-2]


def _attention_of_sequences(first: int, lengths: int) -> Formula:
    """Attention over positions before heads: (B, L, heads, E), or sequences end to end (L, heads, E).

    Args:
        first: The number of the argument that is the query.
        lengths: The number of the argument that says where the queries' sequences begin; the keys' follows.
    """

    def flops(args: tuple[Any, ...], out: Any) -> int:
        query, key, value = args[first : first + 3]
        begins, key_begins, longest, key_longest = args[lengths : lengths + 4]
        heads, width = query.shape[-2], query.shape[-1] + value.shape[-1]
        if begins is None:
            pairs = query.shape[:-2].numel() * key.shape[-3]
        else:
            pairs = sum(
                own * other
                for own, other in zip(
                    _lengths(begins, longest),
                    _lengths(begins if key_begins is None else key_begins, key_longest),
                    strict=True,
                )
            )
        return 2 * pairs * heads * width

    return flops


def _lengths(begins: Tensor, longest: int) -> list[int]:
    """Returns each sequence's length; the longest of all where nothing is computed."""
    if begins.is_meta or type(begins) is not Tensor:
        return [int(longest)] * (begins.shape[0] - 1)
    return begins.diff().tolist()


def _multihead(args: tuple[Any, ...], out: Any) -> int:
    """`nn.MultiheadAttention`'s fast path: four projections around attention."""
    query, key, embedding = args[0], args[1], args[3]
    tokens, others = query.numel() // embedding, key.numel() // embedding
    return 4 * embedding**2 * (tokens + others) + 4 * embedding * _pairs_of_tokens(query, key)


def _encoder_layer(args: tuple[Any, ...], out: Any) -> int:
    """`nn.TransformerEncoderLayer`'s fast path."""
    source, embedding, wide, narrow = args[0], args[1], args[14], args[16]
    tokens = source.numel() // embedding
    weights = 4 * embedding**2 + wide.numel() + narrow.numel()
    return 2 * tokens * weights + 4 * embedding * _pairs_of_tokens(source, source)


def _pairs_of_tokens(query: Tensor, key: Tensor) -> int:
    if query.is_nested:  # where tokens of padding are left out
        return sum(own.shape[0] * other.shape[0] for own, other in zip(query.unbind(), key.unbind(), strict=True))
    return _pairs(query, key)


def _recurrent(weights: Callable[[tuple[Any, ...]], list[Tensor]]) -> Formula:
    """Layers of an RNN: every step of every sequence meets every weight."""

    def flops(args: tuple[Any, ...], out: Any) -> int:
        steps = args[0].shape[:-1].numel()
        return 2 * steps * sum(weight.numel() for weight in weights(args) if weight.dim() == 2)

    return flops


_FORMULAS: dict[str, Formula] = {
    "aten.mm": _product(0),
    "aten.bmm": _product(0),
    "aten.mv": _product(0),
    "aten.dot": _product(0),
    "aten.vdot": _product(0),
    "aten._int_mm": _product(0),
    "aten._scaled_mm": _product(0),
    "aten.addmm": _product(1),
    "aten.addmv": _product(1),
    "aten.addbmm": _product(1),
    "aten.baddbmm": _product(1),
    "aten._scaled_addmm": _product(1),
    "aten._grouped_mm": _grouped_product,
    "aten._scaled_grouped_mm": _grouped_product,
    "aten.linear": _by_weight,
    "aten.mkldnn_linear": _by_weight,
    "aten.mkldnn_convolution": _by_weight,
    "torchvision.deform_conv2d": _by_weight,
    "quantized.linear": _by_weight,
    "quantized.linear_relu": _by_weight,
    "quantized.linear_dynamic": _by_weight,
    "quantized.conv2d": _by_weight,
    "quantized.conv2d_relu": _by_weight,
    "aten._trilinear": _bilinear,
    "flex_attention": _attention,
    "aten._triton_scaled_dot_attention": _attention,
    "torch_attn._varlen_attn": _attention_of_sequences(0, 3),
    "torch_attn._varlen_attn_out": _attention_of_sequences(1, 4),
    "aten._flash_attention_forward": _attention_of_sequences(0, 3),
    "aten._efficient_attention_forward": _attention_of_sequences(0, 4),
    "aten._cudnn_attention_forward": _attention_of_sequences(0, 4),
    "aten._flash_attention_forward_no_dropout_inplace": _attention_of_sequences(1, 4),
    "aten._cudnn_attention_forward_no_dropout_inplace": _attention_of_sequences(1, 4),
    "aten._native_multi_head_attention": _multihead,
    "aten._triton_multi_head_attention": _multihead,
    "aten._transformer_encoder_layer_fwd": _encoder_layer,
    "aten.mkldnn_rnn_layer": _recurrent(lambda args: list(args[1:3])),
    "aten._cudnn_rnn": _recurrent(lambda args: args[1]),
    "aten.miopen_rnn": _recurrent(lambda args: args[1]),
    "aten._lstm_mps": _recurrent(lambda args: args[2]),
}
