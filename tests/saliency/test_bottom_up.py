"""Saliency without a model: slow numpy rewrites, and displays whose odd one out must win."""

import math

import numpy as np
import pytest
import torch

from cv_attention.saliency.methods.model_free.itti import itti_koch_niebur, normalise, pyramid
from cv_attention.saliency.methods.model_free.spectral_residual import gaussian, spectral_residual


def test_spectral_residual_by_hand():
    image = torch.rand(1, 3, 20, 16, generator=torch.Generator().manual_seed(0))
    gray = image[0].mean(0).numpy().astype(np.float64)
    spectrum = np.fft.fft2((gray - gray.min()) / (gray.max() - gray.min()))
    logs = np.log(np.abs(spectrum))
    smooth = sum(np.roll(logs, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)) / 9
    heat = np.abs(np.fft.ifft2(np.exp(logs - smooth + 1j * np.angle(spectrum)))) ** 2
    offsets = np.arange(-8, 9)
    kernel = np.exp(-(offsets**2) / (2 * 2.5**2))
    kernel /= kernel.sum()
    padded = np.pad(heat, 8, mode="edge")
    padded = np.stack([np.convolve(row, kernel, "valid") for row in padded])
    expected = np.stack([np.convolve(column, kernel, "valid") for column in padded.T]).T
    got = spectral_residual(None, image)[0, 0].numpy()
    np.testing.assert_allclose(got, expected, rtol=2e-3)


def test_gaussian_sums_to_one():
    dot = torch.zeros(1, 2, 21, 21)
    dot[:, :, 10, 10] = 1
    blurred = gaussian(dot, 2.0)
    torch.testing.assert_close(blurred.sum((2, 3)), torch.ones(1, 2))
    torch.testing.assert_close(blurred[0, 0, 10, 12] / blurred[0, 0, 10, 10], torch.tensor(math.exp(-0.5)))


def test_pyramid_by_hand():
    image = torch.rand(1, 1, 10, 8, generator=torch.Generator().manual_seed(0))
    got = pyramid(image)
    kernel = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
    padded = np.pad(image[0, 0].numpy(), 2, mode="edge")
    smooth = np.array([[(kernel * padded[y : y + 5, x : x + 5]).sum() for x in range(8)] for y in range(10)])
    expected = smooth.reshape(5, 2, 4, 2).mean((1, 3))
    np.testing.assert_allclose(got[1][0, 0].numpy(), expected, rtol=1e-5)
    assert len(got) == 9


def test_the_operator_keeps_one_peak_and_lowers_many():
    one, many = torch.zeros(1, 1, 32, 32), torch.zeros(1, 1, 32, 32)
    one[..., 16, 16] = 5
    many[..., 4::8, 4::8] = 0.9
    many[..., 16, 17] = 1.0
    assert normalise(one).max() == 1
    torch.testing.assert_close(normalise(many).max(), torch.tensor(0.01), rtol=0.2, atol=0)
    assert normalise(torch.full((1, 1, 8, 8), 3.0)).abs().max() == 0


def test_the_operator_counts_all_but_one_of_equal_peaks():
    """Rounding, which differs with the size of a batch, decides nothing."""
    heat = torch.zeros(3, 1, 32, 32)
    heat[:, :, 4::8, 4::8] = 1
    heat[1, :, 4, 4] += 1e-7
    heat[2] += 1e-7 * torch.rand(1, 32, 32, generator=torch.Generator().manual_seed(0))
    assert normalise(heat).max() < 1e-8
    plateau = torch.zeros(1, 1, 32, 32)
    plateau[..., 4:28, 4:28] = 1  # one maximum, however wide
    assert normalise(plateau).max() == 1


def test_rounding_is_no_contrast():
    assert normalise(0.5 + 2e-6 * torch.rand(1, 1, 32, 32)).max() == 0
    assert normalise(0.5 + torch.rand(1, 1, 32, 32) / 255).max() > 0


def test_an_image_has_the_same_map_in_any_batch():
    bars = display("none")
    alone = itti_koch_niebur(None, bars[None])
    among = itti_koch_niebur(None, torch.stack([torch.rand(3, 256, 256), bars, display("colour")]))
    torch.testing.assert_close(among[1:2], alone, rtol=1e-3, atol=1e-6)


def display(odd):
    """A field of green upright bars; the one at row 1, column 2 (of 4) is odd in one feature."""
    image = torch.full((3, 256, 256), 0.3)
    for row in range(4):
        for column in range(4):
            y, x = 32 + 64 * row, 32 + 64 * column
            tall, wide, colour = 16, 4, torch.tensor([0.2, 0.6, 0.2])
            if (row, column) == (1, 2):
                if odd == "orientation":
                    tall, wide = wide, tall
                elif odd == "colour":
                    colour = torch.tensor([0.6, 0.2, 0.2])
                elif odd == "intensity":
                    colour = colour * 1.6
            image[:, y - tall : y + tall, x - wide : x + wide] = colour[:, None, None]
    return image


@pytest.mark.parametrize("odd", ["orientation", "colour", "intensity"])
def test_the_odd_one_pops_out(odd):
    heat = itti_koch_niebur(None, display(odd)[None])[0, 0]
    y, x = divmod(int(heat.argmax()), 256)
    assert abs(y - 96) < 32
    assert abs(x - 160) < 32


def test_scale_does_not_matter():
    images = torch.rand(2, 3, 32, 40, generator=torch.Generator().manual_seed(0))
    for method in (itti_koch_niebur, spectral_residual):
        heat = method(None, images)
        assert heat.shape == (2, 1, 32, 40)
        assert heat.min() >= 0
        assert heat.std() > 0
        torch.testing.assert_close(method(None, images[1:]), heat[1:], rtol=1e-3, atol=1e-5 * float(heat.max()))
        other = method(None, images * 3 - 1)
        scaled = other * (heat.max() / other.max())
        torch.testing.assert_close(scaled, heat, rtol=0, atol=0.02 * float(heat.max()))
        assert method(None, torch.ones(1, 3, 32, 32)).abs().max() == 0
    with pytest.raises(ValueError, match="needs RGB images"):
        itti_koch_niebur(None, images[:, :1])
