"""The task of recalling, trained as users train it: figures by hand, resuming to the bit, two processes equal one."""

import csv
import json
import math
import signal
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import torch

from cv_attention import backbones, heads, training
from cv_attention.cli import main
from cv_attention.config import Experiment, Model
from cv_attention.data import create
from cv_attention.rundir.facts import EpisodeFacts
from cv_attention.training.export.deployment import export
from cv_attention.training.tasks.recall.metrics import RecallMetrics
from cv_attention.training.tasks.recall.steps import lay_out
from tests.training.processes import End, differing, logged, train

OPTIONS = [
    "--data.name=episodes", "--data.batch_size=6", "--data.episodes.train=24", "--data.episodes.val=8",
    "--data.episodes.test=10", "--data.episodes.ways=3", "--data.episodes.instances=2", "--data.episodes.side=12",
    "--model.backbone=convnet", "--model.options={widths: [8, 8], strides: [2, 2]}",
    "--trainer.max_epochs=2", "--trainer.accelerator=cpu", "--trainer.precision=32-true",
    "--trainer.deterministic=true", "--trainer.gradient_clip_val=1", "--optimizer.name=adamw", "--optimizer.lr=0.01",
    "--log.wandb=disabled", "--log.checkpoint_every_n_steps=2", "--log.every_n_steps=1",
    "--trainer.extra={enable_progress_bar: false}",
]  # fmt: skip
SMALL = "slots: 4, width: 4, controller_width: 8"
HEADS = {
    "mann": f"{{name: recall, memory: mann, {SMALL}}}",
    "ntm": f"{{name: recall, memory: ntm, {SMALL}}}",
    "dnc": f"{{name: recall, memory: dnc, {SMALL}, controller: linear}}",
}
COPY = ["--data.episodes.kind=copy", "--data.episodes.longest=3", "--data.episodes.test_length=4"]
ASSOCIATE = ["--data.episodes.kind=associate"]


@pytest.fixture(scope="module")
def fit(tmp_path_factory):
    root = tmp_path_factory.mktemp("recall")

    def fit(name, head, *more, end=None, processes=1):
        said = root / f"{name}.txt"
        said.unlink(missing_ok=True)
        arguments = ["fit", *OPTIONS, f"--model.head={HEADS[head]}", f"--log.root={root}", f"--log.name={name}", *more]
        code = train(arguments, said, end, processes)
        return code, root / name, said.read_text()

    return fit


@pytest.fixture(scope="module")
def whole(fit):
    code, run, said = fit("whole", "mann", "--model.block=se", "--model.at=stage", "--optimizer.ema=0.9")
    assert code == 0, said
    return run


def test_the_figures_are_those_of_its_answers(whole):
    """Accuracies by instance and bits, counted one episode at a time and from the table of answers."""
    found = json.loads((whole / "summary.json").read_text())["test"]
    recaller = training.load(whole / "checkpoints/best.ckpt", task=training.Recaller)
    module = create(recaller.experiment.data)
    module.setup()
    right, bits, rows = {1: [], 2: []}, [], list(csv.DictReader((whole / "recalled.csv").open()))
    for index in range(10):
        batch = module.splits["test"].batch([(0, index)])
        labels = batch["labels"][0].tolist()
        chances = recaller.recall(batch["images"], batch["labels"])[0]
        own = [row for row in rows if int(row["episode"]) == index]
        assert [int(row["answer"]) for row in own] == labels
        for step, label in enumerate(labels):
            nth = labels[: step + 1].count(label)
            right[nth].append(int(chances[step].argmax()) == label)
            bits.append(-math.log2(float(chances[step, label])))
            assert float(own[step]["probability"]) == pytest.approx(float(chances[step, label]), abs=1e-4)
            assert int(own[step]["instance"]) == nth
    assert found["accuracy_1"] == pytest.approx(np.mean(right[1]))
    assert found["accuracy_2"] == found["accuracy_after_1"] == pytest.approx(np.mean(right[2]))
    assert found["accuracy"] == pytest.approx(np.mean(right[1] + right[2]))
    assert found["bits"] == pytest.approx(np.mean(bits), rel=1e-4)
    assert training.evaluate(whole / "checkpoints/best.ckpt") == pytest.approx(found, rel=1e-5)


def test_the_summary_names_the_task_and_its_metrics(whole):
    said = json.loads((whole / "summary.json").read_text())
    assert said["task"] == "recall"
    assert said["episodes"] == {"kind": "classify", "ways": 3, "length": 6}
    assert said["higher_is_better"]["accuracy_after_1"] is True
    assert said["higher_is_better"]["bits"] is False
    assert len(said["sites"]) > 0
    assert said["finished"]
    assert (whole / "report/index.html").is_file()


def test_other_commands_take_the_run(whole, capsys):
    assert main(["test", str(whole)]) == 0
    assert "test accuracy after 1" in capsys.readouterr().out
    assert main(["compare", str(whole), "--metric", "accuracy_after_1"]) == 0
    assert "test accuracy_after_1" in capsys.readouterr().out
    assert main(["saliency", "x.png", "--checkpoint", str(whole), f"-o={whole.parent / 'out'}"]) != 0
    assert main(["heads", "recall"]) == 0
    assert "read_heads = 1" in capsys.readouterr().out


@pytest.mark.long
def test_killed_and_resumed_it_ends_like_one_that_was_not(fit, whole):
    options = ["--model.block=se", "--model.at=stage", "--optimizer.ema=0.9"]
    code, run, said = fit("killed", "mann", *options, end=End("step", 5))
    assert code == -signal.SIGKILL, said
    code, _, said = fit("killed", "mann", *options, "--resume=auto")
    assert code == 0, said
    for name in ("last", "best"):
        states = [torch.load(each / f"checkpoints/{name}.ckpt", weights_only=True) for each in (run, whole)]
        for part in ("state_dict", "optimizer_states", "lr_schedulers", "random_states", "epoch", "global_step"):
            assert list(differing(states[0][part], states[1][part], part)) == []
    assert logged(run) == logged(whole)
    assert (run / "recalled.csv").read_text() == (whole / "recalled.csv").read_text()
    ours, theirs = (np.load(each / "memory.npz") for each in (run, whole))
    assert {"read", "write", "image"} < set(ours)
    for key in theirs:
        np.testing.assert_array_equal(ours[key], theirs[key])


@pytest.mark.long
@pytest.mark.parametrize(("head", "kind", "metric"), [("ntm", COPY, "exact"), ("dnc", ASSOCIATE, "accuracy")])
def test_other_kinds_train_and_are_tested(fit, head, kind, metric):
    code, run, said = fit(head, head, *kind)
    assert code == 0, said
    found = json.loads((run / "summary.json").read_text())
    assert found["selected"]["reason"] == f"it has the best validation {metric}"
    assert 0 <= found["test"]["exact"] <= found["test"]["accuracy"] <= 1
    steps = [int(row["step"]) for row in csv.DictReader((run / "recalled.csv").open())]
    assert steps == ([4, 5, 6, 7] if head == "ntm" else [7]) * 10


@pytest.mark.long
def test_two_processes_test_as_one(fit, whole):
    """Counted over processes, each episode once; the weights are those of a run of its own."""
    code, run, said = fit("two", "mann", "--trainer.devices=2", "--trainer.strategy=ddp", processes=2)
    assert code == 0, said
    rows = list(csv.DictReader((run / "recalled.csv").open()))
    assert [int(row["episode"]) for row in rows] == sorted([*range(10)] * 6)
    found = json.loads((run / "summary.json").read_text())["test"]
    assert training.evaluate(run / "checkpoints/best.ckpt") == pytest.approx(found, rel=1e-5)


def batch_of(labels, **more):
    return {"labels": torch.tensor(labels), **{name: torch.tensor(values) for name, values in more.items()}}


def test_steps_of_classify():
    steps = lay_out("classify", batch_of([[2, 0, 2], [1, -1, -1]], instances=[[1, 1, 2], [1, 0, 0]]))
    assert steps.place.tolist() == [[0, 1, 2], [0, -1, -1]]
    assert steps.told.tolist() == [[-1, 2, 0], [-1, 1, -1]]
    assert steps.answer.tolist() == [[2, 0, 2], [1, -1, -1]]
    assert steps.nth.tolist() == [[1, 1, 2], [1, 0, 0]]


def test_steps_of_copy():
    steps = lay_out("copy", batch_of([[5, 7], [3, -1]]))
    assert steps.place.tolist() == [[0, 1, -1, -1], [0, -1, -1, -1]]
    assert steps.asked.tolist() == [[False, False, True, True], [False, True, False, False]]
    assert steps.answer.tolist() == [[-1, -1, 5, 7], [-1, 3, -1, -1]]
    assert (steps.told == -1).all()


def test_steps_of_associate():
    steps = lay_out("associate", batch_of([[5, 7, 1, 2, 5]], target=[7]))
    assert steps.place.tolist() == [[0, 1, 2, 3, 4, -1]]
    assert steps.asked.tolist() == [[False, False, False, False, True, True]]
    assert steps.answer.tolist() == [[-1, -1, -1, -1, -1, 7]]


def test_metrics_by_hand():
    metrics = RecallMetrics("classify", 2, torch.float64)
    logits = torch.log(torch.tensor([[[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.5, 0.25, 0.25], [0.2, 0.2, 0.6]]]))
    metrics.count(logits, torch.tensor([[0, 0, 1, -1]]), torch.tensor([[1, 2, 1, 0]]))
    found = {name: float(metric.compute()) for name, metric in metrics.items()}
    assert found == pytest.approx(
        {"accuracy": 1 / 3, "accuracy_after_1": 0.0, "accuracy_1": 0.5, "accuracy_2": 0.0, "bits": 5 / 3}
    )
    metrics = RecallMetrics("copy", 1, torch.float64)
    metrics.count(logits.repeat(2, 1, 1), torch.tensor([[0, 1, -1, -1], [0, 0, 0, 2]]), torch.zeros(2, 4))
    assert float(metrics["exact"].compute()) == 0.5
    assert float(metrics["accuracy"].compute()) == pytest.approx(5 / 6)


FACTS = EpisodeFacts("classify", 3, 3, (0.5,) * 3, (0.2,) * 3, (12, 12))


def recaller(kind="classify", memory="mann", **options):
    head = {"name": "recall", "memory": memory, "slots": 4, "width": 3, "controller_width": 6, **options}
    model = Model(backbone="convnet", options={"widths": [8, 8], "strides": [2, 2]}, head=head)
    torch.manual_seed(0)
    facts = EpisodeFacts(kind, FACTS.ways, FACTS.length, FACTS.mean, FACTS.std, FACTS.image_size)
    return training.Recaller(Experiment(model=model), facts).eval()


def test_a_shorter_episode_is_named_as_by_itself():
    """Padding of a batch changes nothing, also for the steps behind the images."""
    task, generator = recaller("copy", "ntm"), torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, 3, 3, 12, 12), dtype=torch.uint8, generator=generator)
    together = task({"images": images, "labels": torch.tensor([[1, 2, 0], [2, -1, -1]])})
    alone = task({"images": images[1:, :1], "labels": torch.tensor([[2]])})
    torch.testing.assert_close(together[1, :2], alone[0])


def test_images_without_labels_yet():
    task = recaller()
    images = torch.randint(0, 256, (1, 3, 3, 12, 12), dtype=torch.uint8)
    known, unknown = task.recall(images, torch.tensor([[2]])), task.recall(images)
    torch.testing.assert_close(known[:, 0], unknown[:, 0])  # a label arrives behind its image
    assert not torch.allclose(known[:, 1], unknown[:, 1])
    torch.testing.assert_close(known.sum(2), torch.ones(1, 3))
    assert recaller("copy", "ntm").recall(images).shape == (1, 3, 3)
    assert recaller("associate", "dnc").recall(images).shape == (1, 1, 3)


@pytest.mark.parametrize(("change", "words"), [
    ({"head": None}, "the data are episodes, which a memory must recall: set model.head to"),
    ({"head": "gru"}, "episodes are recalled by the head recall"),
    ({"head": {"name": "recall", "slot": 3}}, "head 'recall' has no option 'slot'; did you mean 'slots'"),
    ({"head": {"name": "recall", "ways": 3}}, "ways is not an option; it follows"),
    ({"head": {"name": "recall", "slots": 0}}, "slots must be a positive whole number"),
    ({"head": {"name": "recall", "width": math.nan}}, "width must be a positive whole number, got width=nan"),
    ({"head": {"name": "recall", "read_heads": 9, "slots": 8}}, "read_heads must be at most slots"),
    ({"weights": "some.ckpt"}, "networks that recall start only from model.pretrained"),
    ({"head_modules": "fc"}, "model.head_modules is set"),
    ({"options": {"widths": [512], "strides": [1]}}, "features grid makes 73,728 numbers of each image, 12x12"),
])  # fmt: skip
def test_mistakes(change, words):
    model = Model(**{"backbone": "convnet", "head": "recall", **change})
    with pytest.raises(ValueError, match=words):
        training.Recaller(Experiment(model=model), FACTS)


def test_labels_that_never_arrive_cannot_be_bound():
    with pytest.raises(ValueError, match="write bound stores images with labels that arrive, and episodes of the kind"):
        recaller("copy")
    assert recaller("copy", write="paper").facts.kind == "copy"


def test_data_of_another_kind_are_refused():
    task = recaller()
    with pytest.raises(ValueError, match="trained on episodes of the kind classify, and the data are copy"):
        task.check_data(SimpleNamespace(kind="copy", ways=3), task.facts)
    with pytest.raises(ValueError, match="knows 3 labels, and the episodes have 5"):
        task.check_data(SimpleNamespace(kind="classify", ways=5), task.facts)
    with pytest.raises(ValueError, match="the data are None"):
        task.check_data(SimpleNamespace(), task.facts)


def test_a_classifier_and_a_reader_refuse_the_head():
    with pytest.raises(ValueError, match="recall recalls sequences of images, and a classifier needs one vector"):
        heads.placed(None, "residual", "recall")
    reader = backbones.reader(backbones.build("convnet"), input_size=(32, 32))
    with pytest.raises(ValueError, match="head 'recall' writes no texts; heads that do are gru"):
        heads.build(reader, "recall", tokens="ab", longest=2)


@pytest.mark.parametrize(("train", "moved"), [("head", {"head"}), ("all", {"head", "reader"})])
def test_what_is_trained(train, moved):
    model = Model(backbone="convnet", options={"widths": [8], "strides": [4]}, head="recall", train=train)
    network = training.Recaller(Experiment(model=model), FACTS).network
    assert {name.split(".")[0] for name, p in network.named_parameters() if p.requires_grad} == moved
    assert backbones.parameter_parts(network)["head.output.weight"] == "head"


GRAPHS = [("classify", "mann"), ("classify", "list"), ("copy", "ntm"), ("associate", "dnc"), ("classify", "none")]


@pytest.mark.long
@pytest.mark.parametrize(("kind", "memory"), GRAPHS)
def test_a_graph_of_the_unrolled_episode(kind, memory, tmp_path):
    task = recaller(kind, memory)
    done = export(task, "torch-export", tmp_path / "recall.pt2", maps=memory != "none")
    assert ("labels (batch, images), int64" in done.input) == (kind == "classify")
    images = torch.randint(0, 256, (4, 3, 3, 12, 12), dtype=torch.uint8)
    labels = torch.randint(-1, 3, (4, 3))
    given = (images, labels) if kind == "classify" else (images,)
    found, *maps = torch.export.load(done.path).module()(*given)
    answers = found.softmax(2) if kind == "classify" else found.softmax(2)[:, 3:]
    torch.testing.assert_close(answers, task.recall(images, labels), atol=1e-5, rtol=1e-4)
    assert len(maps) == (0 if memory == "none" else 2)


@pytest.mark.long
def test_onnx_recalls_the_same(tmp_path):
    """One kind: converting takes a second for every step, of which most is the exporter's."""
    task = recaller()
    done = export(task, "onnx", tmp_path / "recall.onnx")
    session = onnxruntime.InferenceSession(str(done.path), providers=["CPUExecutionProvider"])
    images, labels = torch.randint(0, 256, (5, 3, 3, 12, 12), dtype=torch.uint8), torch.randint(-1, 3, (5, 3))
    [logits] = session.run(None, {"images": images.numpy(), "labels": labels.numpy()})
    torch.testing.assert_close(torch.from_numpy(logits).softmax(2), task.recall(images, labels), atol=1e-4, rtol=1e-4)


@pytest.mark.long
@pytest.mark.parametrize(("kind", "memory"), [("classify", "mann"), ("copy", "ntm"), ("associate", "dnc")])
def test_compiled_networks_train_the_same(kind, memory):
    """Captured whole, without a break; code is not generated, which takes a minute for some hundred operations."""
    task = recaller(kind, memory)
    features, told = torch.randn(2, 3, task.network.head.channels), torch.tensor([[-1, 2, 0], [-1, 1, 1]])
    expected = task.network.head(features, told)
    torch._dynamo.reset()
    compiled = torch.compile(task.network.head, dynamic=False, backend="aot_eager", fullgraph=True)(features, told)
    torch.testing.assert_close(compiled, expected, atol=1e-4, rtol=1e-4)


def test_naming_is_a_second_loss_of_images_as_they_are_shown():
    images = torch.randint(0, 256, (2, 3, 3, 12, 12), dtype=torch.uint8)
    batch = {"images": images, "labels": torch.tensor([[1, 2, 0], [2, 1, -1]])}
    plain, named = recaller("copy", "ntm"), recaller("copy", "ntm", naming=0.25)
    logits = plain(batch)
    asked = torch.cat([logits[0, 3:6], logits[1, 2:4]])
    shown = torch.cat([logits[0, :3], logits[1, :2]])
    answers = torch.tensor([1, 2, 0, 2, 1])
    losses = [torch.nn.functional.cross_entropy(each, answers) for each in (asked, shown)]
    torch.testing.assert_close(plain.training_step(batch, 0), losses[0])
    torch.testing.assert_close(named.training_step(batch, 0), 0.75 * losses[0] + 0.25 * losses[1])
