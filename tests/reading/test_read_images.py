"""`cv-attention read`: texts of photographs, their pictures, and what is left after an interruption."""

import csv
import json
import os
import signal

import numpy as np
import pytest
import torch
from PIL import Image

from cv_attention import data, training
from cv_attention.cli import main
from cv_attention.config import ReadingExport
from cv_attention.data.texts.fitting import Fit
from cv_attention.heads import Reading
from cv_attention.reading_export import read_images, run
from cv_attention.reading_export.pictures import crop
from cv_attention.reading_export.writing import text_fields
from cv_attention.rundir.readings import read_readings

SMALL = {"accelerator": "cpu", "batch_size": 2, "shard_size": 4, "workers": 2}


@pytest.fixture
def words(tiny_run, tmp_path):
    """A folder of ten images of two sizes, eight of which a label file knows, with their texts."""
    task = training.load(training.find_checkpoint(tiny_run), task=training.Transcriber)
    module = data.create(task.experiment.data)
    module.setup()
    images, folder = module.splits["test"].images, tmp_path / "words"
    folder.mkdir()
    for number in range(10):
        pixels = images.read(number)
        Image.fromarray(pixels[:, :70] if number % 3 == 0 else pixels).save(folder / f"{number}.png")
    with (folder / "metadata.csv").open("w", newline="") as file:
        rows = [(f"{number}.png", images.texts[number]) for number in range(8)]
        csv.writer(file).writerows([("file_name", "text"), *rows])
    return folder, list(images.texts[:8])


def inputs(path):
    """The image as the network takes it, and its columns that are image."""
    with Image.open(path) as picture:
        return Fit(48, 128)(np.array(picture.convert("RGB")), None)[::2]


def test_every_image_is_read_as_by_hand(words, transcriber, tmp_path):
    folder, texts = words
    done = read_images(transcriber, [folder], tmp_path / "out", ReadingExport(beams=3, **SMALL))
    rows = read_readings(done.readings)
    assert (done.read, done.failed, done.left, done.new) == (10, 0, 0, 10)
    assert [row.file_name for row in rows] == [str(folder / f"{number}.png") for number in range(10)]
    for number, row in enumerate(rows):
        pixels = torch.from_numpy(inputs(folder / f"{number}.png")[0]).permute(2, 0, 1)[None]
        [reading] = transcriber.read(pixels, beams=3)
        assert (row.text, row.truth) == (reading.text, texts[number] if number < 8 else None)
        assert row.confidence == pytest.approx(reading.confidence, rel=1e-4)
    errors = sum(row.cer * len(row.truth) for row in rows[:8]) / sum(map(len, texts))
    assert done.cer == pytest.approx(errors, rel=1e-4)
    assert done.exact == sum(row.text == row.truth for row in rows[:8]) / 8


@pytest.mark.parametrize(("truth", "cer"), [(None, None), ("", 2.0), ("1", 1.0), ("12", 0.0), ("1234", 0.5)])
def test_the_error_rate_is_known_where_the_truth_is_even_if_that_is_empty(truth, cer):
    fields = text_fields(Reading("12", 0.5, ("1", "2"), (0.9, 0.8)), truth)
    assert (fields["truth"], fields["cer"]) == (truth, cer)


def test_padding_is_hidden_from_a_network_that_was_trained_so(words, transcriber, tmp_path):
    folder, _ = words
    facts = training.TextFacts(**{**vars(transcriber.facts), "padded": True})
    transcriber.facts = facts
    rows = read_readings(read_images(transcriber, [folder], tmp_path / "out", ReadingExport(**SMALL)).readings)
    differing = 0
    for number in (0, 3, 6, 9):
        pixels, columns = inputs(folder / f"{number}.png")
        batch = torch.from_numpy(pixels).permute(2, 0, 1)[None]
        assert columns == 70
        [reading] = transcriber.read(batch, torch.tensor([columns]))
        assert rows[number].confidence == pytest.approx(reading.confidence, rel=1e-4)
        differing += transcriber.read(batch)[0].confidence != pytest.approx(reading.confidence, rel=1e-4)
    assert differing


def test_pictures_show_every_character(words, transcriber, tmp_path):
    folder, _ = words
    out = tmp_path / "out"
    read_images(transcriber, [folder], out, ReadingExport(crops="png", **SMALL))
    shards = sorted((out / "shards").glob("*.jsonl"))
    lines = [json.loads(line) for path in shards for line in path.read_text().splitlines()]
    assert len(lines) == 10
    for row in lines:
        width = 70 if row["index"] % 3 == 0 else 128
        with Image.open(out / row["alignment"]) as picture:
            assert picture.size == (72 + 2 * width + 4, 26 + (len(row["units"]) + 1) * (96 + 4) - 2)
        assert len(row["crops"]) == len(row["text"]) == len(row["confidences"])
        for path in row["crops"]:
            with Image.open(out / path) as picture:
                assert picture.width % 8 in (0, 70 % 8)  # whole cells, or cut off at the end of the image


def test_a_crop_surrounds_the_positions_with_at_least_half_of_the_largest_weight():
    image = np.arange(8 * 16 * 3, dtype=np.uint8).reshape(8, 16, 3)
    heat = np.array([[0.1, 0.3, 0.2, 0.0], [0.0, 0.6, 0.31, 0.0]])
    assert np.array_equal(crop(image, heat, 16), image[0:8, 4:12])
    heat[0] = 0
    assert np.array_equal(crop(image, heat, 16), image[4:8, 4:12])
    assert np.array_equal(crop(image, heat, 7), image[4:8, 4:7])
    assert np.array_equal(crop(image, heat, 3), image[4:8, 2:3])  # all in the padding: its edge


def test_an_interrupted_export_resumes(words, transcriber, tmp_path, monkeypatch):
    folder, _ = words
    whole = read_images(transcriber, [folder], tmp_path / "whole", ReadingExport(**SMALL))
    process, count = run._Reading.process, iter(range(9))

    def struck(self, batch):
        if next(count) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        process(self, batch)

    monkeypatch.setattr(run._Reading, "process", struck)
    out = tmp_path / "out"
    stopped = read_images(transcriber, [folder], out, ReadingExport(**SMALL))
    assert (stopped.signal, stopped.read, stopped.left) == (signal.SIGTERM, 4, 6)
    assert len(read_readings(stopped.readings)) == 4
    again = read_images(transcriber, [folder], out, ReadingExport(**SMALL))
    assert (again.read, again.new, again.left, again.signal) == (10, 6, 0, 0)
    assert again.readings.read_bytes() == whole.readings.read_bytes()
    for path in (tmp_path / "whole/alignments").rglob("*.png"):
        assert (out / path.relative_to(tmp_path / "whole")).read_bytes() == path.read_bytes()
    assert read_images(transcriber, [folder], out, ReadingExport(**SMALL)).new == 0


def test_what_has_changed_is_read_again(words, transcriber, tmp_path, capsys):
    folder, _ = words
    out = tmp_path / "out"
    read_images(transcriber, [folder], out, ReadingExport(**SMALL))
    next((out / "alignments/000001").glob("*.png")).write_bytes(b"torn")
    assert read_images(transcriber, [folder], out, ReadingExport(**SMALL)).new == 4
    assert "has changed since it was written; the images of this shard are processed again" in capsys.readouterr().err
    with pytest.raises(ValueError, match="holds another export: its beams is 1, not 2"):
        read_images(transcriber, [folder], out, ReadingExport(beams=2, **SMALL))
    labels = folder / "metadata.csv"
    labels.write_text(labels.read_text().replace("1.png,", "1.png,0"))
    with pytest.raises(ValueError, match="holds another export: its truths_sha256"):
        read_images(transcriber, [folder], out, ReadingExport(**SMALL))
    assert read_images(transcriber, [folder], out, ReadingExport(beams=2, **SMALL), overwrite=True).new == 10


def test_the_command_reads_files_folders_and_globs(words, tiny_run, tmp_path, capsys):
    folder, _ = words
    (folder / "broken.png").write_text("no image")
    command = ["--checkpoint", str(tiny_run), "--accelerator=cpu", "--alignments=none"]
    assert main(["read", str(folder), *command, "--beams=3", "-o", str(tmp_path / "a")]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"10 images read, 1 left out: {tmp_path / 'a/readings.csv'} (11 now, ")
    assert out.splitlines()[1].startswith("cer: ")
    assert err.startswith("left out: ")
    assert "broken.png" in err
    assert main(["read", f"{folder}/[12].png", str(folder / "3.png"), *command, "-o", str(tmp_path / "b")]) == 0
    rows = read_readings(tmp_path / "b/readings.csv")
    assert [os.path.basename(row.file_name) for row in rows] == ["1.png", "2.png", "3.png"]
    assert {row.truth for row in rows} == {None}
    assert not (tmp_path / "b/alignments").exists()


def test_what_was_read_is_a_label_file(words, tiny_run, tmp_path):
    folder, _ = words
    assert (
        main(["read", str(folder), "--checkpoint", str(tiny_run), "--accelerator=cpu", "-o", str(tmp_path / "a")]) == 0
    )
    table = (tmp_path / "a/readings.csv").read_text().replace(f"{folder}/", "")
    (folder / "metadata.csv").write_text(table)
    done = read_images(training.find_checkpoint(tiny_run), [folder], tmp_path / "b", ReadingExport(**SMALL))
    assert (done.cer, done.exact) == (0, 1)


def test_two_processes_read_what_one_reads(words, tiny_run, tmp_path):
    folder, _ = words
    options = ["read", str(folder), "--checkpoint", str(tiny_run), "--accelerator=cpu", "--shard_size=3"]
    assert main([*options, "-o", str(tmp_path / "one")]) == 0
    assert main([*options, "--devices=2", "--strategy=ddp_fork", "-o", str(tmp_path / "two")]) == 0
    assert (tmp_path / "one/readings.csv").read_bytes() == (tmp_path / "two/readings.csv").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.png"], "none.png does not exist"),
        (["no*.png"], "no file or folder matches no*.png"),
        (["{words}", "--beams=0"], "beams must be at least 1"),
        (["{words}", "--alignments=gif"], "gif"),
        (["{words}", "--checkpoint=nowhere"], "nowhere"),
    ],
)
def test_mistakes_are_answered_in_one_line(arguments, message, words, tiny_run, tmp_path, capsys):
    given = [one.replace("{words}", str(words[0])) for one in arguments]
    options = [] if any("checkpoint" in one for one in given) else ["--checkpoint", str(tiny_run)]
    assert main(["read", *given, *options, "-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_classifier_reads_nothing(words, tmp_path, capsys):
    from tests.training.conftest import save_untrained

    checkpoint = save_untrained(tmp_path / "classifier.ckpt", None)
    assert main(["read", str(words[0]), "--checkpoint", str(checkpoint), "-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "classification" in error or "reading" in error
    assert error.count("\n") == 1


def test_a_wrong_label_file_is_named(words, tiny_run, tmp_path, capsys):
    (words[0] / "metadata.csv").write_text("file_name,text\n0.png\n")
    assert main(["read", str(words[0]), "--checkpoint", str(tiny_run), "-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "metadata.csv" in error
    assert "line 2" in error


def test_the_report_refuses_readings(words, tiny_run, tmp_path, capsys):
    options = ["--checkpoint", str(tiny_run), "--accelerator=cpu", "-o", str(tmp_path / "out")]
    assert main(["read", str(words[0]), *options]) == 0
    assert main(["report", str(tmp_path / "out")]) == 2
    assert "its texts are in readings.csv" in capsys.readouterr().err
