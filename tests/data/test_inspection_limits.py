"""From which image on an inspection says something: facts are made by hand, on both sides of each limit."""

import pytest

from cv_attention.data.inspection.classes import of_classes
from cv_attention.data.inspection.facts import Facts
from cv_attention.data.inspection.images import of_images
from cv_attention.data.inspection.items import Item
from cv_attention.data.inspection.names import of_names
from cv_attention.data.inspection.repeated import repeated


def fact(name="a.png", height=64, width=64, split="train", label="ant", level=0.5, spread=0.01, **more):
    mean = (level, level, level)
    square = (level**2 + spread,) * 3
    about = {"pixels": name, "mean": mean, "square": square, "height": height, "width": width, **more}
    return Facts(Item(split, (label,), name, None), **about)


def kinds(findings):
    return {each.kind: list(each.places) for each in findings}


def severities(findings):
    return {each.kind: each.severity for each in findings}


@pytest.mark.parametrize(("height", "width", "found"), [
    (5_000, 10_000, []), (5_000, 10_001, ["large"]),  # 50 million pixels
    (64, 8 * 64, []), (64, 8 * 64 + 1, ["long"]), (8 * 64 + 1, 64, ["long"]),
    (15, 15, ["tiny"]), (16, 16, []), (300, 15, ["tiny", "long"]),
])  # fmt: skip
def test_one_image_of_another_size(height, width, found):
    """Among images of 64 pixels, whose quarter is 16: the least side that is no longer tiny."""
    others = [fact(f"{number}.png") for number in range(9)]
    assert sorted(kinds(of_images([*others, fact("odd.png", height, width)]))) == sorted(found)


def test_images_that_are_all_small_are_not_tiny():
    assert of_images([fact(f"{number}.png", 20, 20) for number in range(9)] + [fact("odd.png", 6, 6)]) == []
    found = of_images([fact(f"{number}.png", 20, 20) for number in range(9)] + [fact("odd.png", 4, 6)])
    assert kinds(found) == {"tiny": ["odd.png"]}


def test_a_single_colour_is_one_of_every_channel():
    flat = fact("flat.png", mean=(0.2, 0.5, 0.7), square=(0.04, 0.25, 0.49))
    almost = fact("almost.png", mean=(0.2, 0.5, 0.7), square=(0.04, 0.25, 0.4901))
    assert kinds(of_images([fact(), flat, almost])) == {"constant": ["flat.png"]}


@pytest.mark.parametrize(("grey", "coloured", "found"), [(0, 4, 0), (1, 4, 1), (2, 2, 2), (3, 2, 0), (4, 0, 0)])
def test_few_grey_images_among_coloured_ones(grey, coloured, found):
    facts = [fact(f"grey{number}.png", grey=True) for number in range(grey)]
    facts += [fact(f"coloured{number}.png") for number in range(coloured)]
    assert len(kinds(of_images(facts)).get("grey", [])) == found


def test_what_is_deep_among_all_is_not_unusual():
    deep, plain = fact("deep.tif", traits=frozenset({"deep", "turned"})), fact("plain.png")
    assert kinds(of_images([deep])) == {"turned": ["deep.tif"]}
    assert severities(of_images([deep, plain])) == {"deep": "warning", "turned": "note"}


def test_a_broken_image_is_named_once():
    found = of_images([fact("a.png", error="'a.png' is empty"), fact("b.png", error="truncated"), fact("c.png")])
    assert kinds(found) == {"broken": ["'a.png' is empty", "b.png: truncated"]}
    assert severities(found) == {"broken": "error"}


def images_of(split="train", **counts):
    return [fact(f"{split}-{name}-{number}", split=split, label=name)
            for name, count in counts.items() for number in range(count)]  # fmt: skip


@pytest.mark.parametrize(("count", "found"), [(4, ["ant: 4"]), (5, None), (1, ["ant: 1"])])
def test_few_images_of_a_class(count, found):
    assert kinds(of_classes(images_of(ant=count, bee=9), ["ant", "bee"])).get("few images") == found


@pytest.mark.parametrize(("large", "found"), [(59, None), (60, ["bee: 60, ant: 6"]), (61, ["bee: 61, ant: 6"])])
def test_ten_times_as_many_images(large, found):
    assert kinds(of_classes(images_of(ant=6, bee=large), ["ant", "bee"])).get("uneven") == found


def test_classes_that_a_split_lacks():
    facts = [*images_of(ant=6, bee=6), *images_of("val", ant=6), *images_of("test", bee=6, wasp=1)]
    found = of_classes(facts, ["ant", "bee", "wasp"])
    assert kinds(found) == {"missing class": ["bee in val", "ant in test"], "not trained": ["wasp"]}
    assert severities(found) == {"missing class": "warning", "not trained": "error"}


def test_names_that_differ_in_signs_alone():
    found = of_names([], ["Red fox", "red_fox", "redfox2", "wolf"])
    assert kinds(found) == {"similar names": ["'Red fox' and 'red_fox'"]}


@pytest.mark.parametrize(("level", "found"), [(0.59, None), (0.61, ["test 0.61, train 0.50"]), (0.39, ["test 0.39"])])
def test_splits_of_other_brightness(level, found):
    facts = [*images_of(ant=6), *(fact(f"{n}", split="test", level=level) for n in range(6))]
    places = kinds(of_images(facts)).get("splits differ")
    assert (places is None) == (found is None)
    assert found is None or places[0].startswith(found[0])


def test_equal_and_similar_images():
    facts = [
        fact("a", pixels="1", look=7), fact("b", pixels="1", look=7), fact("c", pixels="2", look=8, split="test"),
        fact("d", pixels="2", look=8), fact("e", pixels="3", look=8, label="bee"), fact("f", pixels="4", look=5),
        fact("g", pixels="5", look=5, split="val"), fact("h", pixels="6", look=5), fact("i", pixels="7", look=0),
        fact("j", pixels="8", look=0, split="val"), fact("k", pixels="9", label="bee"), fact("l", pixels="9"),
        fact("m", pixels="9", error="broken", split="test"),
    ]  # fmt: skip
    assert kinds(repeated(facts, "single")) == {
        "in two splits": ["c = d"], "two classes": ["k = l"], "repeated": ["a = b"], "alike": ["f = g = h"],
    }  # fmt: skip
    assert severities(repeated(facts, "single")) == {
        "in two splits": "error", "two classes": "error", "repeated": "warning", "alike": "warning",
    }  # fmt: skip
