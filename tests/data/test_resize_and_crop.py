"""The evaluation transforms of timm and torchvision, pixel by pixel."""

import numpy as np
import pytest
from PIL import Image

from cv_attention.backbones.models.preprocessing import preprocessing_of
from cv_attention.data.augmentation.transforms import Pipeline

CONFIGS = [
    {"input_size": (3, 224, 224), "crop_pct": 0.875, "crop_mode": "center", "interpolation": "bicubic"},
    {"input_size": (3, 160, 160), "crop_pct": 0.95, "crop_mode": "squash", "interpolation": "bilinear"},
    {"input_size": (3, 96, 96), "crop_pct": 1.0, "crop_mode": "border", "interpolation": "bicubic"},
    {"input_size": (3, 96, 128), "crop_pct": 0.9, "crop_mode": "center", "interpolation": "bilinear"},
    {"input_size": (3, 96, 128), "crop_pct": 0.9, "crop_mode": "squash", "interpolation": "bicubic"},
]


def images(seed):
    random = np.random.default_rng(seed)
    for height, width in [(256, 341), (500, 75), (40, 30), (97, 96), (224, 224), *random.integers(20, 400, (15, 2))]:
        yield random.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config['crop_mode']}{config['input_size'][2]}")
def test_the_pixels_are_timms(config):
    import timm.data

    found = preprocessing_of("timm/test_resnet", {"pretrained_cfg_overlay": config})
    pipeline = Pipeline([found.transform()], "data.eval_transforms")
    theirs = timm.data.create_transform(**config, mean=found.mean, std=found.std, is_training=False, normalize=False)
    for image in images(0):
        expected = theirs(Image.fromarray(image)).permute(1, 2, 0).numpy()
        assert np.array_equal(pipeline(image, (0, 0, 0))[0], expected), image.shape


@pytest.mark.parametrize("name", ["resnet50", "efficientnet_b0", "swin_v2_t", "inception_v3"])
def test_the_pixels_and_the_normalisation_are_torchvisions(name):
    from torchvision import models

    found = preprocessing_of(f"torchvision/{name}")
    pipeline = Pipeline([found.transform()], "data.eval_transforms")
    theirs = models.get_model_weights(name).DEFAULT.transforms()
    for image in images(1):
        ours = (pipeline(image, (0, 0, 0))[0] / 255 - found.mean) / found.std
        expected = theirs(Image.fromarray(image)).permute(1, 2, 0).numpy()
        np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_every_pretrained_network_of_timm_and_torchvision_states_its_preprocessing():
    import timm
    from torchvision import models

    for name in timm.list_pretrained()[::7]:
        config, found = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict()), None
        found = preprocessing_of(f"timm/{name}")
        assert (found.mean, found.std, found.crop) == (config["mean"], config["std"], config["input_size"][1:]), name
        assert found.interpolation == config["interpolation"], name
    for name in models.list_models(module=models):
        assert preprocessing_of(f"torchvision/{name}").source.endswith(models.get_model_weights(name).DEFAULT.name)
    assert preprocessing_of("resnet20") is None


def test_the_image_size_of_the_options_counts():
    found = preprocessing_of("timm/vit_base_patch16_224", {"img_size": 384})
    assert found.crop == (384, 384)
    assert found.resize == int(384 / 0.9)


@pytest.mark.parametrize("height", [100, 160])
@pytest.mark.parametrize("crop", [[40, 40], [40, 90], [90, 40]])
@pytest.mark.parametrize(
    "resize",
    [
        {"resize": 100},
        {"resize": [100, 120]},
        {"resize": [100, 120], "fit": "squash"},
        {"resize": [100, 120], "fit": "border"},
        {"resize": 36},  # smaller than the crop, which is padded
    ],
    ids=str,
)
def test_a_box_moves_along(resize, crop, height):
    """A box around white pixels is around them afterwards, also in crops that are not square."""
    step = {"ResizeAndCrop": {**resize, "crop": crop, "interpolation": "nearest"}}
    pipeline = Pipeline([step], "data.eval_transforms", boxes=True)
    image = np.zeros((height, 140, 3), np.uint8)
    image[height // 2 - 8 : height // 2 + 10, 60:90] = 255
    moved, box = pipeline(image, (0, 0, 0), np.array([60, height // 2 - 8, 90, height // 2 + 10], np.float32))
    assert moved.shape[:2] == tuple(crop)
    rows, columns = np.nonzero(moved[..., 0] > 127)
    np.testing.assert_allclose(box, [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], atol=0.76)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"resize": 0, "crop": [4, 4]}, "resize"),
        ({"resize": 8, "crop": [4]}, "crop"),
        ({"resize": 8, "crop": [4, 4], "interpolation": "cubic"}, "interpolation"),
        ({"resize": 8, "crop": [4, 4], "size": 3}, "unknown argument 'size'"),
        ({"resize": 8}, "crop"),
    ],
)
def test_wrong_arguments_are_named(arguments, words):
    with pytest.raises(ValueError, match=rf"data\.eval_transforms\[0\]: ResizeAndCrop.*{words}"):
        Pipeline([{"ResizeAndCrop": arguments}], "data.eval_transforms")
