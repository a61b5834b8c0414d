"""Pictures for loggers."""

import numpy as np
from PIL import Image

from cv_attention.training.recording.map_pictures import of_one_size


def test_images_of_several_sizes_get_white_margins():
    """Else wandb draws all of them in the size of the first, and warns."""
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (height, width, 3), np.uint8) for height, width in ((8, 6), (4, 9), (8, 9))]
    padded = of_one_size(images)
    for image, one in zip(images, padded, strict=True):
        wanted = Image.new("RGB", (9, 8), "white")
        wanted.paste(Image.fromarray(image))
        np.testing.assert_array_equal(one, np.asarray(wanted))
