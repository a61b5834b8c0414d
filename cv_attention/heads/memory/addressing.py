"""Computes where a controller reads and writes: the equations of NTM, DNC and MANN, as functions of tensors.

Papers: Neural Turing machines (Graves et al., 2014), https://arxiv.org/abs/1410.5401; differentiable neural computer
(Graves et al., Nature 2016), https://doi.org/10.1038/nature20101; one-shot learning with memory-augmented neural
networks (Santoro et al., ICML 2016), https://arxiv.org/abs/1605.06065.

Weights are (B, heads, N) over the N slots of a memory (B, N, W), in float32 or wider.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

EPSILON = 1e-6  # added to products of norms, and what a usage is at least


def cosine(memory: Tensor, keys: Tensor) -> Tensor:
    """Computes the cosine of every key and every slot; 0 where one of them is 0.

    Args:
        memory: (B, N, W).
        keys: (B, heads, W).

    Returns:
        (B, heads, N), in [-1, 1].
    """
    norms = keys.norm(dim=2)[:, :, None] * memory.norm(dim=2)[:, None]
    return keys @ memory.transpose(1, 2) / (norms + EPSILON)


def content(memory: Tensor, keys: Tensor, strength: Tensor | None = None, keep: Tensor | None = None) -> Tensor:
    """Computes ``softmax(strength * cosine)`` over the slots (NTM eq. 5, DNC's C, MANN eq. 2-3).

    Args:
        memory: (B, N, W).
        keys: (B, heads, W).
        strength: (B, heads), at least 0; None for 1, as MANN has it.
        keep: Which slots are real, bool (B, N); the others get exactly 0. None for all.

    Returns:
        (B, heads, N), whose sums are 1, or 0 where no slot is real.
    """
    scores = cosine(memory, keys)
    scores = scores if strength is None else strength[..., None] * scores
    if keep is None:
        return scores.softmax(2)
    real = keep[:, None]
    return scores.masked_fill(~real, torch.finfo(scores.dtype).min).softmax(2) * real


def interpolate(found: Tensor, previous: Tensor, gate: Tensor) -> Tensor:
    """Blends the weights `found` (B, heads, N) with those of the step before by `gate` (B, heads): NTM eq. 7."""
    return gate[..., None] * found + (1 - gate[..., None]) * previous


def shift(weights: Tensor, kernel: Tensor) -> Tensor:
    """Convolves weights with a kernel around the circle of slots: NTM eq. 8.

    Args:
        weights: (B, heads, N).
        kernel: (B, heads, S), the share that moves by -(S // 2), ..., S // 2 slots.

    Returns:
        (B, heads, N).
    """
    reach = kernel.shape[2] // 2
    moved = [weights.roll(step, 2) * kernel[:, :, place, None] for place, step in enumerate(range(-reach, reach + 1))]
    return torch.stack(moved).sum(0)


def sharpen(weights: Tensor, power: Tensor) -> Tensor:
    """Computes ``w^power / sum w^power`` (NTM eq. 9), as ``softmax(power * log w)``, which no power makes 0 / 0.

    Args:
        weights: (B, heads, N), at least 0.
        power: (B, heads), at least 1.

    Returns:
        (B, heads, N).
    """
    return (power[..., None] * weights.clamp_min(torch.finfo(weights.dtype).tiny).log()).softmax(2)


def usage(before: Tensor, written: Tensor, read: Tensor, free: Tensor) -> Tensor:
    """Computes how much each slot is in use (DNC, "dynamic memory allocation").

    Args:
        before: Usage of the step before, (B, N) in [0, 1].
        written: Write weights of the step before, (B, N).
        read: Read weights of the step before, (B, heads, N).
        free: Share of what each head has read that is free again, (B, heads).

    Returns:
        (B, N), in [0, 1].
    """
    kept = (1 - free[..., None] * read).prod(1)
    return (before + written - before * written) * kept


def ahead(used: Tensor) -> Tensor:
    """Compares slots by their usage: a stable order without sorting, which exporters of graphs do not keep stable.

    Args:
        used: (B, N).

    Returns:
        bool (B, N, N): whether slot j comes before slot i, being used less, or equally and first in the memory.
    """
    slots = torch.arange(used.shape[1], device=used.device)
    mine, other = used[:, :, None], used[:, None]
    return (other < mine) | ((other == mine) & (slots < slots[:, None]))


def allocation(used: Tensor) -> Tensor:
    """Computes where there is room: the weight of the least used slot first, of equal ones the first (DNC, eq. of a_t).

    Products are computed as sums of logarithms, of usages of at least 1e-6.

    Args:
        used: (B, N), in [0, 1].

    Returns:
        (B, N), whose sum is at most 1.
    """
    used = EPSILON + (1 - EPSILON) * used
    logs = ahead(used).to(used.dtype) @ used.log()[..., None]  # of the less used ones
    return (1 - used) * logs[..., 0].exp()


def link(before: Tensor, precedence: Tensor, written: Tensor) -> Tensor:
    """Computes which slot was written after which (DNC, "temporal memory linkage").

    Args:
        before: (B, N, N), row i says after which slots j slot i was written.
        precedence: That of the step before, (B, N).
        written: Write weights of this step, (B, N).

    Returns:
        (B, N, N), with zeros on the diagonal.
    """
    kept = 1 - written[:, :, None] - written[:, None]
    slots = torch.arange(written.shape[1], device=written.device)
    others = (slots[:, None] != slots).to(written.dtype)
    return (kept * before + written[:, :, None] * precedence[:, None]) * others


def precede(before: Tensor, written: Tensor) -> Tensor:
    """Computes which slot was written last, (B, N), of that of the step before and the write weights (B, N)."""
    return (1 - written.sum(1, keepdim=True)) * before + written


def follow(links: Tensor, read: Tensor) -> tuple[Tensor, Tensor]:
    """Computes the weights of what was written after and before what was read last (DNC: f and b).

    Args:
        links: (B, N, N).
        read: Read weights of the step before, (B, heads, N).

    Returns:
        Forward and backward weights, each (B, heads, N).
    """
    return read @ links.transpose(1, 2), read @ links


def least_used(used: Tensor, heads: int) -> Tensor:
    """Chooses the least used slots, one for each head, of equal ones the first (MANN eq. 6).

    Usages are compared to five decimals: those of slots that nothing was written to are equal but for rounding, which
    differs from device to device.

    Args:
        used: (B, N).
        heads: Number of heads, at most N.

    Returns:
        (B, heads, N): one 1 in each row, the least used slot's for the first head.
    """
    rank = ahead((used * 1e5).round()).sum(2)
    return (rank[:, None] == torch.arange(heads, device=used.device)[:, None]).to(used.dtype)


def oneplus(x: Tensor) -> Tensor:
    """Computes ``1 + log(1 + exp(x))``, the DNC's strengths and the NTM's powers of at least 1."""
    return 1 + F.softplus(x)
