"""Images named by a few labelled ones: the equations by loops, more images, files, mistakes."""

import json
import math

import pytest
import torch
from torch import nn

import cv_attention as cva
from cv_attention.heads import ImageMemory, recall
from cv_attention.heads.few_shot import attending


class Means(nn.Module):
    """Features of 3 numbers: the mean of each channel; with a batch norm that training mode would move."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.scale = nn.Parameter(torch.tensor([1.0, 2.0, -1.0]))

    def forward(self, images):
        return self.norm(images).mean((2, 3)) * self.scale


@pytest.fixture
def shown():
    torch.manual_seed(0)
    images = torch.randn(7, 3, 4, 4) + torch.randn(7, 3, 1, 1)
    return Means().eval(), images, ["nut", "bolt", "nut", "bolt", "nut", "nut", "washer"]


def cosine(one, other):
    dot = sum(a * b for a, b in zip(one, other, strict=True))
    return dot / math.sqrt(sum(a * a for a in one)) / math.sqrt(sum(b * b for b in other))


def by_loops(query, keys, labels, strength):
    """The weights of a matching network, every class alike: exp(β cos) / images of the class, over their sum."""
    raw = [math.exp(strength * cosine(query, key)) / labels.count(of) for key, of in zip(keys, labels, strict=True)]
    weights = [value / sum(raw) for value in raw]
    classes = {of: sum(w for w, each in zip(weights, labels, strict=True) if each == of) for of in labels}
    return weights, classes


def test_weights_and_probabilities_are_the_equation(shown):
    network, images, labels = shown
    memory = recall(network, images, labels, strength=7)
    queries = torch.randn(5, 3, 4, 4)
    found = memory.read(queries)
    with torch.no_grad():
        keys, asked = network(images).tolist(), network(queries).tolist()
    for row, query in enumerate(asked):
        weights, classes = by_loops(query, keys, labels, 7)
        assert found.weights[row].tolist() == pytest.approx(weights, rel=1e-3)
        assert found.probabilities[row].tolist() == pytest.approx([classes[name] for name in memory.classes], rel=1e-3)
        assert found.labels[row] == max(classes, key=classes.get)
        assert float(found.confidences[row]) == pytest.approx(max(classes.values()), rel=1e-3)
        assert found.similarities[row].tolist() == pytest.approx([cosine(query, key) for key in keys], abs=1e-4)
        order = sorted(range(7), key=lambda i: -weights[i])[:3]
        assert [place for place, _ in found.because(3)[row]] == order


def test_prototypes_are_the_means_of_unit_vectors(shown):
    network, images, labels = shown
    memory = recall(network, images, labels, prototypes=True, strength=5)
    found = memory.read(images[:2] + 0.1)
    with torch.no_grad():
        keys, asked = nn.functional.normalize(network(images)), network(images[:2] + 0.1)
    chosen = {name: [i for i, label in enumerate(labels) if label == name] for name in memory.classes}
    raw = [[5 * cosine(q, keys[places].mean(0).tolist()) for places in chosen.values()] for q in asked.tolist()]
    assert torch.allclose(found.probabilities, torch.tensor(raw).softmax(1), atol=1e-4)
    for place, label in enumerate(labels):
        of_class = found.probabilities[:, memory.classes.index(label)]
        assert torch.allclose(found.weights[:, place], of_class / labels.count(label))


@pytest.mark.parametrize("prototypes", [False, True])
def test_leaving_one_out_is_a_memory_without_it(shown, prototypes):
    network, images, labels = shown
    memory = recall(network, images, labels, strength=4, prototypes=prototypes)
    answers = memory.leave_one_out()
    for place in range(7):
        rest = [i for i in range(7) if i != place]
        without = recall(network, images[rest], [labels[i] for i in rest], strength=4, prototypes=prototypes)
        found = without.read(images[place : place + 1])
        assert answers[place] == found.labels[0]
        keys, numbers = memory._keys, memory._numbers()
        own = attending.leave_one_out(keys, numbers, 3, 4.0, prototypes)[place]
        expected = dict(zip(without.classes, found.probabilities[0].tolist(), strict=True))
        assert own.tolist() == pytest.approx([expected.get(name, 0) for name in memory.classes], abs=1e-4)


def test_the_strength_is_the_best_of_leaving_one_out(shown):
    network, images, labels = shown
    memory = recall(network, images, labels)
    assert memory.strength_from == "chosen by leaving out each of 6 images"
    means = {}
    for strength in attending.STRENGTHS:
        logs = []
        for place in range(6):  # the washer is alone in its class
            rest = [i for i in range(7) if i != place]
            found = recall(network, images[rest], [labels[i] for i in rest], strength=strength)
            read = found.read(images[place : place + 1])
            logs.append(math.log(max(float(read.probabilities[0, found.classes.index(labels[place])]), 1e-9)))
        means[strength] = sum(logs) / 6
    assert memory.strength == max(means, key=means.get)
    one_each = recall(network, images[[0, 1, 6]], ["nut", "bolt", "washer"])
    assert (one_each.strength, one_each.strength_from) == (20, "the default")


@pytest.mark.parametrize("prototypes", [False, True])
def test_a_class_shown_twice_counts_as_once(shown, prototypes):
    network, images, labels = shown
    once = recall(network, images, labels, strength=6, prototypes=prototypes)
    nuts = [i for i, label in enumerate(labels) if label == "nut"]
    twice = recall(network, images, labels, strength=6, prototypes=prototypes)
    twice.add(images[nuts], ["nut"] * 4)
    queries = torch.randn(4, 3, 4, 4)
    assert torch.allclose(once.read(queries).probabilities, twice.read(queries).probabilities, atol=1e-5)
    assert twice.repeated() == [(7 + place, earlier) for place, earlier in enumerate(nuts)]
    assert once.repeated() == []


def test_more_images_are_as_if_all_had_been_shown_at_once(shown):
    network, images, labels = shown
    whole, grown = recall(network, images, labels), recall(network, images[:4], labels[:4])
    grown.add(images[4:], labels[4:])
    assert (grown.classes, grown.strength, len(grown)) == (whole.classes, whole.strength, 7)
    queries = torch.randn(3, 3, 4, 4)
    assert torch.allclose(whole.read(queries).weights, grown.read(queries).weights)
    given = recall(network, images[:4], labels[:4], strength=3)
    given.add(images[4:], labels[4:], ["a", "b", "c"])
    assert (given.strength, given.strength_from, given.names) == (3, "given", ["0", "1", "2", "3", "a", "b", "c"])


def test_the_network_is_left_as_it_was_and_batches_do_not_matter(shown):
    network, images, labels = shown
    network.train()
    network.norm.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    memory = recall(network, images, labels, batch_size=2)
    queries = torch.randn(5, 3, 4, 4)
    several, alone = memory.read(queries), memory.read(queries[3:4])
    assert torch.allclose(several.weights[3], alone.weights[0])
    assert (network.training, network.norm.training) == (True, False)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_maps_and_readers_are_averaged_over_their_positions(shown):
    _, images, labels = shown
    network = cva.backbones.build("resnet20", width=4).eval()
    taken = []
    network.fc.register_forward_pre_hook(lambda module, inputs: taken.append(inputs[0]))
    images = torch.randn(7, 3, 32, 32)
    with torch.no_grad():
        network(images)
    pooled = taken[0]
    reader = cva.backbones.reader(network)
    assert torch.allclose(recall(reader, images, labels)._keys, pooled, atol=1e-5)
    maps = recall(lambda x: reader(x).values.transpose(1, 2).unflatten(2, reader.grid), images, labels)
    assert torch.allclose(maps._keys, pooled, atol=1e-5)

    def padded(x):
        memory = reader(x)
        keep = torch.arange(memory.values.shape[1]).expand(len(x), -1) < 5
        return cva.heads.Memory(memory.values, memory.grid, keep)

    with torch.no_grad():
        assert torch.allclose(recall(padded, images, labels)._keys, reader(images).values[:, :5].mean(1), atol=1e-5)


def test_files_hold_the_memory_and_know_its_network(shown, tmp_path):
    network, images, labels = shown
    memory = recall(network, images, labels, names=[f"{i} שלום 🔩.jpg" for i in range(7)])
    memory.save(tmp_path / "parts")
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == ["memory.json", "memory.safetensors"]
    again = ImageMemory.load(tmp_path / "parts", network)
    queries = torch.randn(3, 3, 4, 4)
    assert torch.equal(memory.read(queries).weights, again.read(queries).weights)
    assert (again.names, again.classes, again.strength, again.size) == (
        memory.names, memory.classes, memory.strength, memory.size,
    )  # fmt: skip
    again.add(images[:1], ["nut"])
    assert again.strength_from.startswith("chosen")
    other = Means().eval()
    with torch.no_grad():
        other.scale += 1
    with pytest.raises(ValueError, match="parts was made with another network"):
        ImageMemory.load(tmp_path / "parts", other)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: (path / "memory.json").unlink(), "memory.json does not exist"),
        (lambda path: (path / "memory.safetensors").write_bytes(b"nothing"), "does not belong to"),
        (lambda path: (path / "memory.json").write_text("{"), "memory.json cannot be read: it is not JSON"),
        (lambda path: edit(path, format=99), "99"),
        (lambda path: edit(path, labels=["nut"]), "do not fit together"),
        (lambda path: edit(path, labels=["nut"] * 6 + [3]), "labels must all be texts or all be whole numbers"),
        (lambda path: edit(path, size=[3, -4, 4]), "size must be three positive numbers"),
        (lambda path: edit(path, settings={"strength": "__import__('os')", "prototypes": False}), "settings are"),
        (lambda path: edit(path, settings=7), "is damaged"),
    ],
)
def test_damaged_files_are_named(shown, tmp_path, change, words):
    network, images, labels = shown
    recall(network, images, labels).save(tmp_path)
    change(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=words) as found:
        ImageMemory.load(tmp_path, network)
    assert "\n" not in str(found.value)


def edit(path, **fields):
    content = json.loads((path / "memory.json").read_text())
    del content["sha256"]
    (path / "memory.json").write_text(json.dumps({**content, **fields}))


@pytest.mark.parametrize(
    ("images", "labels", "options", "words"),
    [
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), ["a", "b"], {}, "images must be normalised .* got uint8"),
        (torch.zeros(3, 4, 4), ["a", "b"], {}, r"images must be a tensor \(N, C, H, W\) .* got shape \(3, 4, 4\)"),
        (torch.zeros(0, 3, 4, 4), [], {}, "at least one image"),
        ("photos", ["a"], {}, "got a str"),
        (torch.zeros(2, 3, 4, 4), ["a"], {}, "one label for each of 2 images, got 1"),
        (torch.zeros(2, 3, 4, 4), ["a", 1], {}, "labels must all be texts or all be whole numbers"),
        (torch.zeros(2, 3, 4, 4), torch.tensor([0.5, 1.0]), {}, "whole numbers"),
        (torch.zeros(2, 3, 4, 4), ["a", "b"], {"names": ["x"]}, "one name for each of 2 images, got 1"),
        (torch.zeros(2, 3, 4, 4), ["a", "b"], {"strength": 0}, "strength must be above 0 and finite, or None, got 0"),
        (torch.zeros(2, 3, 4, 4), ["a", "b"], {"strength": math.nan}, "got nan"),
        (torch.full((2, 3, 4, 4), math.nan), ["a", "b"], {}, "features of image 0 are not finite"),
    ],
)
def test_mistakes(images, labels, options, words):
    with pytest.raises(ValueError, match=words):
        recall(Means().eval(), images, labels, **options)


def test_mistakes_later_on(shown):
    network, images, labels = shown
    memory = recall(network, images, labels)
    with pytest.raises(ValueError, match=r"must be \(C, H, W\) = \(3, 4, 4\) as those .* got \(1, 4, 4\)"):
        memory.read(torch.zeros(1, 1, 4, 4))
    with pytest.raises(ValueError, match=r"got \(3, 8, 4\); resize them"):
        memory.add(torch.zeros(1, 3, 8, 4), ["nut"])
    with pytest.raises(ValueError, match="got 3 after 'nut'"):
        memory.add(images[:1], [3])
    assert len(memory) == 7
    single = recall(network, images[:2], torch.tensor([4, 4]))
    with pytest.raises(ValueError, match="knows only the class 4; show it images of at least two"):
        single.read(images)
    with pytest.raises(ValueError, match="must return a Memory"):
        recall(lambda x: x.sum(), images, labels)


def test_hopeless_features_are_a_tie_and_not_nan(shown):
    _, images, labels = shown
    memory = recall(lambda x: torch.zeros(len(x), 5), images, labels)
    found = memory.read(images)
    assert torch.allclose(found.probabilities, torch.full((7, 3), 1 / 3))
    assert memory.leave_one_out()[0] in labels
