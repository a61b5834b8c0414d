"""What a training leaves for the report's panels, against the same computed plainly from the checkpoint."""

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from cv_attention import data, training
from cv_attention.backbones.tracing.flops import CountFlops
from cv_attention.cli import main
from cv_attention.saliency import grad_cam

BLOCKS = '--model.block={"residual": cbam, "stage:-1": vit}'


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_options) -> Path:
    root = tmp_path_factory.mktemp("recordings")
    options = [*tiny_options, BLOCKS, f"--log.root={root}", "--log.name=run", "--log.tensorboard=true",
               "--log.curve_points=8", "--log.saliency=[grad_cam, layer_cam]", "--trainer.max_epochs=3"]  # fmt: skip
    assert main(["fit", *options]) == 0
    return root / "run"


@pytest.fixture(scope="module")
def classifier(run):
    return training.load(training.find_checkpoint(run, "last"))


@pytest.fixture(scope="module")
def probes(run) -> torch.Tensor:
    files = [run / "maps" / probe["image"] for probe in json.loads((run / "maps/probes.json").read_text())["probes"]]
    return torch.from_numpy(np.stack([np.array(Image.open(file)) for file in files])).permute(0, 3, 1, 2)


def split(classifier, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    module = data.create(classifier.experiment.data)
    module.setup()
    batches = list(getattr(module, f"{name}_dataloader")())
    return torch.cat([b["image"] for b in batches]), torch.cat([b["label"] for b in batches])


@pytest.mark.parametrize(("name", "file", "which"), [("val", "epoch-0002", "last"), ("test", "test", "best")])
def test_confusion_equals_a_count_by_hand(run, name: str, file: str, which: str) -> None:
    network = training.load(training.find_checkpoint(run, which))
    images, labels = split(network, name)
    with torch.no_grad():
        predicted = network(images).argmax(1)
    counted = np.zeros((10, 10), int)
    for true, guess in zip(labels.tolist(), predicted.tolist(), strict=True):
        counted[true, guess] += 1
    content = json.loads((run / f"confusion/{file}.json").read_text())
    written = np.zeros((10, 10), int)
    for true, guess, count in content["counts"]:
        written[true, guess] = count
    assert content["classes"] == 10
    assert np.array_equal(written, counted)


def test_summary_tells_costs_speed_sites_and_the_network(run, classifier) -> None:
    summary = json.loads((run / "summary.json").read_text())
    with CountFlops() as counter, torch.no_grad():
        classifier(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    assert summary["flops"] == counter.flops
    assert summary["parameters"] == sum(p.numel() for p in classifier.network.parameters())
    assert sum(part["parameters"] for part in summary["network"]) == summary["parameters"]
    assert sum(part["flops"] for part in summary["network"]) == summary["flops"]
    assert [part["name"] for part in summary["network"]] == ["conv1", "bn1", "act1", "layer1", "layer2", "layer3", "fc"]
    stage = summary["network"][5]
    assert [unit["name"] for unit in stage["parts"]] == ["layer3.0", "layer3.1", "layer3.2"]
    assert stage["shape"] == [16, 8, 8]
    assert len(summary["sites"]) == 10
    assert summary["sites"][-1]["block"] == "layer3.2.attention"
    assert summary["images_per_second"] > 0


def test_maps_of_the_best_and_the_true_classes(run, classifier, probes) -> None:
    with torch.no_grad():
        logits = classifier(probes)
    found = np.load(run / "maps/classes-0002.npz")
    labels = [probe["label"] for probe in json.loads((run / "maps/probes.json").read_text())["probes"]]
    assert found["classes"].shape == (4, 4)
    for n, label in enumerate(labels):
        assert found["classes"][n, :3].tolist() == logits[n].topk(3).indices.tolist()
        assert label in found["classes"][n]
        assert len(set(found["classes"][n].tolist())) == 4
    for k in range(4):
        targets = torch.from_numpy(found["classes"][:, k])
        heat = grad_cam(classifier.network, classifier.normalise(probes), targets, upsample=False)[:, 0]
        np.testing.assert_allclose(
            found["Grad-CAM"][:, k], heat.numpy(), atol=2e-3 * float(heat.max() + 1e-6), rtol=2e-3
        )


def test_gates_are_counted_over_the_validation_images(run, classifier) -> None:
    images, labels = split(classifier, "val")
    found = np.load(run / "maps/gates-0002.npz")
    names = [key.removeprefix("mean:") for key in found if key.startswith("mean:")]
    assert len(names) == 9
    assert int(found["images"]) == len(labels)
    for name in (names[0], names[-1]):
        seen = []
        handle = classifier.network.get_submodule(name).register_forward_hook(lambda m, i, o, s=seen: s.append(o))
        with torch.no_grad():
            classifier(images)
        handle.remove()
        gates = seen[0].flatten(1).numpy()
        quantiles = np.quantile(gates, [0.05, 0.25, 0.5, 0.75, 0.95], axis=0)
        np.testing.assert_allclose(found[f"quantiles:{name}"], quantiles, atol=2e-3)
        np.testing.assert_allclose(found[f"range:{name}"], [gates.min(), gates.max()], rtol=1e-4)
        assert found[f"histogram:{name}"].sum() == gates.size
        np.testing.assert_allclose(found[f"by_class:{name}"][3], gates[labels.numpy() == 3].mean(0), atol=2e-3)


def test_heads_and_pairwise_maps(run, classifier, probes) -> None:
    name = "layer3.2.attention.attention.map"
    seen = []
    handle = classifier.network.get_submodule(name).register_forward_hook(lambda m, i, o: seen.append(o))
    with torch.no_grad():
        classifier(probes)
    handle.remove()
    np.testing.assert_allclose(np.load(run / "maps/pairwise-0002.npz")[name], seen[0].numpy(), atol=1e-3)
    np.testing.assert_allclose(np.load(run / "maps/heads-0002.npz")[name], seen[0].mean(2).numpy(), atol=1e-3)
    kept = sorted(path.name for path in (run / "maps").glob("pairwise-*"))
    assert kept == ["pairwise-0000.npz", "pairwise-0002.npz"]


def test_curves_equal_masking_by_hand(run, classifier, probes) -> None:
    content = json.loads((run / "maps/faithfulness.json").read_text())
    about = json.loads((run / "maps/epoch-0002.json").read_text())
    key = next(key for key, column in about["columns"].items() if column["title"] == "Grad-CAM")
    heat = torch.from_numpy(np.load(run / "maps/epoch-0002.npz")[key].astype(np.float32))
    heat = F.interpolate(heat[:, None], (32, 32), mode="bilinear", align_corners=False)
    inputs, step = classifier.normalise(probes), content["step"]
    assert step == 128
    assert set(content["curves"]) == {"Grad-CAM", "layer_cam"}
    for n in range(4):
        best_first = torch.argsort(heat[n].flatten(), descending=True, stable=True)
        masked = inputs[n].clone().flatten(1)
        masked[:, best_first[: 3 * step]] = 0
        with torch.no_grad():
            p = classifier.network(masked.view(1, 3, 32, 32)).softmax(1)[0, content["classes"][n]]
        assert content["curves"]["Grad-CAM"]["deletion"]["curve"][n][3] == pytest.approx(p.item(), abs=2e-4)
        curve = content["curves"]["Grad-CAM"]["insertion"]["curve"][n]
        assert np.trapezoid(curve) / 8 == pytest.approx(content["curves"]["Grad-CAM"]["insertion"]["auc"][n], abs=2e-4)


def rendered(run: Path) -> tuple[list[str], np.ndarray]:
    """Titles of the heatmap columns, and the picture of the first probe under Grad-CAM in the last epoch."""
    from cv_attention.drawing import overlay

    about, arrays = json.loads((run / "maps/epoch-0002.json").read_text()), np.load(run / "maps/epoch-0002.npz")
    titles = [column["title"] for key, column in about["columns"].items() if arrays[key].ndim == 3]
    key = next(key for key, column in about["columns"].items() if column["title"] == "Grad-CAM")
    image = np.array(Image.open(run / "maps/images/0000.png"))
    probes = json.loads((run / "maps/probes.json").read_text())
    title = f"{probes['class_names'][probes['probes'][0]['label']]}: Grad-CAM"
    return titles, overlay(image, arrays[key][0].astype(np.float32), title=title, bar=True)


def near(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether pictures are the same but for the rounding of stored maps, which the numbers at the bar may show."""
    return one.shape == other.shape and bool((np.abs(one.astype(int) - other)[:-20] <= 2).all())


def test_wandb_files_hold_the_table_and_its_pictures(run) -> None:
    [offline] = (run / "wandb").glob("offline-run-*")
    titles, picture = rendered(run)
    pictures = [np.array(Image.open(path)) for path in (offline / "files/media/images/maps").rglob("Grad-CAM*.png")]
    assert any(near(one, picture) for one in pictures)
    staged = {
        hashlib.sha256(path.read_bytes()).hexdigest(): path for path in (run / "wandb/artifacts/staging").iterdir()
    }
    tables = [json.loads(path.read_bytes()) for path in staged.values() if path.read_bytes()[:1] == b"{"]
    tables = [table for table in tables if table.get("_type") == "table"]
    assert sorted({row[0] for table in tables for row in table["data"]}) == [0, 1, 2]
    last = next(table for table in tables if table["data"][0][0] == 2)
    assert last["columns"] == ["epoch", "class", "prediction", "probability", "image", *titles]
    assert len(last["data"]) == 4
    drawn = staged[last["data"][0][last["columns"].index("Grad-CAM")]["sha256"]]
    assert near(np.array(Image.open(drawn)), picture)


def test_tensorboard_files_hold_the_pictures_and_the_curves(run) -> None:
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = event_accumulator.EventAccumulator(str(run / "tensorboard/0"), size_guidance={"images": 0})
    events.Reload()
    titles, picture = rendered(run)
    assert {f"maps/{title}" for title in titles} <= set(events.Tags()["images"])
    assert "val_accuracy" in events.Tags()["scalars"]
    shown = events.Images("maps/Grad-CAM")
    assert len(shown) == 3
    side_by_side = np.array(Image.open(io.BytesIO(shown[-1].encoded_image_string)))
    height, width = picture.shape[:2]
    assert side_by_side.shape == (height, 4 * width + 3 * 8, 3)
    assert near(side_by_side[:, :width], picture)
    assert (side_by_side[:, width : width + 8] == 255).all()
