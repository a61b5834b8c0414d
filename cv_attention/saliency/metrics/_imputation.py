"""Imputes removed pixels from their neighbours: the linear equations of ROAD (Rong et al., ICML 2022)."""

from importlib.util import find_spec
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

_SHARES = {1: 1 / 6, 2: 1 / 12}  # of a direct and of a diagonal neighbour, by the squared distance
_FEW = 40  # steps after which a processor solves what is left directly
_FAR = 6  # pixels to the next kept one from which on more steps are needed: wide holes take hundreds


@torch.no_grad()
def impute(images: Tensor, keep: Tensor, *, tolerance: float = 1e-5, most_steps: int = 2000) -> Tensor:
    """Imputes removed pixels as the weighted mean of their eight neighbours, as far as these exist.

    Direct neighbours have weight 1/6, diagonal ones 1/12. The equations of all images and channels are solved together
    by conjugate gradients, on their device; on the CPU, images with wide holes directly, by SciPy
    where it is installed.

    Args:
        images: (B, C, H, W).
        keep: bool (B, 1, H, W).
        tolerance: Residual relative to the right-hand side.
        most_steps: Maximum number of steps.

    Returns:
        (B, C, H, W), kept pixels unchanged; an image without kept pixels becomes zero.
    """
    known = torch.where(keep, images, 0).float()
    directly = images.device.type == "cpu" and find_spec("scipy") is not None  # an extra of the core
    wide = _are_wide(keep) if directly else torch.zeros(len(keep), dtype=torch.bool, device=keep.device)
    found, solved = known.clone(), ~wide
    if bool(solved.any()):
        most = min(_FEW, most_steps) if directly else most_steps
        found[~wide], solved[~wide] = _by_steps(known[~wide], keep[~wide], tolerance, most)
    if directly:
        for number in (~solved).nonzero()[:, 0].tolist():
            found[number] = _at_once(known[number], keep[number, 0])
    return torch.where(keep, images, found.to(images.dtype))


def _are_wide(keep: Tensor) -> Tensor:
    """Returns whether each image has a removed pixel that is far from all kept ones, bool (B,)."""
    near = F.max_pool2d(keep.float(), 2 * _FAR + 1, 1, _FAR) > 0
    return ~near.flatten(1).all(1)


def _by_steps(known: Tensor, keep: Tensor, tolerance: float, most_steps: int) -> tuple[Tensor, Tensor]:
    """Returns the removed pixels (B, C, H, W) by conjugate gradients, and of each image whether that was enough."""
    hole = (~keep).float()
    kernel = torch.tensor([[1, 2, 1], [2, 0, 2], [1, 2, 1]], device=known.device)[None, None].float() / 12
    channels = known.shape[1]

    def around(x: Tensor) -> Tensor:
        return F.conv2d(x, kernel.expand(x.shape[1], 1, 3, 3), padding=1, groups=x.shape[1])

    weight = around(torch.ones_like(hole))  # less than 1 at the edges
    target = hole * around(known)
    target = target * (keep.flatten(1).any(1)[:, None, None, None])

    def inner(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum((2, 3), keepdim=True)

    mean = known.sum((2, 3), keepdim=True) / keep.sum((2, 3), keepdim=True).clamp(min=1)
    x = mean.expand(-1, channels, -1, -1) * hole
    residual = target - hole * (weight * x - around(x))
    direction, norm = residual, inner(residual, residual)
    goal = tolerance**2 * inner(target, target).clamp(min=1e-20)
    for _ in range(most_steps):
        if bool((norm <= goal).all()):
            break
        change = hole * (weight * direction - around(direction))
        size = norm / inner(direction, change).clamp(min=1e-30)
        x = x + size * direction
        residual = residual - size * change
        last, norm = norm, inner(residual, residual)
        direction = residual + norm / last.clamp(min=1e-30) * direction
    return x, (norm <= goal).flatten(1).all(1)


def _at_once(known: Tensor, keep: Tensor) -> Tensor:
    """Returns the removed pixels of an image (C, H, W) by a factorisation of their equations, which are sparse."""
    from scipy.sparse import csc_matrix
    from scipy.sparse.linalg import splu

    there, hole = np.ones(keep.shape, bool), ~keep.cpu().numpy()
    rows, columns = np.nonzero(hole)
    count = len(rows)
    number = np.zeros(hole.shape, np.int64)
    number[rows, columns] = np.arange(count)
    there, hole, number = (np.pad(each, 1) for each in (there, hole, number))
    pixels = np.pad(known.double().cpu().numpy(), ((0, 0), (1, 1), (1, 1)))
    weights, target = np.zeros(count), np.zeros((count, len(pixels)))
    entries = []
    for down, right in product((-1, 0, 1), repeat=2):
        if not (down or right):
            continue
        share, y, x = _SHARES[down**2 + right**2], rows + 1 + down, columns + 1 + right
        weights += share * there[y, x]
        target += share * pixels[:, y, x].T  # 0 where a neighbour was removed or lies outside
        also = np.nonzero(hole[y, x])[0]
        entries.append((np.full(len(also), -share), also, number[y, x][also]))
    entries.append((weights, np.arange(count), np.arange(count)))
    values, equations, unknowns = (np.concatenate(each) for each in zip(*entries, strict=True))
    matrix = csc_matrix((values, (equations, unknowns)), shape=(count, count))
    symmetric = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0, options={"SymmetricMode": True})
    found = known.clone()
    found[:, ~keep] = torch.from_numpy(symmetric.solve(target).T).to(found)
    return found
