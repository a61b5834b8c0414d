"""The task of reading, trained as users train it: figures by hand, resuming to the bit, two processes equal one."""

import json
import signal

import numpy as np
import pytest
import torch
from torchmetrics.text import CharErrorRate

from cv_attention import backbones, heads, training
from cv_attention.cli import main
from cv_attention.config import Data, Experiment, Log, Model, Optimizer, Strings, Trainer
from cv_attention.data import create
from cv_attention.rundir.facts import TextFacts
from cv_attention.training.tasks.reading.metrics import create_reading_metrics
from tests.training.processes import End, assert_same, train

SMALL = {"widths": [8, 12], "strides": [2, 2]}
STRINGS = Strings(train=50, val=12, test=14, height=24, width=48, longest=2, smallest=14, largest=18, clutter=1)
DATA = ["--data.name=digit_strings", "--data.batch_size=10"]
DATA += [f"--data.strings.{name}={value}" for name, value in vars(STRINGS).items()]
OPTIONS = [
    *DATA, "--model.backbone=convnet", "--model.options={widths: [8, 12], strides: [2, 2]}",
    "--trainer.max_epochs=2", "--trainer.accelerator=cpu", "--trainer.precision=32-true",
    "--trainer.deterministic=true", "--model.at=stage",
    "--optimizer.name=adamw", "--optimizer.lr=0.01", "--log.wandb=disabled", "--log.checkpoint_every_n_steps=2",
    "--log.every_n_steps=1", "--trainer.extra={enable_progress_bar: false}",
]  # fmt: skip
HEADS = {
    "gru": "{name: gru, width: 16, dropout: 0.1}",
    "permuted": "{name: permuted, width: 16, heads: 2, dropout: 0.1}",
    "ctc": "{name: ctc, width: 8}",
}


@pytest.fixture(scope="module")
def fit(tmp_path_factory):
    root = tmp_path_factory.mktemp("reading")

    def fit(name, head, *more, end=None, processes=1):
        said = root / f"{name}.txt"
        said.unlink(missing_ok=True)
        arguments = ["fit", *OPTIONS, f"--model.head={HEADS[head]}", f"--log.root={root}", f"--log.name={name}", *more]
        code = train(arguments, said, end, processes)
        return code, root / name, said.read_text()

    return fit


@pytest.fixture(scope="module")
def whole(fit):
    code, run, said = fit("whole", "gru", "--model.block=se", "--optimizer.ema=0.9")
    assert code == 0, said
    return run


def test_the_figures_are_those_of_its_readings(whole):
    """The test's figures, computed again from texts read one image at a time, with torchmetrics and by counting."""
    transcriber = training.load(whole / "checkpoints/best.ckpt", task=training.Transcriber)
    module = create(transcriber.experiment.data)
    module.setup()
    truths, texts = list(module.texts("test")), []
    for index in range(len(truths)):
        [reading] = transcriber.read(module.splits["test"].batch([(0, index)])["image"])
        texts.append(reading.text)
    found = json.loads((whole / "summary.json").read_text())["test"]
    rate = CharErrorRate()
    rate.update(texts, truths)
    assert found["cer"] == pytest.approx(float(rate.compute()), abs=1e-6)
    exact = np.mean([text == true for text, true in zip(texts, truths, strict=True)])
    assert found["exact"] == pytest.approx(exact, abs=1e-6)
    assert found["word_accuracy"] == pytest.approx(exact, abs=1e-6)  # each text is a word
    assert training.evaluate(whole / "checkpoints/best.ckpt") == pytest.approx(found)


def test_the_summary_names_the_task_and_the_alphabet(whole):
    summary = json.loads((whole / "summary.json").read_text())
    assert summary["task"] == "reading"
    assert summary["alphabet"] == {"units": list("0123456789"), "unit": "character"}
    assert summary["higher_is_better"] == {
        "cer": False, "exact": True, "word_accuracy": True, "attention_in_box": True,
    }  # fmt: skip
    assert len(summary["sites"]) > 0


@pytest.mark.long
def test_it_learns_to_read(tmp_path):
    """Single digits, large and without clutter: most are read after a few seconds of training."""
    strings = Strings(
        train=600, val=60, test=100, height=24, width=24, longest=1, smallest=18, largest=20, jitter=1, clutter=0
    )
    experiment = Experiment(
        data=Data(name="digit_strings", batch_size=20, strings=strings),
        model=Model(
            backbone="convnet", options={"widths": [16, 32], "strides": [2, 2]}, head={"name": "gru", "width": 32}
        ),
        optimizer=Optimizer(name="adamw", lr=0.005),
        trainer=Trainer(max_epochs=8, accelerator="cpu", extra={"enable_progress_bar": False}),
        log=Log(root=str(tmp_path), wandb="disabled"),
    )
    run = training.fit(training.prepare(experiment))
    assert run.name == "digit_strings-convnet-gru-seed0"
    figures = json.loads((run / "summary.json").read_text())["test"]
    assert figures["cer"] < 0.5
    assert figures["exact"] > 0.5


def test_killed_and_resumed_it_ends_like_one_that_was_not(fit, whole):
    options = ["--model.block=se", "--optimizer.ema=0.9"]
    code, run, said = fit("killed", "gru", *options, end=End("step", 6))
    assert code == -signal.SIGKILL, said
    code, _, said = fit("killed", "gru", *options, "--resume=auto")
    assert code == 0, said
    assert_same(run, whole)


@pytest.mark.long
@pytest.mark.parametrize("head", ["permuted", "ctc"])
@pytest.mark.parametrize("end", [End("step", 7), End("validation", 2, signal.SIGTERM), End("test", 1)])
def test_other_heads_resume_to_the_bit(head, end, fit):
    name = f"{head}-{end.place}"
    expected = fit(f"{name}-whole", head)[1]
    code, run, said = fit(name, head, end=end)
    assert code == {signal.SIGKILL: -9, signal.SIGTERM: 143}[end.how], said
    code, _, said = fit(name, head, "--resume=auto")
    assert code == 0, said
    assert_same(run, expected)


@pytest.mark.long
def test_two_processes_equal_one(fit):
    """The same texts are read, and the figures are those of all images together."""
    options = ["--trainer.max_epochs=1", "--data.batch_size=50", "--model.head={name: gru, width: 16}"]
    one, two = fit("one", "gru", *options)[1], None
    code, two, said = fit("two", "gru", *options, "--trainer.strategy=ddp", "--trainer.devices=2", processes=2)
    assert code == 0, said
    figures = [json.loads((run / "summary.json").read_text())["test"] for run in (one, two)]
    assert figures[0] == pytest.approx(figures[1], abs=1e-6)
    states = [torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"] for run in (one, two)]
    for name, value in states[0].items():
        if "running" not in name and "batches" not in name:  # of batch norms, each of its own images
            torch.testing.assert_close(value, states[1][name], atol=2e-2, rtol=0)


def test_error_rates_of_empty_texts():
    metrics = create_reading_metrics(torch.float64)["val"]
    metrics.update(["12", ""], ["", ""])
    found = {name: float(value) for name, value in metrics.compute().items()}
    assert found == {"val_cer": 2.0, "val_exact": 0.5, "val_word_accuracy": 0.0}


def test_characters_count_the_same_in_every_text():
    """The rate is errors over characters: a mean over texts would be 0.5."""
    metrics = create_reading_metrics(torch.float64)["test"]
    metrics.update(["x"], ["y"])
    metrics.update(["123456789"], ["123456789"])
    assert float(metrics.compute()["test_cer"]) == pytest.approx(0.1)


@pytest.mark.parametrize(("head", "message"), [
    (None, "set model.head to one of gru, lstm"),
    ("gruu", "no head that writes texts is called 'gruu'; did you mean 'gru'?"),
    ({"name": "gruu", "width": 3}, "model.head: no head that writes texts is called 'gruu'; did you mean 'gru'?"),
    ({"name": "gru", "wdth": 3}, "has no option 'wdth'; did you mean 'width'?"),
    ({"name": "gru", "channels": 3}, "channels is not an option; it follows from the backbone and the data"),
    ({"name": "gru", "score": "dot"}, "set width to 12, or take score 'general'"),
    ({"width": 3}, "head needs the key name or class_path"),
    ({"name": "transformer", "width": 10}, "heads"),
    ({"class_path": "torch.nn.Linear"}, "torch.nn has no text head 'Linear'"),
])  # fmt: skip
def test_wrong_heads_are_named(head, message):
    model = Model(backbone="convnet", options=SMALL, head=head)
    facts = TextFacts(("a", "b"), "character", 3, (0.5,) * 3, (0.2,) * 3, (24, 48))
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        training.Transcriber(Experiment(model=model), facts)


def test_ctc_needs_a_column_for_every_unit():
    model = Model(backbone="convnet", options={"widths": [8, 12], "strides": [4, 4]}, head="ctc")
    facts = TextFacts(("a", "b"), "character", 9, (0.5,) * 3, (0.2,) * 3, (24, 48))
    with pytest.raises(ValueError, match="has 3 columns, but texts have up to 9 units"):
        training.Transcriber(Experiment(model=model), facts)


def test_mistakes_on_the_command_line_are_one_line(tmp_path, capsys):
    assert main(["fit", *OPTIONS, f"--log.root={tmp_path}"]) == 2
    assert "set model.head to one of" in capsys.readouterr().err.strip().splitlines()[-1]


def test_other_alphabets_are_refused(whole):
    transcriber = training.load(whole / "checkpoints/best.ckpt", task=training.Transcriber)
    module = create(transcriber.experiment.data)
    module.setup()
    module.alphabet = heads.Alphabet("0123456789x")
    with pytest.raises(ValueError, match="that the network does not know: 'x'"):
        transcriber.check_data(module, transcriber.facts)
    module.alphabet = heads.Alphabet("9876543210")
    with pytest.raises(ValueError, match="their numbers differ"):
        transcriber.check_data(module, transcriber.facts)


def test_a_reading_run_is_no_classifier(whole):
    with pytest.raises(ValueError, match="was trained for the task 'reading', not 'classification'"):
        training.load(whole / "checkpoints/best.ckpt")


@pytest.mark.parametrize("train_", ["head", "blocks", "blocks+head"])
def test_only_a_part_is_trained(train_):
    model = Model(
        backbone="convnet", options=SMALL, head="gru", block="se", train=train_,
        at="stage", pretrained=train_ == "never",
    )  # fmt: skip
    facts = TextFacts(("a", "b"), "character", 3, (0.5,) * 3, (0.2,) * 3, (24, 48))
    transcriber = training.Transcriber(Experiment(model=model), facts)
    parts = {
        "head" if name.startswith("head.") else "blocks" if "attention" in name else "backbone"
        for name, parameter in transcriber.network.named_parameters()
        if parameter.requires_grad
    }
    assert parts == set(train_.split("+"))
    assert backbones.parameter_parts(transcriber.network)["head.output.weight"] == "head"


def test_weights_of_a_classifier_start_the_backbone(tmp_path, capsys):
    """Every weight of the classifier but its head's, to the bit; and of a reading run all, where the units are same."""
    torch.manual_seed(1)
    classifier = backbones.build("convnet", num_classes=4, **SMALL)
    torch.save(classifier.state_dict(), tmp_path / "classifier.pt")
    options = [f"--model.weights={tmp_path / 'classifier.pt'}", "--trainer.max_epochs=1", "--optimizer.lr=1e-12"]
    root = [f"--log.root={tmp_path}", f"--model.head={HEADS['gru']}"]
    assert main(["fit", *OPTIONS, *root, *options, "--optimizer.weight_decay=0", "--log.name=a"]) == 0
    assert f"weights: {tmp_path / 'classifier.pt'}, of the backbone; the head is new" in capsys.readouterr().out
    first = torch.load(tmp_path / "a/checkpoints/best.ckpt", weights_only=True)["state_dict"]
    for name, value in classifier.named_parameters():
        if not name.startswith("fc."):
            torch.testing.assert_close(first[f"network.reader.model.{name}"], value.detach(), atol=1e-6, rtol=1e-5)
    options[0] = f"--model.weights={tmp_path / 'a'}"
    assert main(["fit", *OPTIONS, *root, *options, "--optimizer.weight_decay=0", "--log.name=b"]) == 0
    assert "the head is new" not in capsys.readouterr().out
    second = torch.load(tmp_path / "b/checkpoints/best.ckpt", weights_only=True)["state_dict"]
    assert_close = torch.testing.assert_close
    assert_close(second["network.head.output.weight"], first["network.head.output.weight"], atol=1e-6, rtol=1e-5)


def test_weights_of_another_backbone_are_refused(tmp_path, capsys):
    torch.save(backbones.build("convnet", widths=[8, 16], strides=[2, 2]).state_dict(), tmp_path / "other.pt")
    options = [f"--model.weights={tmp_path / 'other.pt'}", f"--log.root={tmp_path}", f"--model.head={HEADS['gru']}"]
    assert main(["fit", *OPTIONS, *options]) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert "does not fit the backbone: layer2.0.weight is (16, 8, 3, 3), and the network's is (12, 8, 3, 3)" in message


def test_texts_of_a_folder_are_padded_and_the_padding_is_hidden(tmp_path):
    from PIL import Image

    for split in ("train", "val", "test"):
        (tmp_path / split).mkdir()
        for number in range(4):
            Image.new("L", (10 + 20 * number, 12), 80).save(tmp_path / split / f"{number}.png")
        (tmp_path / split / "gt.txt").write_text("".join(f"{number}.png\tab\n" for number in range(4)))
    module = create(Data(name="text", root=str(tmp_path), batch_size=4))
    module.setup()
    facts = training.Transcriber.facts_of(module)
    assert facts.padded
    model = Model(backbone="convnet", options=SMALL, head={"name": "gru", "width": 8})
    transcriber = training.Transcriber(Experiment(model=model), facts).eval()
    batch = module.splits["val"].batch([(0, number) for number in range(4)])
    width = transcriber.columns(batch)
    assert width is not None
    memory = transcriber.network.memory(transcriber.normalise(batch["image"]), width)
    assert memory.keep is not None
    assert memory.keep.sum(1).tolist() == [8 * -(-int(each) // 4) for each in width]
    module = create(Data(name="digit_strings", strings=STRINGS))
    module.setup()
    assert not training.Transcriber.facts_of(module).padded
