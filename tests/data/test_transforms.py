import pickle
import subprocess
import sys

import numpy as np
import pytest

from cv_attention.data.augmentation.transforms import Pipeline

IMAGE = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
PLACE = "data.train_transforms"
STEPS = [
    {"RandomCrop": {"height": 24, "width": 24}},
    "HorizontalFlip",
    {
        "OneOf": {
            "transforms": [{"GaussianBlur": {"p": 1}}, {"GaussNoise": {"p": 1}}, "ColorJitter"],
            "p": 0.9,
        }
    },
    {"Affine": {"rotate": [-20, 20], "p": 0.8}},
    {"CoarseDropout": {"p": 0.7}},
]


def run(pipeline: Pipeline, *keys):
    return [pipeline(IMAGE, key)[0] for key in keys]


def test_a_crop_is_a_crop():
    pipeline = Pipeline([{"RandomCrop": {"height": 20, "width": 28}}], PLACE)
    places = set()
    for i in range(50):
        crop = pipeline(IMAGE, (0, 0, i))[0]
        found = [(y, x) for y in range(13) for x in range(21) if np.array_equal(IMAGE[y : y + 20, x : x + 28], crop)]
        assert len(found) == 1
        places.update(found)
    assert len(places) > 30


def test_augmentation_depends_on_the_key_alone():
    keys = [(seed, epoch, index) for seed in (0, 1) for epoch in (0, 5) for index in (0, 1, 70_000)]
    once = run(Pipeline(STEPS, PLACE), *keys)
    pipeline = Pipeline(STEPS, PLACE)
    run(pipeline, *[(9, 9, i) for i in range(20)])
    backwards = run(pipeline, *keys[::-1])[::-1]
    copied = run(pickle.loads(pickle.dumps(pipeline)), *keys)
    for one, other, third in zip(once, backwards, copied, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, third)
    assert len({image.tobytes() for image in once}) == len(keys)


# One transform of each way of drawing random numbers; a global generator anywhere would show.
@pytest.mark.parametrize(
    "name",
    [
        *(
            "Affine",
            "ElasticTransform",
            "GridDistortion",
            "RandomBrightnessContrast",
            "ISONoise",
            "GaussNoise",
        ),
        *("RandomGamma", "ColorJitter", "Posterize", "MotionBlur", "ImageCompression", "CoarseDropout"),
        *("Perspective", "RandomShadow", "RandomFog", "ChannelShuffle", "ChannelDropout", "SaltAndPepper"),
        "PlasmaBrightnessContrast",
    ],
)
def test_transforms_draw_from_the_key(name):
    pipeline = Pipeline([{name: {"p": 1}}], PLACE)
    first = run(pipeline, (0, 0, 1), (0, 0, 2), (0, 0, 3), (0, 1, 1))
    np.random.seed(1)
    second = run(pipeline, (0, 1, 1), (0, 0, 3), (0, 0, 2), (0, 0, 1))[::-1]
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_flips_are_fair_and_independent_of_the_next_transform():
    pipeline = Pipeline(["HorizontalFlip", "VerticalFlip"], PLACE)
    versions = [IMAGE, IMAGE[:, ::-1], IMAGE[::-1], IMAGE[::-1, ::-1]]
    counts = np.zeros(4)
    for i in range(800):
        image = pipeline(IMAGE, (0, 0, i))[0]
        counts[[np.array_equal(image, v) for v in versions].index(True)] += 1
    assert counts.min() > 150  # 200 each; twelve standard deviations would be one generator's echo


def test_boxes_move_along():
    image = np.zeros((40, 60, 3), np.uint8)
    image[5:15, 20:50] = 255
    box = np.array([20, 5, 50, 15], np.float32)
    pipeline = Pipeline([{"HorizontalFlip": {"p": 1}}, {"Pad": {"padding": 3}}], PLACE, boxes=True)
    image, moved = pipeline(image, (0, 0, 0), box)
    rows, columns = np.flatnonzero(image[..., 0].any(1)), np.flatnonzero(image[..., 0].any(0))
    np.testing.assert_allclose(moved, [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    away = Pipeline([{"Crop": {"x_min": 0, "y_min": 20, "x_max": 60, "y_max": 40}}], PLACE, boxes=True)
    np.testing.assert_array_equal(away(image, (0, 0, 0), box)[1], [0, 0, 0, 0])


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("HorizontalFlp", r"^data\.train_transforms\[0\]: unknown albumentations .*Flp'; did you .*Flip'"),
        ("horizontalflip", r"unknown albumentations transform 'horizontalflip'; did you mean 'HorizontalFlip'"),
        ("Zzzzz", r"unknown albumentations transform 'Zzzzz'; expected one of "),
        ("Compose_", r"unknown albumentations transform 'Compose_'"),
        ("Normalize", r"Normalize is not supported: images are normalised on the device"),
        ({"ToTensorV2": None}, r"ToTensorV2 is not supported"),
        (
            {"RandomCrop": {"heigth": 3, "width": 3}},
            r"RandomCrop got an unknown argument 'heigth'; did you mean 'height'.*\(it takes height, width,",
        ),
        ({"HorizontalFlip": {"p": 2}}, r"HorizontalFlip: p: .*less than or equal to 1"),
        ({"RandomCrop": {"height": 24}}, r"RandomCrop: .*width"),
        ({"RandomCrop": {"height": "tall", "width": 3}}, r"RandomCrop: height: .*integer"),
        ({"RandomCrop": None, "height": 3}, r"expected a transform's name or \{Name"),
        (3, r"expected a transform's name"),
        ({"RandomCrop": [3, 3]}, r"expected a transform's name"),
        ({"OneOf": {"transforms": ["Blurr"]}}, r"s\[0\]\.OneOf\[0\]: .*'Blurr'; did you mean .*'Blur'"),
        ({"OneOf": {"transforms": [{"Blur": {"limit": 3}}]}}, r"OneOf\[0\]: Blur got an unknown argument 'limit'"),
    ],
)  # fmt: skip
def test_mistakes_are_named(step, message):
    with pytest.raises(ValueError, match=message) as raised:
        Pipeline([step], PLACE)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("step", [{"ToGray": {"num_output_channels": 1, "p": 1}}])
def test_the_result_must_be_an_image_of_bytes(step):
    with pytest.raises(ValueError, match=r"must leave a uint8 \(H, W, 3\) image"):
        Pipeline([step], PLACE)(IMAGE, (0, 0, 0))


def test_nothing_is_imported_for_nothing():
    code = (
        "import sys; from cv_attention.data.augmentation.transforms import Pipeline; p = Pipeline([], 'x'); "
        "assert not p; assert 'albumentations' not in sys.modules; "
        "import cv_attention.data; assert 'lightning' not in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_random_erasing_fills_one_rectangle_and_nothing_else():
    erase = Pipeline([{"Erasing": {"p": 1.0, "scale": [0.05, 0.2]}}], "data.train_transforms")
    shares = []
    for index in range(5):
        image, _ = erase(np.full((32, 32, 3), 77, np.uint8), (0, 0, index))
        rows, columns = np.nonzero((image != 77).any(2))
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert len(rows) == height * width
        shares.append(height * width / 32**2)
    assert all(0.03 < share < 0.23 for share in shares)
    assert len(set(shares)) > 2


@pytest.mark.filterwarnings("default:of another version")
@pytest.mark.parametrize(("module", "accepted"), [("pydantic.main", True), ("albumentations.core.validation", False)])
def test_only_albumentations_warnings_are_mistakes(monkeypatch, module, accepted):
    import albumentations

    library = {"__name__": module}
    exec("import warnings\ndef warn(): warnings.warn('of another version', UserWarning)", library)
    plain = albumentations.VerticalFlip.__init__

    def init(self, p=0.5):
        library["warn"]()
        plain(self, p=p)

    monkeypatch.setattr(albumentations.VerticalFlip, "__init__", init)
    if accepted:
        Pipeline(["VerticalFlip"], PLACE)
    else:
        with pytest.raises(ValueError, match="VerticalFlip: of another version"):
            Pipeline(["VerticalFlip"], PLACE)
