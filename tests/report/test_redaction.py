import pytest

from cv_attention.report.read.redaction import redact


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("/home/somebody/data/cifar10", "…/cifar10"),
        ("/home/some body/my data", "…/my data"),
        ("~/data/x/", "…/x"),
        ("C:\\Users\\me\\data", "…/data"),
        ("\\\\server\\share\\data", "…/data"),
        ("file:///home/me/x.png", "…/x.png"),
        ("reads '/srv/a/b.yaml', then stops", "reads '…/b.yaml', then stops"),
        ("root=/srv/a/b", "root=…/b"),
        ("a\n/srv/a/b\n", "a\n…/b\n"),
        ("data/cifar10", "data/cifar10"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("layer1.0/conv 3/4", "layer1.0/conv 3/4"),
        ("32-true", "32-true"),
    ],
)
def test_paths_lose_their_place_and_other_text_stays(text: str, clean: str) -> None:
    assert redact(text) == clean


def test_whole_trees_are_cleaned_and_numbers_stay() -> None:
    tree = {"root": "/a/b/c", "/a/key": [1, 2.5, None, True, ("/x/y",)]}
    assert redact(tree) == {"root": "…/c", "…/key": [1, 2.5, None, True, ["…/y"]]}
