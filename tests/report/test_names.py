"""Images of one file name in the folders of different classes stay apart; what a comparison cannot show is said."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cv_attention import report
from cv_attention.report.read.names import image_names
from tests.quick import quick_first, quick_only
from tests.report.test_comparing import expect_difference
from tests.report.test_pixels import recorded

COUNT = 4


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["bird/0004.jpg", "cat/0004.jpg"], ["bird/0004.jpg", "cat/0004.jpg"]),
        (["/home/somebody/val/bird/4.jpg", "/home/somebody/val/cat/4.jpg"], ["bird/4.jpg", "cat/4.jpg"]),
        (["trip/a.jpg", "trip/b.jpg"], ["a.jpg", "b.jpg"]),
        (["a/x/1.png", "a/y/z/1.png", "a/2.png"], ["x/1.png", "y/z/1.png", "2.png"]),
        (["/home/somebody/1.png", "/srv/2.png"], ["1.png", "2.png"]),
        ([r"C:\data\cat\1.png", r"C:\data\dog\1.png"], ["cat/1.png", "dog/1.png"]),
        ([r"C:\cat\1.png", r"D:\dog\1.png"], ["1.png", "1.png"]),
        (["00017", None, "", "00021"], ["00017", "", "", "00021"]),
        ([], []),
    ],
)
def test_names_lack_the_folders_that_all_share(paths: list[str | None], names: list[str]) -> None:
    assert image_names(paths) == names


def name_probes(run: Path, name: Callable[[int], str], order: slice = np.s_[:]) -> None:
    """Gives every sample its own class, and a name made of the class; `order` turns round all that is recorded."""
    path = run / "maps/probes.json"
    content = json.loads(path.read_text())
    for label, probe in enumerate(content["probes"]):
        probe |= {"label": label, "name": name(label)}
    content["probes"] = content["probes"][order]
    path.write_text(json.dumps(content))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, make_run: Callable[..., Path]) -> Path:
    """Runs on the same images, recorded in reverse by the second: with folders, and as they were without."""
    root = tmp_path_factory.mktemp("names")
    plain = make_run(root / "plain", epochs=2, every=1, probes=COUNT)
    for kind, name in {"new": lambda label: f"digit {label}/0004.png", "old": lambda label: "0004.png"}.items():
        ours = shutil.copytree(plain, root / f"{kind}-a")
        theirs = shutil.copytree(plain, root / f"{kind}-b")
        name_probes(ours, name)
        name_probes(theirs, name, np.s_[::-1])
        for path in theirs.glob("maps/*.npz"):
            with np.load(path) as arrays:
                changed = {key: arrays[key][::-1, ::-1] if arrays[key].ndim == 3 else arrays[key] for key in arrays}
            np.savez(path, allow_pickle=False, **changed)
        report.build([ours, theirs], root / kind)
    report.build([root / "new-a", root / "old-b"], root / "mixed")
    lacking = shutil.copytree(root / "new-a", root / "lacking")
    for about in lacking.glob("maps/epoch-*.json"):
        content = json.loads(about.read_text())
        del content["columns"]["layer2"]
        about.write_text(json.dumps(content))
    report.build([root / "new-a", lacking], root / "less")
    return root


@pytest.mark.browser
@pytest.mark.parametrize("kind", quick_only(["mixed"], ["new", "old", "mixed"]))
def test_runs_are_compared_on_the_same_image(open_page, folders: Path, titles: dict[str, str], kind: str) -> None:
    address = "#epoch=2&opacity=1&smooth=0&columns=3&versus=run:1"
    opened = open_page(address, index=folders / kind / "index.html")
    for sample in range(COUNT):
        a = recorded(folders, 1, "layer3", "new-a")[sample]
        b = recorded(folders, 1, "layer3", "new-b")[COUNT - 1 - sample]
        expect_difference(opened.pixels(titles["layer3"], sample), a - b)


def load_note(opened, run: str, sample: str) -> None:
    content = {"cv_attention_notes": 1, "notes": [{"run": run, "sample": sample, "note": "x", "tags": []}]}
    file = {"name": "notes.json", "mimeType": "application/json", "buffer": json.dumps(content).encode()}
    opened.page.locator("input[type=file]").set_input_files(file)


@pytest.mark.browser
@pytest.mark.parametrize("kind", quick_only(["old"], ["new", "old"]))
def test_notes_and_names_belong_to_one_image(open_page, folders: Path, kind: str) -> None:
    opened = open_page("#columns=&sample=2", index=folders / kind / "index.html")
    opened.show(0)
    files = opened.page.locator(".probe:not([hidden]) .file").all_inner_texts()
    assert sorted(files) == [f"digit {label}/0004.png" for label in range(COUNT)]
    opened.page.keyboard.press("n")
    opened.page.locator("textarea[name=note]").fill("blurred")
    opened.page.get_by_role("button", name="Save", exact=True).click()
    noted = opened.page.locator(".probe", has=opened.page.locator(".has-note"))
    assert [row.get_attribute("data-sample") for row in noted.all()] == ["2"]
    opened.panel("notes")
    old = {
        "cv_attention_notes": 1,
        "notes": [{"run": f"{kind}-a", "sample": "digit 1/0004.png", "note": "x", "tags": []}],
    }
    file = {"name": "notes.json", "mimeType": "application/json", "buffer": json.dumps(old).encode()}
    opened.page.locator("input[type=file]").set_input_files(file)
    opened.until("document.querySelectorAll('.has-note').length === 2")
    assert opened.page.get_by_text("1 note imported.").is_visible()
    opened.page.locator('.probe[data-sample="3"] .pick').check()
    opened.page.locator("input[name=tag]").fill("odd")
    opened.page.get_by_role("button", name="Tag", exact=True).click()
    assert opened.page.get_by_text("1 selected sample tagged.").is_visible()


@pytest.mark.browser
def test_notes_from_before_names_had_folders_find_their_image(open_page, many_folders: Path) -> None:
    opened = open_page("#columns=", index=many_folders / "report/index.html")
    opened.panel("notes")
    load_note(opened, many_folders.name, "1.png")
    opened.show(0)
    noted = opened.page.locator(".probe", has=opened.page.locator(".has-note"))
    assert [row.get_attribute("data-sample") for row in noted.all()] == ["1"]


@pytest.fixture(scope="module")
def many_folders(tmp_path_factory: pytest.TempPathFactory, make_run: Callable[..., Path]) -> Path:
    run = make_run(tmp_path_factory.mktemp("many") / "many", epochs=1, every=1, probes=COUNT)
    name_probes(run, lambda label: f"digit {label}/{label}.png")
    report.build(run)
    return run


@pytest.mark.browser
def test_what_the_other_run_lacks_is_marked(open_page, folders: Path, titles: dict[str, str]) -> None:
    opened = open_page("#epoch=2&columns=2,3&versus=run:1", index=folders / "less/index.html")
    opened.show(0)
    assert opened.cell(titles["layer2"]).locator(".compared").inner_text() == "not in B"
    assert opened.cell(titles["layer3"]).locator(".compared").inner_text() == "no difference"


@pytest.mark.browser
@pytest.mark.parametrize("smooth", quick_first([0, 1]))
def test_no_difference_is_neutral(open_page, runs: Path, titles: dict[str, str], smooth: int) -> None:
    opened = open_page(f"#epoch=5&opacity=1&smooth={smooth}&columns=2&versus=epoch:4&compare=difference")
    drawn = opened.pixels(titles["layer2"])
    assert (drawn[..., :3] > 235).all()
    assert opened.cell(titles["layer2"]).locator(".compared").inner_text() == "no difference"
    canvas = opened.cell(titles["layer2"]).locator("canvas.a")
    assert canvas.get_attribute("aria-label").endswith("no difference")
