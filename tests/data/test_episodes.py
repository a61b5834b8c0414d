"""Episodes: what they show, which classes a split has, the same under any order and worker, mistakes."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from cv_attention import config, data
from cv_attention.data.episodes import warping
from cv_attention.data.episodes.digit_classes import POSES

SMALL = {"train": 24, "val": 6, "test": 8}


def opened(seed=3, root="data", workers=0, transforms=(), **options):
    episodes = config.Episodes(**{**SMALL, **options})
    chosen = config.Data(
        name="episodes", root=str(root), batch_size=4, workers=workers, episodes=episodes,
        train_transforms=list(transforms), eval_transforms=list(transforms),
    )  # fmt: skip
    module = data.create(chosen, seed=seed)
    module.setup()
    return module


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.fixture
def folder(tmp_path):
    """Omniglot's two levels; the red of an image is its class, the green its number, the blue its corner."""
    number = 0
    for split, groups in (("background", ("Greek", "Latin")), ("evaluation", ("Tagalog",))):
        for group in groups:
            for character in range(6):
                number += 1
                place = tmp_path / split / group / f"character{character}"
                place.mkdir(parents=True)
                for drawing in range(5):
                    pixels = np.zeros((10, 10, 3), np.uint8)
                    pixels[..., 0], pixels[..., 1], pixels[0, 0, 2] = number, drawing, 255
                    Image.fromarray(pixels).save(place / f"{drawing}.png")
    return tmp_path


def test_an_episode_shows_every_class_equally_often_and_counts():
    split = opened(ways=4, instances=3).splits["train"]
    batch = split.batch([(0, 0), (2, 5)])
    assert batch["images"].shape == (2, 12, 3, 28, 28)
    assert batch["images"].dtype == torch.uint8
    for labels, instances, classes in zip(batch["labels"], batch["instances"], batch["classes"], strict=True):
        assert labels.bincount().tolist() == [3] * 4
        seen = []
        for label, count in zip(labels.tolist(), instances.tolist(), strict=True):
            seen.append(label)
            assert count == seen.count(label)
        pairs = {*zip(labels.tolist(), classes.tolist(), strict=True)}
        assert len(pairs) == len({c for _, c in pairs}) == 4
    assert batch["ways"].tolist() == [4, 4]
    assert batch["length"].tolist() == [12, 12]
    for episode in (split.episode((0, index)) for index in range(8)):  # no image of a class is shown twice
        assert len({*zip(episode.members.tolist(), episode.classes.tolist(), strict=True)}) == 12


def test_labels_are_drawn_for_every_episode():
    split = opened(instances=2).splits["test"]
    of_class = {}
    for index in range(len(split)):
        episode = split.episode((0, index))
        for label, name in zip(episode.labels, episode.classes, strict=True):
            of_class.setdefault(int(name), set()).add(int(label))
    assert max(len(labels) for labels in of_class.values()) > 2


def test_digits_of_a_split_are_in_no_other_and_poses_are_those_of_the_design():
    module = opened()
    digits = {split: {name[0] for name in names} for split, names in module.class_names_of.items()}
    assert digits == {"train": set("01258"), "val": {"6"}, "test": set("347")}
    assert {split: len(names) for split, names in module.class_names_of.items()} == {"train": 14, "val": 8, "test": 20}
    assert sum(len(poses) for split in ("train", "val") for poses in POSES[split].values()) == 22
    assert "9" not in {name[0] for names in module.class_names_of.values() for name in names}
    assert not {name for name in module.class_names_of["train"] if name[0] in "018" and "180" in name}
    assert not {name for name in module.class_names_of["train"] if name[0] in "25" and "mirrored" in name}


def test_an_image_is_posed_as_its_class_says():
    split = opened().splits["test"]
    batch, episode, classes = split.batch([(0, 1)]), split.episode((0, 1)), split.classes
    for place, (member, index) in enumerate(zip(episode.members, episode.classes, strict=True)):
        upright = classes.images.read(int(member))
        flipped = np.fliplr(upright) if "mirrored" in classes.names[index] else upright
        quarters = next((turn for turn in (1, 2, 3) if f"by {90 * turn}°" in classes.names[index]), 0)
        expected = np.rot90(flipped, quarters).transpose(2, 0, 1)
        assert np.array_equal(batch["images"][0, place].numpy(), expected)


def test_warping_is_scipys_affine_transform():
    rng = np.random.default_rng(0)
    images = np.repeat(ndimage.gaussian_filter(rng.integers(0, 256, (6, 20, 20, 1)), (0, 1.5, 1.5, 0)), 3, 3)
    images = ((images - images.min()) * 255.0 / np.ptp(images)).astype(np.uint8)
    matrices = warping.draw_matrices(6, rng)
    ours = warping.warped(torch.from_numpy(images), torch.from_numpy(matrices)).numpy()
    for image, matrix, result in zip(images, matrices / 256, ours, strict=True):
        centre = np.full(2, 9.5)
        padded = np.pad(image[..., 0].astype(float), 4)  # scipy has no soft edge
        theirs = ndimage.affine_transform(padded, matrix, centre + 4 - matrix @ centre, (20, 20), order=1)
        assert np.abs(theirs - result[..., 0]).max() <= 1.5
        assert (result[..., 0] == result[..., 2]).all()
    identity = torch.tensor([[[256, 0], [0, 256]]]).expand(6, 2, 2)
    assert torch.equal(warping.warped(torch.from_numpy(images), identity), torch.from_numpy(images))


def test_training_classes_are_warped_for_each_episode_and_alike_within_it():
    split = opened(ways=2, instances=2).splits["train"]
    drawn = [split._drawn((0, index)) for index in range(6)]
    matrices = {tuple(matrix.flatten()) for _, every in drawn for matrix in every}
    assert len(matrices) == 12
    for episode, every in drawn:
        for label in (0, 1):
            assert len({tuple(matrix.flatten()) for matrix in every[episode.labels == label]}) == 1


@pytest.mark.parametrize("kind", ["classify", "copy", "associate"])
def test_an_episode_depends_on_seed_epoch_and_index_alone(kind):
    split, again = (opened(kind=kind, seed=3).splits["train"] for _ in range(2))
    together = split.batch([(1, 0), (1, 9), (4, 9)])
    alone = [again.batch([draw]) for draw in ((1, 0), (1, 9), (4, 9))]
    for place, each in enumerate(alone):
        length = int(each["length"])
        assert int(together["length"][place]) == length
        assert torch.equal(together["images"][place, :length], each["images"][0])
        assert torch.equal(together["labels"][place, :length], each["labels"][0])
    assert not torch.equal(alone[1]["images"], alone[2]["images"])
    other = opened(kind=kind, seed=4)
    assert not same(other.splits["train"].batch([(1, 0)]), alone[0])
    # those of validation and test are the same for every seed of the training
    assert same(other.splits["test"].batch([(0, 0), (0, 1)]), opened(kind=kind).splits["test"].batch([(0, 0), (0, 1)]))


def test_a_resumed_epoch_has_the_remaining_batches():
    loader = opened(instances=2).train_dataloader()
    loader.batch_sampler.set_epoch(2)
    iterator = iter(loader)
    next(iterator)
    state, rest = loader.state_dict(), list(iterator)
    resumed = opened(instances=2).train_dataloader()
    resumed.batch_sampler.set_epoch(2)
    resumed.load_state_dict(state)
    batches = list(resumed)
    assert len(batches) == len(rest) == 5
    assert all(same(one, other) for one, other in zip(batches, rest, strict=True))


def test_processes_and_workers_share_the_same_episodes(folder):
    options = {"source": "folder", "side": None, "ways": 2, "instances": 2, "root": folder}
    transforms = [{"Affine": {"rotate": [-20, 20], "p": 1.0}}]  # not batched: workers load
    alone, workers = (opened(**options, workers=n, transforms=transforms).train_dataloader() for n in (0, 2))
    assert not alone.dataset.resident
    pairs = list(zip(alone, workers, strict=True))
    assert len(pairs) == 6
    assert all(same(*pair) for pair in pairs)
    split = alone.dataset
    ranks = [split.batch([(0, index) for index in range(rank, 4, 2)]) for rank in (0, 1)]
    whole = split.batch([(0, index) for index in range(4)])
    assert torch.equal(whole["images"][::2], ranks[0]["images"])
    assert torch.equal(whole["images"][1::2], ranks[1]["images"])


def test_transforms_are_random_for_every_image_of_an_episode(folder):
    options = {"source": "folder", "side": None, "ways": 2, "instances": 4, "root": folder}
    split = opened(**options, transforms=["HorizontalFlip"]).splits["train"]
    assert split.resident
    corner = split.batch([(0, index) for index in range(20)])["images"][:, :, 2, 0, 0]
    assert 0.35 < float((corner == 255).float().mean()) < 0.65
    assert not (corner == corner[:, :1]).all()


def test_copied_sequences_have_a_range_of_lengths_in_training_alone():
    module = opened(kind="copy", shortest=2, longest=5, test_length=9)
    assert module.class_names == [str(digit) for digit in range(10)]
    assert (module.ways, module.longest) == (10, 9)
    batch = module.splits["train"].batch([(0, index) for index in range(24)])
    assert {*batch["length"].tolist()} == {2, 3, 4, 5}
    assert batch["images"].shape[:2] == (24, 5)
    for place, length in enumerate(batch["length"].tolist()):
        assert (batch["labels"][place, :length] >= 0).all()
        assert (batch["labels"][place, length:] == -1).all()
        assert not batch["images"][place, length:].any()
        assert not batch["instances"][place, length:].any()
    assert module.splits["test"].batch([(0, 0), (0, 5)])["length"].tolist() == [9, 9]
    # the images differ between the splits, the classes do not
    rows = [{*split.classes.images.rows.tolist()} for split in module.splits.values()]
    assert sum(map(len, rows)) == len(set.union(*rows)) == 1797


def test_a_cue_asks_for_the_label_of_its_partner():
    split = opened(kind="associate", ways=4).splits["val"]
    batch = split.batch([(0, index) for index in range(6)])
    assert batch["images"].shape[:2] == (6, 9)
    for place in range(6):
        labels, query = batch["labels"][place].tolist(), int(batch["query"][place])
        cues = labels[:-1:2]
        assert len(set(cues)) == 4
        assert labels[-1] == cues[query]
        assert int(batch["target"][place]) == labels[2 * query + 1]
        assert not torch.equal(batch["images"][place, -1], batch["images"][place, 2 * query])
    assert len({*batch["query"].tolist()}) > 1


def test_two_levels_of_folders_with_classes_of_their_own(folder):
    module = opened(root=folder, source="folder", side=None, ways=3, instances=5)
    names = module.class_names_of
    assert {split: len(each) for split, each in names.items()} == {"train": 9, "val": 3, "test": 6}
    assert names["test"] == [f"Tagalog/character{n}" for n in range(6)]
    assert not set(names["train"]) & set(names["val"])
    batch = module.splits["test"].batch([(0, 0)])
    for label in range(3):
        shown = batch["images"][0][batch["labels"][0] == label]
        assert len(shown[:, 0].unique()) == 1
        assert sorted(shown[:, 1, 0, 0].tolist()) == list(range(5))
    assert int(batch["images"][0, :, 0].min()) >= 13
    assert module.describe() == (
        "folder: 24 train, 6 val, 8 test episodes (classify, up to 15 images of 9 train, 3 val, 6 test classes), 10×10"
    )


def test_turned_classes_stay_in_their_split(folder):
    module = opened(root=folder, source="folder", side=None, ways=20, instances=2, rotations=True)
    names = module.class_names_of
    assert {split: len(each) for split, each in names.items()} == {"train": 28, "val": 20, "test": 24}
    upright = {split: {name.partition(" turned")[0] for name in each} for split, each in names.items()}
    assert not upright["train"] & upright["val"]
    split = module.splits["test"]
    batch, corners = split.batch([(0, 0)]), {0: (0, 0), 1: (9, 0), 2: (9, 9), 3: (0, 9)}
    for image, index in zip(batch["images"][0], batch["classes"][0].tolist(), strict=True):
        row, column = corners[int(split.classes.turns[index])]
        assert image[2, row, column] == 255
        assert int((image[2] == 255).sum()) == 1


def test_one_folder_or_the_same_classes_everywhere_are_divided(folder):
    flat = opened(root=folder / "background" / "Greek", source="folder", side=None, ways=2, instances=5)
    assert sum(len(names) for names in flat.class_names_of.values()) == 6
    for split in ("train", "val"):
        for index in range(7):
            place = folder / "same" / split / f"thing {index}"
            place.mkdir(parents=True)
            for number in range(2):
                Image.new("RGB", (9, 12), (index, number, 0)).save(place / f"{split}{number}.png")
    module = opened(root=folder / "same", source="folder", side=8, ways=2, instances=4)
    assert {split: len(each) for split, each in module.class_names_of.items()} == {"train": 3, "val": 2, "test": 2}
    every = [set(names) for names in module.class_names_of.values()]
    assert len(set.union(*every)) == 7
    assert all(len(of) == 4 for split in module.splits.values() for of in split.classes.members)
    assert module.image_size == (8, 8)
    assert module.splits["test"].classes.images.short_name(0).startswith("thing ")


def test_copies_of_a_folder_have_its_splits(folder):
    for split, count in (("train", 5), ("test", 3)):
        for name in ("a", "b", "c"):
            (folder / "plain" / split / name).mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (12, 12), (number, 0, 0)).save(folder / "plain" / split / name / f"{number}.png")
    module = opened(root=folder / "plain", source="folder", kind="copy", side=None)
    assert module.class_names == ["a", "b", "c"]
    assert {split: len(part.classes.images) for split, part in module.splits.items()} == {
        "train": 12,
        "val": 3,
        "test": 9,
    }


def test_the_fingerprint_changes_with_the_classes(folder):
    options = {"root": folder, "source": "folder", "side": None, "ways": 2, "instances": 2}
    first, again = opened(**options).fingerprint(), opened(**options).fingerprint()
    assert first == again
    assert first["images"] == {"train": 50, "val": 10, "test": 30}
    (folder / "evaluation/Tagalog/character0/4.png").unlink()
    assert opened(**options).fingerprint()["fingerprint"] != first["fingerprint"]


def test_broken_images_are_left_out_on_demand(folder):
    broken = folder / "evaluation/Tagalog/character0/4.png"
    broken.write_bytes(b"no image")
    options = config.Episodes(source="folder", side=12, ways=2, instances=2, **SMALL)
    chosen = {"name": "episodes", "root": str(folder), "episodes": options}
    with pytest.raises(ValueError, match=r"character0/4\.png"):
        data.create(config.Data(**chosen)).setup()
    module = data.create(config.Data(**chosen, on_error="skip"))
    with pytest.warns(UserWarning, match="1 of 30 images"):
        module.setup()
    assert len(module.splits["test"].classes.images) == 29
    assert list(module.left_out) == ["test"]
    chosen["root"] = str(folder / "evaluation/Tagalog")  # divided: named once
    divided = data.create(config.Data(**chosen, on_error="skip"))
    with pytest.warns(UserWarning, match="1 of 30 images"):
        divided.setup()
    assert {split: len(errors) for split, errors in divided.left_out.items()} == {"train": 1}


@pytest.mark.parametrize(
    ("options", "episodes", "words"),
    [
        ({"balanced": True}, {}, "data.balanced is True, but data.name episodes does not have it"),
        ({"mixup": 0.2}, {}, "data.mixup is 0.2"),
        ({"subset": config.Subset(per_class=2)}, {}, "data.subset is"),
        ({"root": "elsewhere"}, {}, "did you mean source 'folder'"),
        ({}, {"ways": 1}, r"data.episodes.ways must be in \[2, 1000\], got 1"),
        ({}, {"shortest": 9}, "data.episodes.shortest must be at most longest=8, got 9"),
        ({}, {"side": 4}, r"data.episodes.side must be in \[8, 512\] or null, got 4"),
        ({}, {"rotations": True}, "rotations makes new classes of the kind classify from images of other sources"),
    ],
)
def test_mistakes_in_the_configuration(options, episodes, words):
    with pytest.raises(ValueError, match=words):
        data.create(config.Data(name="episodes", episodes=config.Episodes(**episodes), **options))


def image(path):
    Image.new("L", (9, 7)).save(path)


def remove(path):
    for image in path.iterdir():
        image.unlink()


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (None, {"ways": 9}, "12 training classes cannot be divided between train and val with 9 in each"),
        (None, {"ways": 6, "kind": "associate"}, "must contain the folders train and test"),
        (None, {"ways": 2, "instances": 6}, "instances is 6, but the class '.*' of the split train has only 5 images"),
        (lambda f: remove(f / "evaluation/Tagalog/character3"), {}, "'.*/Tagalog/character3' contains no images"),
        (lambda f: image(f / "evaluation/Tagalog/x.png"), {}, "Tagalog' holds images and folders"),
        (lambda f: (f / "evaluation/Greek").symlink_to(f / "background/Greek"), {}, "'Tagalog/.*' is in test alone"),
        (lambda f: (f / "evaluation/Tagalog/x").symlink_to(f / "evaluation"), {}, "x' leads to .* which holds other"),
        (lambda f: (f / "background/Greek/x").symlink_to(f / "background/Latin/character0"), {}, "are the same folder"),
        (lambda f: (f / "train").mkdir(), {}, "has several train folders: train, background; keep one"),
        (lambda f: image(f / "evaluation/Tagalog/character0/0.png"), {"ways": 6, "instances": 5}, "have the same size"),
    ],
)
def test_mistakes_in_a_folder(folder, change, options, words):
    if change:
        change(folder)
    with pytest.raises(ValueError, match=words) as found:
        opened(root=folder, source="folder", **{"side": None, "ways": 2, "instances": 2, **options})
    assert "\n" not in str(found.value)


def test_digits_are_too_few_for_many_ways():
    with pytest.raises(ValueError, match="ways is 9, but the split val has only 8 classes"):
        opened(ways=9)
    with pytest.raises(ValueError, match="ways is 11, but the split train has only 10 classes"):
        opened(ways=11, kind="associate")
    with pytest.raises(FileNotFoundError, match="folder not found"):
        opened(root="nowhere", source="folder")


def test_cifar_is_divided_by_classes(monkeypatch, tmp_path):
    from cv_attention.data.sources import cifar
    from cv_attention.data.sources.memory import in_memory

    pixels = np.random.default_rng(0).integers(0, 256, (60, 32, 32, 3)).astype(np.uint8)
    parts = {"train": in_memory(pixels[:40], np.arange(40) % 10), "test": in_memory(pixels[40:], np.arange(20) % 10)}
    monkeypatch.setattr(cifar, "load", lambda name, root: ([f"c{n}" for n in range(10)], parts))
    module = opened(root=tmp_path, source="cifar10", ways=3, instances=6, side=32)
    assert {split: len(each) for split, each in module.class_names_of.items()} == {"train": 4, "val": 3, "test": 3}
    assert all(len(of) == 6 for split in module.splits.values() for of in split.classes.members)
    with pytest.raises(ValueError, match="10 classes cannot be divided between train, val and test with 5 in each"):
        opened(root=tmp_path, source="cifar10")


@pytest.mark.shared
def test_omniglot(tmp_path):
    archive = Path(__file__).parents[3] / "shared/data/omniglot.tar.xz"
    if not archive.exists():
        pytest.skip(f"{archive} is not here")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    options = {"source": "folder", "ways": 20, "instances": 2, "side": 28, "root": tmp_path / "omniglot"}
    names = opened(**options).class_names_of
    assert {split: len(each) for split, each in names.items()} == {"train": 116, "val": 20, "test": 106}
    alphabets = {split: {name.partition("/")[0] for name in each} for split, each in names.items()}
    assert alphabets["test"] == {"Japanese_(katakana)", "Sanskrit", "Tagalog"}
    assert alphabets["train"] | alphabets["val"] == {"Balinese", "Early_Aramaic", "Greek", "Korean", "Latin"}
    module = opened(**options, rotations=True)
    assert len(module.class_names_of["test"]) == 4 * 106
    split = module.splits["test"]
    batch = split.batch([(0, 0)])
    assert batch["images"].shape == (1, 40, 3, 28, 28)
    member, index = split.episode((0, 0)).members[0], int(batch["classes"][0, 0])
    with Image.open(module.splits["test"].classes.images.path(int(member))) as drawing:
        upright = drawing.convert("RGB").resize((28, 28), Image.Resampling.BILINEAR)
    assert np.array_equal(batch["images"][0, 0].permute(1, 2, 0), np.rot90(upright, split.classes.turns[index]))
    assert 0.88 < module.mean[0] < 0.95  # black on white
