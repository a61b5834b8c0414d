"""Parts of an export that need no network: what is listed, named, divided, resized and written."""

import hashlib
import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from cv_attention.exporting.batches import Batch, Batches, Part, Sample, ShardBatches, preparation, resized
from cv_attention.exporting.encoding import encode
from cv_attention.exporting.folder import begin, first_failure, read, write
from cv_attention.exporting.names import file_stem
from cv_attention.exporting.row_writer import RowWriter
from cv_attention.exporting.shards import write_shard
from cv_attention.exporting.sources import Item, digest, expanded, find_items, fingerprint
from cv_attention.exporting.verification import missing, rows_path, shard_requests
from cv_attention.rundir import Damaged


def items(count, prefix="image"):
    pixels = np.zeros((4, 6, 3), np.uint8)
    return [Item(f"{prefix}-{number}", f"{prefix}/{number}", lambda: pixels) for number in range(count)]


SHARDS = SimpleNamespace(shard_size=3, maps="none")


@pytest.mark.parametrize(("images", "size", "batch"), [(7, 3, 2), (6, 3, 3), (1, 3, 2), (9, 4, 4), (5, 10, 3)])
def test_batches_are_those_of_a_plain_division(images, size, batch):
    shards = [list(range(images))[start : start + size] for start in range(0, images, size)]
    expected = [
        (number, shard[start : start + batch], start + batch >= len(shard))
        for number, shard in enumerate(shards) for start in range(0, len(shard), batch)
    ]  # fmt: skip
    parts = list(ShardBatches(images, size, batch, range(len(shards))))
    assert [(part.shard, list(part.numbers), part.last) for part in parts] == expected


def test_images_are_decoded_in_order_and_no_more_once_it_is_stopped():
    def prepare(number, item):
        if number == 1:
            raise OSError("two\n lines")
        return Sample(number, item.read(), 6, 4, None, 6)

    def run(stopped):
        return list(Batches(items(9), ShardBatches(9, 3, 2, range(3)), prepare, 2, stopped))

    found = run(lambda: False)
    assert [list(batch.part.numbers) for batch in found] == [[0, 1], [2], [3, 4], [5], [6, 7], [8]]
    assert [[sample.number for sample in batch.samples] for batch in found] == [[0], [2], [3, 4], [5], [6, 7], [8]]
    assert found[0].errors == {1: "two lines"}
    assert (len(found[0]), found[0].images.shape) == (2, (1, 3, 4, 6))
    assert run(lambda: True) == []


def test_a_batch_of_broken_images_has_none():
    batch = Batch(Part(0, range(2), True), [], {0: "broken", 1: "broken"})
    assert batch.images is None
    assert len(batch) == 2


@pytest.mark.parametrize("size", [(4, 6), (8, 3), (2, 12)])
def test_an_image_and_its_box_get_the_size_of_the_network(size):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    box = np.array([1.0, 1.0, 4.0, 3.0])
    image, moved, columns = resized(pixels, box, size)
    assert (image.shape, columns) == ((*size, 3), size[1])
    np.testing.assert_allclose(moved, [size[1] / 6, size[0] / 4, 4 * size[1] / 6, 3 * size[0] / 4])
    expected = pixels if size == (4, 6) else cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(image, expected)
    assert resized(pixels, None, size)[1] is None


@pytest.mark.parametrize(("box", "kept"), [
    (None, None), ([0, 0, 0, 0], None), ([0, 0, 2, 1], [0.0, 0.0, 2.0, 1.0]),
    ([1 / 3, 0, 1, 1], [0.3333, 0.0, 1.0, 1.0]),
])  # fmt: skip
def test_a_box_that_has_left_the_image_is_none(box, kept):
    item = Item("a", "a", lambda: np.zeros((4, 6, 3), np.uint8), box=None if box is None else np.array(box, float))
    sample = preparation([], lambda image, box: (image, box, 6))(3, item)
    assert (sample.number, sample.width, sample.height, sample.columns, sample.box) == (3, 6, 4, 6, kept)


@pytest.mark.parametrize(("path", "stem"), [
    ("deep/red", "000017-deep-red"), ("a\\b", "000017-a-b"), ("../../x", "000017-x"), ("a..b", "000017-a_b"),
    ("...", "000017"), ("é ü", "000017-é_ü"), ("a\nb", "000017-a_b"), ("-a-", "000017-a"), ("./a/./b", "000017-a-b"),
    ("x" * 200, "000017-" + "x" * 93), ("é" * 200, "000017-" + "é" * 46),
])  # fmt: skip
def test_output_files_are_named_by_number_and_path(path, stem):
    assert file_stem(17, path) == stem
    assert len(file_stem(1_234_567, path).encode()) <= 100
    assert file_stem(1_234_567, path).startswith("1234567")


@pytest.mark.parametrize(("kind", "exact"), [("png", True), ("jpg", False), ("webp", False)])
def test_pictures_are_rgb(kind, exact, tmp_path):
    pixels = np.full((16, 16, 3), (200, 30, 90), np.uint8)
    (tmp_path / "a").write_bytes(encode(pixels, kind))
    with Image.open(tmp_path / "a") as opened:
        assert opened.format == {"jpg": "JPEG"}.get(kind, kind.upper())
        assert abs(np.asarray(opened.convert("RGB")).astype(int) - pixels).max() <= (0 if exact else 8)


def test_sources_are_listed_in_their_order_and_sorted_within(tmp_path):
    for name in ("b/2.png", "b/1.jpg", "a.png", "b/note.txt", "b/out/3.png", "b/.hidden.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_items([tmp_path / "b", tmp_path / "a.png"], tmp_path / "b/out", 10)
    assert [(item.title, item.path) for item in found] == [
        (str(tmp_path / "b/1.jpg"), "1"), (str(tmp_path / "b/2.png"), "2"), (str(tmp_path / "a.png"), "a"),
    ]  # fmt: skip
    assert expanded(tmp_path / "*" / "?.png") == [tmp_path / "b/2.png"]
    assert expanded(tmp_path / "**/*.jpg") == [tmp_path / "b/1.jpg"]
    assert expanded(tmp_path / "gone.png") == [tmp_path / "gone.png"]
    (tmp_path / "[x].png").touch()
    assert expanded(tmp_path / "[x].png") == [tmp_path / "[x].png"]
    with pytest.raises(FileNotFoundError, match="no file or folder matches"):
        expanded(tmp_path / "*.gif")
    with pytest.raises(FileNotFoundError, match="does not exist; give image files, folders of images or tar archives"):
        find_items([tmp_path / "gone.png"], tmp_path / "out", 10)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no images in .*empty; expected files ending in .jpg, .*, .ico or .tar$"):
        find_items([tmp_path / "empty"], tmp_path / "out", 10)


def test_digests_change_with_what_they_stand_for():
    three = items(3)
    assert digest(three) == hashlib.sha256(b"image-0\nimage-1\nimage-2\n").hexdigest()
    assert digest(three[::-1]) != digest(three)
    base = Item("a", "b", three[0].read, 1, np.array([0.0, 1.0, 2.0, 3.0]), "v")
    others = [Item("x", "b", base.read, 1, base.box, "v"), Item("a", "x", base.read, 1, base.box, "v"),
              Item("a", "b", base.read, 2, base.box, "v"), Item("a", "b", base.read, 1, None, "v"),
              Item("a", "b", base.read, 1, base.box, "w"), Item("a", "b", base.read, None, base.box, "v")]  # fmt: skip
    assert len({fingerprint(item) for item in [base, *others]}) == 7


def test_what_a_shard_is_made_from():
    asked = {"method": "rise", "checkpoint": "a", "sources": "b", "images": 5, "images_sha256": "c"}
    asked["manifest"] = "jsonl"
    requests = shard_requests(asked, items(5), 3)
    assert [len(request.splitlines()) for request in requests] == [4, 3]
    for name, value in asked.items():
        changed = shard_requests({**asked, name: f"other {value}"}, items(5), 3)
        assert (changed == requests) == (name != "method"), name


def shard(out, number, rows, request):
    write_shard(out, number, rows, request, {})


ROWS = [
    {"index": number, "image": f"image-{number}", "alignment": None, "crops": [], "error": None} for number in range(5)
]


def test_shards_that_can_stay_and_those_that_cannot(tmp_path):
    about = {"method": "rise"}
    requests = shard_requests(about, items(5), 3)
    assert begin(tmp_path, about, items(5), SHARDS, False, ("explained", "failed")) == []
    assert {name: read(tmp_path)[name] for name in ("method", "explained", "failed", "complete")} == {
        "method": "rise", "explained": 0, "failed": 0, "complete": False,
    }  # fmt: skip
    for number, request in enumerate(requests):
        shard(tmp_path, number, ROWS[3 * number : 3 * number + 3], request)
    assert begin(tmp_path, about, items(5), SHARDS, False) == []
    assert missing(tmp_path, 3) == [2]
    shard(tmp_path, 1, ROWS[3:4], requests[1])
    [line] = begin(tmp_path, about, items(5), SHARDS, False)
    assert "000001.jsonl is damaged: it has 1 rows instead of 2; the images of this shard are pro" in line
    assert missing(tmp_path, 2) == [1]
    shard(tmp_path, 1, ROWS[3:5], requests[0])
    assert "000001.jsonl belongs to another export; the images" in begin(tmp_path, about, items(5), SHARDS, False)[0]
    shard(tmp_path, 7, ROWS[:3], requests[0])
    [line] = begin(tmp_path, about, items(5), SHARDS, False)
    assert line.endswith("000007.jsonl belongs to another export and is removed")
    assert not rows_path(tmp_path, 7).exists()
    changed = items(5)
    changed[1] = Item("image-1", "image/1", changed[1].read, version="later")
    [line] = begin(tmp_path, about, changed, SHARDS, False)
    assert line.startswith("image-1 has changed since it was processed; ")


@pytest.mark.parametrize(("now", "message"), [
    ({"method": "rise", "layers": "x"}, "holds an export of an older version, which does not record its layers"),
    ({"method": "lime"}, "holds another export: its method is rise, not lime; choose another folder, or --overwrite"),
    ({"method": "y" * 80}, f"its method is rise, not {57 * 'y'}...; choose"),
])  # fmt: skip
def test_another_export_is_replaced_only_if_that_is_wanted(now, message, tmp_path):
    begin(tmp_path, {"method": "rise", "checkpoint": "a"}, items(3), SHARDS, False)
    shard(tmp_path, 0, ROWS[:3], shard_requests({"method": "rise"}, items(3), 3)[0])
    for name in ("manifest.jsonl", "readings.csv", "classes.csv"):
        (tmp_path / name).touch()
    begin(tmp_path, {"method": "rise", "checkpoint": "moved"}, items(3), SHARDS, False)
    assert missing(tmp_path, 1) == []
    with pytest.raises(ValueError, match=message):
        begin(tmp_path, now, items(3), SHARDS, False)
    assert begin(tmp_path, now, items(3), SHARDS, True) == []
    assert missing(tmp_path, 1) == [0]
    assert not list(tmp_path.glob("*.csv")) + list(tmp_path.glob("manifest.*"))


def test_a_damaged_description_says_that_shards_are_kept(tmp_path):
    write(tmp_path, {"method": "rise"})
    (tmp_path / "export.json").write_text("{")
    with pytest.raises(Damaged, match="or remove the file: shards of the same export are kept"):
        read(tmp_path)


def test_the_first_failure_names_its_image_once(tmp_path):
    assert first_failure(tmp_path, 2) == ""
    shard(tmp_path, 0, ROWS[:3], "a\n")
    assert first_failure(tmp_path, 2) == ""
    shard(tmp_path, 1, [ROWS[3], {**ROWS[4], "error": "is empty"}, {**ROWS[4], "error": "later"}], "a\n")
    assert first_failure(tmp_path, 2) == "image-4: is empty"
    shard(tmp_path, 0, [ROWS[0], {**ROWS[1], "error": "'image-1' is broken"}], "a\n")
    assert first_failure(tmp_path, 2) == "'image-1' is broken"
    assert first_failure(tmp_path, 0) == ""


def test_rows_are_written_in_order_with_a_row_for_what_failed(tmp_path):
    class Writer(RowWriter):
        fields = ("index", "image", "answer", "error")

        def picture_folders(self):
            return ["crops"]

        def rows(self, batch, found):
            return {s.number: {"index": s.number, "image": "x", "answer": found, "error": None} for s in batch.samples}

    writer = Writer(tmp_path, SimpleNamespace(workers=1), items(4), ["a\n", "b\n"])
    writer.open()
    pixels = np.zeros((4, 6, 3), np.uint8)
    writer.add(Batch(Part(0, range(2), False), [Sample(1, pixels, 6, 4, None, 6)], {0: "broken"}), 7)
    assert not rows_path(tmp_path, 0).exists()
    writer.add(Batch(Part(0, range(2, 3), True), [], {2: "gone"}), None)
    writer.close()
    lines = [json.loads(line) for line in rows_path(tmp_path, 0).read_text().splitlines()]
    assert lines == [
        {"index": 0, "image": "image-0", "answer": None, "error": "broken"},
        {"index": 1, "image": "x", "answer": 7, "error": None},
        {"index": 2, "image": "image-2", "answer": None, "error": "gone"},
    ]
    assert (tmp_path / "crops/000000").is_dir()
    writer.stopped.set()
    writer.add(Batch(Part(1, range(3, 4), True), [], {3: "gone"}), None)
    assert not rows_path(tmp_path, 1).exists()
