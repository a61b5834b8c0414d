"""Statistics of gates over more images than are kept, against numpy."""

import numpy as np
import torch
from torch import nn

from cv_attention.blocks import SqueezeExcite
from cv_attention.maps import record
from cv_attention.recording.snapshots import gates
from cv_attention.recording.snapshots.gates import GateStatistics


def test_every_nth_image_counts_where_there_are_many(monkeypatch):
    monkeypatch.setattr(gates, "MOST_IMAGES", 10)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 1), SqueezeExcite(8, reduction=2)).eval()
    images, labels = torch.randn(28, 3, 5, 5), torch.arange(28) % 2
    with torch.no_grad(), record(network) as maps:
        network(images)
    (name,) = maps
    values = maps[name].values.flatten(1)[::3].numpy()  # ceil(28 / 10)

    statistics = GateStatistics(network, len(images))
    for part in (slice(0, 4), slice(4, 5), slice(5, 16), slice(16, 28)):  # batches that no third divides
        statistics.look()
        with torch.no_grad():
            network(images[part])
        statistics.take(labels[part])
    found = statistics.arrays(classes=2)

    assert found["images"] == 10
    expected = np.quantile(values, gates.QUANTILES, axis=0)
    np.testing.assert_allclose(found[f"quantiles:{name}"], expected, atol=1e-3)
    np.testing.assert_allclose(found[f"mean:{name}"], values.mean(0), atol=1e-3)
    assert found[f"histogram:{name}"].sum() == values.size
    kept = labels[::3].numpy()
    for label in range(2):
        np.testing.assert_allclose(found[f"by_class:{name}"][label], values[kept == label].mean(0), atol=1e-3)
    assert not network[1]._forward_hooks
