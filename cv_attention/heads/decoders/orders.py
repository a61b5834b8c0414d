"""Orders in which the steps of a text are written, and what each step then sees."""

import torch
from torch import Tensor

from cv_attention.alphabet import END


def sample_orders(length: int, count: int, *, device: torch.device) -> list[Tensor]:
    """Samples orders of steps: from left to right, from right to left, then random ones with their mirror images.

    Args:
        length: Number of steps T.
        count: Number of orders; a text of one step has only one.
        device: Device of the result.

    Returns:
        The rank of each step in each order, int64 (T,).

    Examples:
        >>> import torch
        >>> from cv_attention.heads.decoders.orders import sample_orders
        >>> sample_orders(3, 2, device=torch.device("cpu"))
        [tensor([0, 1, 2]), tensor([2, 1, 0])]
    """
    found: list[Tensor] = []
    rank = torch.arange(length)
    while len(found) < (count if length > 1 else 1):
        found += [rank, length - 1 - rank]
        rank = torch.randperm(length)
    return [rank.to(device) for rank in found[: count if length > 1 else 1]]


def query_mask(rank: Tensor) -> Tensor:
    """Returns what each step sees: the start, and the numbers of steps that come before its own.

    Args:
        rank: Rank of each step, (T,).

    Returns:
        bool (T, T): row i is step i; column 0 is the start, and column k the number that step k - 1 wrote.

    Examples:
        >>> import torch
        >>> from cv_attention.heads.decoders.orders import query_mask
        >>> query_mask(torch.tensor([1, 0]))  # the second number is written first
        tensor([[ True, False],
                [ True, False]])
    """
    before = rank[None, :-1] < rank[:, None]
    return torch.cat([torch.ones_like(before[:, :1]), before], 1) if len(rank) > 1 else rank.new_ones(1, 1).bool()


def content_mask(rank: Tensor) -> Tensor:
    """Returns what the start and each number see: themselves, the start, and the numbers of steps that come before.

    Args:
        rank: Rank of each step, (T,).

    Returns:
        bool (T, T): row and column 0 are the start, row and column k the number that step k - 1 wrote.
    """
    ranks = torch.cat([rank.new_full((1,), -1), rank[:-1]])
    return ranks[None] <= ranks[:, None]


def all_but_own(length: int, device: torch.device) -> Tensor:
    """Returns the mask (T, T) of steps that see the start and the numbers of all other steps, as columns."""
    rows = torch.arange(length, device=device)
    return rows[None] != rows[:, None] + 1


def itself(length: int, device: torch.device) -> Tensor:
    """Returns the mask (T, T) of numbers that see the start and themselves."""
    rows = torch.arange(length, device=device)
    return (rows[None] == rows[:, None]) | (rows[None] == 0)


def behind_end(tokens: Tensor, padding: int) -> Tensor:
    """Returns texts (B, T) with padding behind their ends.

    Args:
        tokens: Numbers, of which 0 ends a text.
        padding: Number of the padding.

    Examples:
        >>> import torch
        >>> from cv_attention.heads.decoders.orders import behind_end
        >>> behind_end(torch.tensor([[3, 0, 5], [1, 2, 3]]), padding=9)
        tensor([[3, 0, 9],
                [1, 2, 3]])
    """
    ended = (tokens == END).cumsum(1)
    behind = torch.cat([torch.zeros_like(ended[:, :1]), ended[:, :-1]], 1) > 0
    return tokens.masked_fill(behind, padding)
