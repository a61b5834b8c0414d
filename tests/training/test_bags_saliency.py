"""Saliency of bags: what the bag's class owes to each of its images."""

import json

import cv2
import numpy as np
import pytest
import torch

from cv_attention import config, saliency, training
from cv_attention.cli import main
from cv_attention.exporting.sources import Item
from cv_attention.heads import BagNetwork, ImageOfBag
from cv_attention.saliency_export import export_saliency
from cv_attention.saliency_export.bags import items_of_folders

FACTS = training.DataFacts(("without", "with"), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), image_size=(16, 16))
MODEL = {"backbone": "convnet", "options": {"widths": [8, 8], "strides": [2, 2]}}


def task(head="gated", **options):
    torch.manual_seed(0)
    experiment = config.Experiment(model=config.Model(**MODEL, head=head, **options))
    found = training.BagClassifier(experiment, FACTS).eval()
    for parameter in found.network.parameters():
        torch.nn.init.normal_(parameter, 0, 0.5)
    return found


def bag(count=5):
    return torch.randint(0, 256, (count, 3, 16, 16), generator=torch.Generator().manual_seed(count)).to(torch.uint8)


@pytest.mark.parametrize("head", ["gated", "additive", {"name": "luong", "heads": 2}, None])
def test_an_image_of_a_bag_stands_for_the_whole_bag(head):
    model = task(head)
    images = model.normalise(bag())
    values = model.network.encoder(images).detach()
    for place in (0, 3, 4):
        one = ImageOfBag(model.network, values, place)
        torch.testing.assert_close(one(images[place : place + 1]), model.network(images))
        other = torch.cat([images[:place], images[:1], images[place + 1 :]])
        torch.testing.assert_close(one(images[:1]), model.network(other))
        x = images.clone().requires_grad_()
        whole = torch.autograd.grad(model.network(x)[0, 1], x)[0] * x  # the bag in one pass, by autograd alone
        mine = saliency.input_x_gradient(one, images[place : place + 1], 1)
        torch.testing.assert_close(mine[0, 0], whole[place].sum(0).detach())
    assert model.network.encoder is one.encoder


def test_occlusion_covers_one_image_of_the_bag():
    model = task()
    images = model.normalise(bag())
    one = ImageOfBag(model.network, model.network.encoder(images).detach(), 2)
    covered = images.clone()
    covered[2] = 0
    drop = model.network(images)[0, 1] - model.network(covered)[0, 1]
    found = saliency.occlusion(one, images[2:3], 1, window=16, stride=16, value=0)
    torch.testing.assert_close(found[0, 0, 0, 0], drop.detach())


def test_a_place_that_the_bag_does_not_have():
    with pytest.raises(ValueError, match="place must be one of the 5 of the bag, from 0, got 5"):
        ImageOfBag(BagNetwork(torch.nn.Flatten(), 4, 2, None), torch.zeros(5, 4), 5)


@pytest.fixture
def folders(tmp_path):
    for name, count in (("first", 5), ("second", 3)):
        (tmp_path / "cases" / name).mkdir(parents=True)
        for index, image in enumerate(bag(count)):
            cv2.imwrite(str(tmp_path / "cases" / name / f"{index}.png"), image.permute(1, 2, 0).numpy()[:, :, ::-1])
    return tmp_path / "cases"


def test_folders_are_bags(folders, tmp_path):
    model = task(block="se", at="stage")
    settings = config.SaliencyExport(method="input_x_gradient", accelerator="cpu", batch_size=2, attention=True)
    (folders / "second" / "broken.png").write_bytes(b"no image")
    found = export_saliency(model, [folders], tmp_path / "out", settings)
    assert (found.explained, found.failed) == (8, 1)
    rows = [json.loads(line) for line in found.manifest.read_text().splitlines()]
    [shard] = (tmp_path / "out/shards").glob("*.npz")
    stored = np.load(shard)
    used = [row for row in rows if row["error"] is None]
    for name, count in (("first", 5), ("second", 3)):
        images = model.normalise(bag(count))
        own = [row for row in used if row["bag"].endswith(name)]
        assert len(own) == count
        with torch.no_grad():
            logits = model.network(images)[0]
            weights = model.network.pool.weights(model.network.encoder(images)[None])[0].mean(0)
        x = images.clone().requires_grad_()
        predicted = int(logits.argmax())
        maps = (torch.autograd.grad(model.network(x)[0, predicted], x)[0] * x).sum(1).detach()
        for place, row in enumerate(own):
            np.testing.assert_allclose(row["logits"], logits.detach().numpy(), rtol=1e-4)
            assert row["weight"] == pytest.approx(float(weights[place]), abs=1e-5)
            assert row["predicted"] == row["target"] == predicted
            mine = stored["input_x_gradient"][row["row"]].astype(np.float32) * row["maps"][0]["scale"]
            np.testing.assert_allclose(mine, maps[place].numpy(), atol=2e-3 * float(maps[place].abs().max()))
    keys = [entry["key"] for entry in used[0]["maps"]]
    assert keys[0] == "input_x_gradient"
    assert all(key.startswith("encoder.") for key in keys[1:])
    assert len(keys) > 1


def test_a_changed_image_changes_what_all_of_its_bag_are_made_from():
    items = [Item(f"{bag}/{n}", "", lambda: None, version=str(n)) for bag in "ab" for n in range(2)]
    before, members = items_of_folders(items)
    assert members.of == [[0, 1], [0, 1], [2, 3], [2, 3]]
    items[3] = Item("b/1", "", lambda: None, version="new")
    after, _ = items_of_folders(items)
    assert [one.version == other.version for one, other in zip(before, after, strict=True)] == [
        True,
        True,
        False,
        False,
    ]


OPTIONS = [
    "--data.name=digit_bags", "--data.bags.train=24", "--data.bags.val=10", "--data.bags.test=10",
    "--data.bags.side=16", "--data.batch_size=8", "--model.backbone=convnet", "--model.head=gated",
    "--model.options={widths: [8, 8], strides: [2, 2]}", "--trainer.max_epochs=1", "--trainer.accelerator=cpu",
    "--trainer.precision=32-true", "--trainer.extra={enable_progress_bar: false}", "--log.wandb=disabled",
]  # fmt: skip


@pytest.mark.long
def test_a_run_from_the_command_line(tmp_path):
    """Folds, then a run on one, its maps and its export, and another run that starts from its weights."""
    folds, root = tmp_path / "folds.json", f"--log.root={tmp_path / 'runs'}"
    assert main(["folds", *OPTIONS[:6], f"-o={folds}", "--folds=4"]) == 0
    fold = [f"--data.split_file={folds}", "--data.fold=1"]
    assert main(["fit", *OPTIONS, *fold, root, "--log.name=first"]) == 0
    run = tmp_path / "runs/first"
    said = json.loads((run / "summary.json").read_text())
    assert said["data"]["bags"] == {"train": 18, "val": 6, "test": 10}
    assert said["data"]["folds"]["count"] == 4
    out = tmp_path / "maps"
    assert main(["saliency", "--checkpoint", str(run), "--split=test", f"-o={out}", "--accelerator=cpu"]) == 0
    rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert len({row["bag"] for row in rows}) == 10
    for name in {row["bag"] for row in rows}:
        assert sum(row["weight"] for row in rows if row["bag"] == name) == pytest.approx(1, abs=1e-4)
    for kind in ("onnx", "torch-export"):
        assert main(["export", str(run), f"--format={kind}", "--maps", f"-o={tmp_path / kind}"]) == 0
    weights = [f"--model.weights={run}", root, "--log.name=second"]
    assert main(["fit", *OPTIONS, *weights]) == 0
