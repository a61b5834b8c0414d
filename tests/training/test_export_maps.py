"""What an export computes of a batch: the logits of the images themselves, whatever a method looks at."""

import numpy as np
import pytest
import torch

from cv_attention import saliency, training
from cv_attention.config import SaliencyExport
from cv_attention.saliency_export.maps import Explainer
from cv_attention.saliency_export.shards import to_half
from tests.quick import quick_first

METHODS = {
    "grad_cam": {},
    "gradient": {},
    "smooth_grad": {"samples": 2, "noise": 2.0},
    "integrated_gradients": {"steps": 2},
    "occlusion": {"window": 16, "stride": 16},
    "rise": {"masks": 4},
    "score_cam": {},
    "random_map": {},
}


@pytest.fixture(scope="module")
def classifier(tiny_checkpoint):
    return training.load(tiny_checkpoint).eval()


@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize("target", quick_first(["predicted", "true", 3]))
@pytest.mark.parametrize("method", METHODS)
def test_logits_are_those_of_the_images_and_maps_those_of_the_method(method, target, attention, classifier):
    images = torch.randint(0, 256, (3, 3, 32, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    labels = [1, 0, 5]
    inputs = classifier.normalise(images)
    with torch.no_grad():
        expected = classifier.network(inputs)
    config = SaliencyExport(method=method, options=METHODS[method], target=target, attention=attention)
    maps, logits, classes, _ = Explainer(classifier, config).explain(images, labels, range(3))
    np.testing.assert_allclose(logits, expected.numpy(), rtol=1e-4, atol=1e-5)
    wanted = {"predicted": expected.argmax(1).tolist(), "true": labels}.get(target, [target] * 3)
    assert classes == wanted
    options = METHODS[method] | ({"upsample": False} if method in ("grad_cam", "score_cam") else {})
    heat = saliency.METHODS[method](classifier.network, inputs, torch.tensor(wanted), **options)[:, 0].detach()
    np.testing.assert_allclose(maps[method], heat.numpy(), rtol=1e-3, atol=1e-6)
    assert (len(maps) > 1) == attention


@pytest.mark.parametrize("wrong", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1.0, 3e5, 1e30])
def test_finite_values_survive_next_to_one_that_is_not(scale, wrong):
    """Half precision keeps eleven bits of each, at any magnitude."""
    values = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32) * np.float32(scale)
    values[1, 2, 3] = wrong
    values[3] = 0
    with np.errstate(invalid="ignore", over="ignore"):
        stored, scales = to_half(values)
    assert stored.dtype == np.float16
    back = stored.astype(np.float64) * np.array(scales)[:, None, None]
    good = np.isfinite(values)
    largest = np.broadcast_to(np.abs(np.where(good, values, 0)).max((1, 2), keepdims=True), values.shape)
    np.testing.assert_array_less(np.abs(back[good] - values[good]), largest[good] / 1000 + 1e-45)
    assert np.isnan(back[1, 2, 3]) if np.isnan(wrong) else back[1, 2, 3] == wrong
    assert (back[3] == 0).all()
