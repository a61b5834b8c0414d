"""Folders of images get the classes of a network by their names, their ids, or their order."""

import numpy as np
import pytest
from PIL import Image

from cv_attention.config import Data
from cv_attention.data.selection.named_classes import named_split

NAMES = ["goldfish", "crane (n2)", "crane (n3)", "great_white_shark", "tench"]
IDS = ["n1", "n2", "n3", "n4", "n5"]


@pytest.fixture
def split(tmp_path):
    """Makes one image in each of the folders, or next to each other, and returns the split's images and labels."""

    def make(*folders, names=NAMES, ids=IDS, flat=False):
        for number, name in enumerate(folders):
            path = tmp_path / "test" / (f"{name}_{number}.png" if flat else f"{name}/{number}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((4, 4, 3), 10 * number, np.uint8)).save(path)
        images = named_split(Data(name="folder", root=str(tmp_path)), "test", names, ids).images
        return {int(images.read(row)[0, 0, 0]) // 10: int(images.labels[row]) for row in range(len(images))}

    return make


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize(
    ("folders", "labels"),
    [
        (["tench", "goldfish"], [4, 0]),
        (["n5", "n1", "n3"], [4, 0, 2]),
        (["Great White-Shark", "TENCH"], [3, 4]),
        (["crane (n3)", "crane (n2)"], [2, 1]),
        (["n2", "crane (n3)", "goldfish"], [1, 2, 0]),
    ],
)
def test_names_and_ids_are_found(folders, labels, flat, split):
    assert split(*folders, flat=flat) == dict(enumerate(labels))


def test_a_name_of_several_classes_is_refused_with_their_ids(split):
    with pytest.raises(ValueError, match="crane is the name of several classes; use n2 or n3"):
        split("goldfish", "crane")


def test_an_unknown_name_is_refused_with_those_that_are_near(split):
    with pytest.raises(
        ValueError, match=r"has the class tensh, which is unknown to the network; did you mean .*'tench'"
    ):
        split("goldfish", "tensh")


def test_classes_without_names_are_those_of_the_folders_in_order(split):
    numbers = [str(number) for number in range(3)]
    assert split("bee", "ant", "cat", names=numbers, ids=numbers) == {0: 1, 1: 0, 2: 2}


def test_too_few_folders_for_classes_without_names_are_refused(split):
    numbers = [str(number) for number in range(3)]
    with pytest.raises(ValueError, match="has the class ant, which is unknown to the network"):
        split("bee", "ant", names=numbers, ids=numbers)
