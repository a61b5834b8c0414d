"""Globs over module names have one meaning wherever names are given."""

import pytest
import torch

from cv_attention import insert, plan, record, saliency
from cv_attention.backbones import build
from cv_attention.globs import matches, select

IMAGES = torch.zeros(2, 3, 32, 32)


@pytest.mark.parametrize(
    ("glob", "name", "fits"),
    [
        ("layer*.*.bn2", "layer1.0.bn2", True),
        ("layer*.*.bn2", "layer1.0.shortcut.bn2", False),
        ("layer*", "layer1", True),
        ("layer*", "layer1.0", False),
        ("layer?", "layer1", True),
        ("layer1?0", "layer1.0", False),
        ("layer1[!x]0", "layer1.0", False),
        ("layer[12]", "layer3", False),
        ("Layer1", "layer1", False),
        ("**.bn2", "layer1.0.bn2", True),
        ("**.bn2", "bn2", True),
        ("layer1.**", "layer1", True),
        ("layer1.**", "layer10", False),
        ("layer*.**", "layer1.0.bn2", True),
        ("**", "a.b.c", True),
        ("a.**.d", "a.b.c.d", True),
        ("a.**.d", "a.d", True),
        ("a.**.d", "a.b.c", False),
        ("**.b.**.b", "a.b.b.b", True),
        ("**.b.**.b", "a.b", False),
    ],
)
def test_stars_and_levels(glob, name, fits):
    assert matches(glob, name) == fits


def test_two_stars_beside_letters_are_refused():
    with pytest.raises(ValueError, match=r"\*\* must stand alone between dots, as in 'layer4\*\.\*\*'"):
        matches("layer4**", "layer4")


def test_a_glob_of_many_stars_ends():
    assert not matches("*a" * 200, "a" * 150)
    assert not matches("**." * 200 + "b", ".".join("a" * 30))


def test_names_come_in_their_order_and_once():
    names = ["a", "a.b", "c", "c.b"]
    assert select(names, ["*.b", "a.**"], "name") == ["a", "a.b", "c.b"]


NAMES = ["stage1", "stage1.0", "stage1.0.attention.map", "stage2.0.attention.map"]


@pytest.mark.parametrize(
    ("glob", "wider", "count"),
    [
        ("stage1.*.map", "stage1.**.map", 1),
        ("*attention.map", "**.*attention.map", 2),
        ("*.attention.map", "**.attention.map", 2),
        ("*0*map", "**.*0*.**.*map", 2),
    ],
)
def test_a_glob_that_relied_on_crossing_dots_is_answered_with_the_one_that_does(glob, wider, count):
    with pytest.raises(ValueError) as error:
        select(NAMES, [glob], "map")
    assert str(error.value) == (
        f"no map matches {glob!r}; * stays within one level of a name: {wider!r} matches {count}"
    )
    assert len(select(NAMES, [wider], "map")) == count


def test_a_glob_that_once_matched_more_is_not_narrowed_in_silence():
    with pytest.warns(FutureWarning, match=r"'stage1\*' matches 1, .*'stage1\*\.\*\*' matches 3"):
        assert select(NAMES, ["stage1*"], "map") == ["stage1"]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = build("resnet20")
    insert(model, "cbam", at="stage")
    return model.eval()


WRONG = {
    "insertion": ("*bn2", "**.*bn2", lambda model, glob: plan(build("resnet20"), "se", at=glob).sites),
    "heads": ("*conv2", "**.*conv2", lambda model, glob: plan(build("resnet20"), "se", head=glob).head),
    "record": ("*.map", "**.map", lambda model, glob: recorded(model, glob)),
    "saliency": ("*attention", "**.*attention", lambda model, glob: saliency.grad_cam(model, IMAGES, layers=glob)),
    "block maps": ("*.map", "**.map", lambda model, glob: saliency.block_maps(model, IMAGES, only=glob)),
}


def recorded(model, glob):
    with record(model, only=glob) as maps, torch.no_grad():
        model(IMAGES)
    return maps


@pytest.mark.parametrize(("wrong", "right", "use"), WRONG.values(), ids=WRONG)
def test_every_part_of_the_package_reads_a_glob_alike(model, wrong, right, use):
    with pytest.raises(ValueError) as error:
        use(model, wrong)
    assert f"* stays within one level of a name: {right!r} matches" in str(error.value)
    assert "\n" not in str(error.value)
    assert len(use(model, right)) > 1
