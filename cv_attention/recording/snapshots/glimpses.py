"""Records where a network looks, glimpse by glimpse."""

from collections.abc import Mapping

import numpy as np
import torch

from cv_attention.maps import RecordedMap
from cv_attention.rundir.contents import glimpse_array


def glimpse_arrays(maps: Mapping[str, RecordedMap]) -> dict[str, np.ndarray]:
    """Returns the places among `maps` as arrays for one file.

    Args:
        maps: Maps from `record`.

    Returns:
        The arrays of ``maps/glimpses-XXXX.npz``, float32: by the name of each module its places (N, steps, 2), and
        where these are known its extents (N, steps, scales, 2). Empty where the network has no glimpses.
    """
    arrays = {}
    for name, one in maps.items():
        if one.kind == "places":
            arrays[glimpse_array("places", name)] = _plain(one.values)
            if one.extents is not None:
                arrays[glimpse_array("extents", name)] = _plain(one.extents)
    return arrays


def _plain(values: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray(values.float().cpu().numpy())
