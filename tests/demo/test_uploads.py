"""What people drop on the page of `cv-attention demo`: files of any kind, in a browser, and what the page answers."""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from cv_attention.demo.building import _unformatted
from cv_attention.demo.explaining import Explainer
from tests.demo.test_demo import classifier

CLASSES = ("cat", "dog <b>*big*</b>", "eel_$x$")


def drawn(size: tuple[int, int] = (64, 48)) -> Image.Image:
    """A smooth photograph whose upper left corner is red."""
    image = Image.linear_gradient("L").resize(size).convert("RGB")
    ImageDraw.Draw(image).rectangle((0, 0, size[0] // 3, size[1] // 3), fill=(220, 30, 30))
    return image


def transparent() -> Image.Image:
    """The same photograph, with a hidden black frame."""
    image = Image.new("RGBA", (96, 80), (0, 0, 0, 0))
    image.paste(drawn().convert("RGBA"), (16, 16))
    return image


def exif(orientation: int) -> Image.Exif:
    found = Image.Exif()
    found[0x0112] = orientation
    return found


GREY = np.asarray(drawn().convert("L")).astype(np.uint16)
# Files that show the photograph, and how they are made.
GOOD: dict[str, Any] = {
    "photograph.png": lambda file: drawn().save(file, "png"),
    "cmyk.jpg": lambda file: drawn().convert("CMYK").save(file, "jpeg", quality=95),
    "animated.gif": lambda file: drawn().save(file, "gif", save_all=True, append_images=[Image.new("RGB", (64, 48))]),
    "turned.jpg": lambda file: drawn().rotate(90, expand=True).save(file, "jpeg", quality=95, exif=exif(6)),
    "palette.png": lambda file: drawn().quantize(64).save(file, "png"),
    "called.png": lambda file: drawn().save(file, "webp", quality=95),
    "photograph.tif": lambda file: drawn().save(file, "tiff"),
}
DEEP: dict[str, Any] = {
    "sixteen.png": lambda file: Image.fromarray(GREY * 257).save(file, "png"),
    "twelve.png": lambda file: Image.fromarray(GREY * 16).save(file, "png"),
    "sixteen.tif": lambda file: Image.fromarray(GREY * 257).save(file, "tiff"),
}
BAD: dict[str, tuple[bytes, str]] = {
    "text.png": (b"I am not an image", "'text.png' is not an image (17 bytes of unknown kind)"),
    "empty.jpg": (b"", "'empty.jpg' is not an image (0 bytes of unknown kind)"),
    "drawing.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "'drawing.svg' is not an image (41 bytes"),
    "<img src=x onerror=alert(1)>.png": (b"x", "is not an image (1 bytes of unknown kind)"),
}


def content(save: Any) -> bytes:
    stream = io.BytesIO()
    save(stream)
    return stream.getvalue()


def hostile() -> dict[str, tuple[bytes, str]]:
    whole = content(lambda file: drawn().save(file, "jpeg"))
    bomb = content(lambda file: Image.new("1", (50_000, 50_000)).save(file, "png"))
    return BAD | {
        "cut.jpg": (whole[: len(whole) // 2], "'cut.jpg' cannot be decoded: "),
        "bomb.png": (bomb, "'bomb.png' was rejected: Image size (2500000000 pixels) exceeds limit"),
    }


def seen(explainer: Explainer, path: Any) -> np.ndarray:
    """What the network sees of a file."""
    figure = explainer.explain(path, "mine", methods=[]).figure
    return np.asarray(figure.crop((6, 22, 294, 310)).resize((32, 32), Image.Resampling.BOX)).astype(int)


@pytest.mark.parametrize("name", [*GOOD, *DEEP])
def test_files_of_any_kind_are_read_as_for_training(name, tmp_path):
    network = classifier(None)
    explainer = Explainer({"mine": lambda: network})
    (tmp_path / name).write_bytes(content({**GOOD, **DEEP}[name]))
    expected = drawn().convert("L" if name in DEEP else "RGB").convert("RGB")
    wanted = seen(explainer, np.asarray(expected))
    assert np.abs(seen(explainer, tmp_path / name) - wanted).mean() < 6


def test_what_is_transparent_is_white(tmp_path):
    network = classifier(None)
    transparent().save(tmp_path / "clear.png")
    assert (seen(Explainer({"mine": lambda: network}), tmp_path / "clear.png")[:4, :4] > 240).all()


def test_the_range_of_deep_images_is_that_of_the_run(tmp_path):
    network = classifier(None)
    network.experiment.data.bits = 14
    Image.fromarray(GREY * 16).save(tmp_path / "twelve.png")  # a quarter of 14 bits
    wanted = np.asarray(drawn().convert("L").convert("RGB")) // 4
    explainer = Explainer({"mine": lambda: network})
    assert np.abs(seen(explainer, tmp_path / "twelve.png") - seen(explainer, wanted)).mean() < 3


def test_files_that_are_not_images_are_one_line(tmp_path):
    explainer = Explainer({"mine": lambda: classifier(None)})
    for name, (bad, message) in hostile().items():
        (tmp_path / name).write_bytes(bad)
        with pytest.raises(ValueError) as error:
            explainer.explain(tmp_path / name, "mine")
        assert message in str(error.value)
        assert str(tmp_path) not in str(error.value)


def test_notes_are_not_formatted():
    assert _unformatted("dog <b>*big*</b>") == r"dog \<b\>\*big\*\<\/b\>"
    assert _unformatted("Käfer 3") == "Käfer 3"


@pytest.fixture
def page(browser, monkeypatch) -> Iterator[Any]:
    """The page of a network in a browser, and everything that it asked for."""
    gradio = pytest.importorskip("gradio")
    from cv_attention.demo.building import serve

    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    network = classifier()
    object.__setattr__(network.facts, "class_names", CLASSES)
    _, address, _ = serve(Explainer({"mine": lambda: network}), None, wait=False)
    opened = browser.new_page(viewport={"width": 1280, "height": 1000})
    opened.set_default_timeout(60_000)
    opened.faults, opened.asked = [], []
    opened.on("dialog", lambda dialog: (opened.faults.append(dialog.message), dialog.dismiss()))
    opened.on("pageerror", lambda error: opened.faults.append(str(error)))
    opened.on("request", lambda request: opened.asked.append(request.url))
    opened.goto(address)
    yield opened
    opened.close()
    gradio.close_all()
    assert opened.faults == []
    assert all(url.startswith((address, "data:", "blob:")) for url in opened.asked)


def drop(page: Any, name: str, dropped: bytes) -> None:
    if (clear := page.get_by_role("button", name="Remove Image")).count():
        clear.click()
    page.locator("input[type=file]").first.set_input_files({"name": name, "mimeType": "image/png", "buffer": dropped})
    page.get_by_role("button", name="Remove Image").wait_for()


def explain(page: Any) -> None:
    page.get_by_role("button", name="Explain", exact=True).click()


@pytest.mark.long  # a server and a browser
def test_uploads_in_a_browser(page):
    for name, (bad, message) in hostile().items():
        drop(page, name, bad)
        explain(page)
        said = page.locator(".toast-body")
        said.wait_for()
        assert message.replace("<", "").replace(">", "") in said.inner_text()
        said.get_by_role("button").last.click()  # until then it stays
        said.wait_for(state="detached")
    for name in ("animated.gif", "cmyk.jpg"):
        drop(page, name, content(GOOD[name]))
        explain(page)
        page.get_by_text("The saliency maps explain").wait_for()


@pytest.mark.long  # a server and a browser
def test_choices_and_the_download_in_a_browser(page, tmp_path):
    drop(page, "photograph.png", content(GOOD["photograph.png"]))
    page.get_by_label("Class to explain").fill("dgo")
    explain(page)
    page.locator(".toast-body", has_text="the network has no class 'dgo'").wait_for()
    page.get_by_label("Class to explain").fill(CLASSES[1])
    page.get_by_label("Block to insert").click()
    page.get_by_role("option", name="cbam", exact=True).click()
    page.get_by_label("Saliency methods").first.click()
    page.get_by_role("option", name="layer_cam", exact=True).click()
    page.keyboard.press("Escape")
    explain(page)
    page.get_by_text("cbam is untrained").wait_for()
    assert page.get_by_text(f"The saliency maps explain {CLASSES[1]}.").count() == 1  # not formatted
    for name in CLASSES:
        assert page.get_by_text(name, exact=True).count()
    with page.expect_download() as started:
        page.get_by_text("Download the figure").click()
    started.value.save_as(tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as figure:
        assert started.value.suggested_filename == "maps.png"
        assert figure.size == (4 * 294 + 6, 3 * 322)  # the photograph, eight attention maps, two methods
        assert np.asarray(figure).std() > 20
