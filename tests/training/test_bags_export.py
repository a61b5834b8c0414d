"""Networks of bags in other programs, and their weights in other networks."""

import numpy as np
import pytest
import torch

from cv_attention import config, data, training
from cv_attention.data.bags import BagData
from cv_attention.data.selection import folds
from cv_attention.training.checkpoint import initial, weights
from cv_attention.training.export.deployment import export

FACTS = training.DataFacts(("without", "with"), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), image_size=(16, 16))
MODEL = {"backbone": "convnet", "options": {"widths": [8, 8], "strides": [2, 2]}}


def task(head="gated", seed=0, **options):
    torch.manual_seed(seed)
    experiment = config.Experiment(model=config.Model(**MODEL, head=head, **options))
    found = training.BagClassifier(experiment, FACTS).eval()
    for parameter in found.network.parameters():
        torch.nn.init.normal_(parameter, 0, 0.5)
    return found


def bag(count):
    return torch.randint(0, 256, (count, 3, 16, 16), generator=torch.Generator().manual_seed(1)).to(torch.uint8)


def expected(model, images):
    """The network's own logits, of a padded batch with another bag, and the weights."""
    padded = torch.zeros(2, len(images) + 2, *images.shape[1:], dtype=torch.uint8)
    padded[0, : len(images)], padded[1] = images, bag(len(images) + 2)
    keep = torch.ones(2, len(images) + 2, dtype=torch.bool)
    keep[0, len(images) :] = False
    batch = {"image": padded, "keep": keep}
    with torch.no_grad():
        return model(batch)[:1], model.weights(batch)[:1, : len(images)]


def check(model, run):
    for count in (1, 2, 7):
        logits, found = run(bag(count))
        wanted, shares = expected(model, bag(count))
        np.testing.assert_allclose(logits, wanted, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found[:, :, 0].mean(1), shares, rtol=1e-4, atol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("head", ["gated", "additive", {"name": "luong", "heads": 2}, None])
def test_a_bag_of_any_size_in_torch_export(head, tmp_path):
    model = task(head)
    done = export(model, "torch-export", tmp_path / "bags.pt2", maps=True)
    assert done.input == "images (batch, 3, 16, 16) of one bag, uint8 RGB, normalised inside"
    program = torch.export.load(done.path).module()
    check(model, lambda images: [values.detach().numpy() for values in program(images)])


@pytest.mark.long
@pytest.mark.parametrize("head", ["gated", "additive", {"name": "luong", "heads": 2}, None])
def test_a_bag_of_any_size_in_onnx(head, tmp_path):
    import onnxruntime

    model = task(head)
    done = export(model, "onnx", tmp_path / "bags.onnx", maps=True)
    session = onnxruntime.InferenceSession(str(done.path), providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["logits", "pool.map"]
    check(model, lambda images: session.run(None, {"images": images.numpy()}))


def test_weights_of_a_classifier_are_those_of_the_encoder(tmp_path):
    torch.manual_seed(3)
    classifier = training.Classifier(config.Experiment(model=config.Model(**MODEL)), FACTS)
    path = tmp_path / "classifier.safetensors"
    weights.write(path, classifier)
    model = task()
    own = {name: value.clone() for name, value in model.network.state_dict().items()}
    line = initial.load(model.network, config.Model(**MODEL, weights=str(path)), ["without", "with"])
    assert line == f"weights: {path}; pooling and classifier are new"
    theirs = classifier.network.state_dict()
    for name, value in model.network.state_dict().items():
        part, _, rest = name.partition(".")
        assert torch.equal(value, theirs[rest] if part == "encoder" else own[name]), name


@pytest.mark.parametrize(
    ("head", "names", "words"),
    [
        ("gated", ["without", "with"], ""),
        ("gated", ["a", "b"], "; classifier is new"),
        ("additive", ["without", "with"], "; pooling is new"),
        (None, ["without", "with"], ""),
    ],
)
def test_weights_of_other_bags(tmp_path, head, names, words):
    path = tmp_path / "bags.safetensors"
    before = task(seed=1)
    weights.write(path, before)
    model = task(head)
    line = initial.load(model.network, config.Model(**MODEL, head=head, weights=str(path)), names)
    assert line == f"weights: {path}{words}"
    mine, theirs = model.network.encoder.state_dict(), before.network.encoder.state_dict()
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    assert torch.equal(model.network.classifier.weight, before.network.classifier.weight) == ("classifier" not in words)


def test_weights_of_another_backbone(tmp_path):
    path = tmp_path / "other.safetensors"
    other = config.Model(backbone="convnet", options={"widths": [8, 16], "strides": [2, 2]})
    weights.write(path, training.Classifier(config.Experiment(model=other), FACTS))
    with pytest.raises(ValueError, match=r"does not fit the encoder: .* is \(16, .*, and the network's is \(8"):
        initial.load(task().network, config.Model(**MODEL, weights=str(path)), ["without", "with"])


def bags(**options):
    return config.Data(
        name="digit_bags", batch_size=4, bags=config.Bags(train=20, val=10, test=10, side=16), **options
    )  # fmt: skip


def test_folds_of_bags(tmp_path):
    labels, groups = data.divisible(bags())
    assert (len(labels), groups) == (20, None)
    file = tmp_path / "folds.json"
    folds.write(file, labels, 4, 0, groups)
    plain = BagData(bags(), seed=0)
    plain.setup()
    held = []
    for fold in range(4):
        module = BagData(bags(split_file=str(file), fold=fold), seed=0)
        module.setup()
        train, val = (module.splits[name].images for name in ("train", "val"))
        assert (len(train), len(val), len(module.splits["test"])) == (15, 5, 10)
        assert not set(train.names) & set(val.names)
        assert set(train.names) | set(val.names) == set(plain.splits["train"].images.names)
        assert module.fingerprint()["folds"]["count"] == 4
        held += val.names
    assert len(set(held)) == 20
    with pytest.raises(ValueError, match=r"data.split_file: .* is for other data: it divides 20 images"):
        BagData(config.Data(**{**vars(bags(split_file=str(file))), "bags": config.Bags(train=12)}), seed=0).setup()
