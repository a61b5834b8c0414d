"""Draws the map of each mechanism over the same test image, for the guide on the family of attention.

    python docs/family_pictures.py RUN_WITH_BLOCKS RUN_WITH_GLIMPSES [--image 3]

RUN_WITH_BLOCKS and RUN_WITH_GLIMPSES are run directories:

    cv-attention fit --config configs/digits_additive_pool.yaml \
      --model.block '{layer1: cbam, layer2: gatv2, layer3: mhsa, layer4: latent}'
    cv-attention fit --config configs/digits_glimpse.yaml
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

import cv_attention as cva
from cv_attention import data, drawing, training

SIDE, GAP, BAND = 192, 8, 22
COLOURS = ("#ffb000", "#4fd1ff")


def loaded(run: Path, number: int) -> tuple[torch.nn.Module, torch.Tensor, np.ndarray, np.ndarray]:
    """Returns a run's network, one test image as the network takes it, its pixels and its true box."""
    classifier = training.load(training.find_checkpoint(run)).eval()
    module = data.create(classifier.experiment.data)
    module.setup()
    batch = module.splits["test"].batch([(0, number)])
    pixels = batch["image"][0].permute(1, 2, 0).numpy()
    return classifier.network, classifier.normalise(batch["image"]), pixels, batch["box"][0].numpy()


def heatmaps(run: Path, number: int) -> tuple[dict[str, torch.Tensor], np.ndarray, np.ndarray]:
    """Returns title -> heatmap (h, w) of the blocks of a run, the pixels and the true box."""
    network, inputs, pixels, box = loaded(run, number)
    with torch.no_grad(), cva.record(network) as maps:
        network(inputs)
    centre = [float(box[0] + box[2]) / 2 / pixels.shape[1], float(box[1] + box[3]) / 2 / pixels.shape[0]]
    found = {}
    for name, map in maps.items():
        kind = name.split(".")[0]
        if map.kind == "spatial":
            found["cbam: spatial gate" if kind == "layer1" else "additive pooling"] = cva.to_heatmap(map)[0, 0]
        if map.kind == "pairwise" and map.values.shape[2] == 1:
            continue
        if map.kind == "pairwise":
            grid = map.windows.grid if map.windows else tuple(map.values.shape[-2:])
            square = map.values.shape[2] == grid[0] * grid[1]
            place = (int(centre[1] * grid[0]), int(centre[0] * grid[1]))
            heat = cva.to_heatmap(map, reduce=place) if square else cva.maps.query_heatmaps(map)[:, :1]
            title = {"layer2": "gatv2: one position's edges", "layer3": "mhsa: one position looks"}.get(kind)
            found[title or "latent: one latent reads"] = heat[0, 0]
    return found, pixels, box


def tile(picture: Image.Image, title: str) -> Image.Image:
    """Puts a title below a picture."""
    whole = Image.new("RGB", (SIDE, SIDE + BAND), "white")
    whole.paste(picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.NEAREST), (0, 0))
    ImageDraw.Draw(whole).text((SIDE / 2, SIDE + BAND / 2), title, "black", anchor="mm")
    return whole


def glimpses(run: Path, number: int) -> Image.Image:
    """Draws the numbered boxes of a run's glimpses, and their path."""
    network, inputs, pixels, _ = loaded(run, number)
    with torch.no_grad(), cva.record(network) as maps:
        network(inputs)
    size = (pixels.shape[0], pixels.shape[1])
    boxes = cva.maps.place_boxes(maps["places"], size)[0] * SIDE / size[1]
    whole = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(whole)
    centres = [tuple(((box[0, :2] + box[0, 2:]) / 2).tolist()) for box in boxes]
    pen.line([value for centre in centres for value in centre], "white", 2)
    for step, (box, centre) in enumerate(zip(boxes.tolist(), centres, strict=True)):
        colour = COLOURS[step == len(centres) - 1]
        for corners in box:
            pen.rectangle(corners, outline=colour, width=2)
        x, y = centre
        pen.ellipse((x - 8, y - 8, x + 8, y + 8), colour)
        pen.text((x, y), str(step + 1), "black", anchor="mm")
    return whole


def main() -> int:
    """Draws the sheet; returns 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("blocks", type=Path)
    parser.add_argument("glimpses", type=Path)
    parser.add_argument("--image", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "family/maps.webp")
    options = parser.parse_args()
    found, pixels, _ = heatmaps(options.blocks, options.image)
    tiles = [tile(Image.fromarray(pixels), "the image")]
    for title, heat in found.items():
        tiles.append(tile(Image.fromarray(np.asarray(drawing.overlay(pixels, heat.numpy()))), title))
    tiles.append(tile(glimpses(options.glimpses, options.image), "glimpses"))
    columns = 4
    rows = -(-len(tiles) // columns)
    width, height = columns * (SIDE + GAP) - GAP, rows * (SIDE + BAND + GAP) - GAP
    sheet = Image.new("RGB", (width, height), "white")
    for number, one in enumerate(tiles):
        row, column = divmod(number, columns)
        sheet.paste(one, (column * (SIDE + GAP), row * (SIDE + BAND + GAP)))
    options.out.parent.mkdir(exist_ok=True)
    sheet.save(options.out, "WEBP", quality=80)
    print(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
