"""Networks that read, exported with a greedy decoder of all steps and run by onnxruntime."""

import json
from dataclasses import replace

import onnx
import onnxruntime
import pytest
import torch

from cv_attention import training
from cv_attention.alphabet import Alphabet
from cv_attention.config import Experiment, Model
from cv_attention.rundir.facts import TextFacts
from cv_attention.training.export.deployment import export
from tests.heads.cases import CASES

FACTS = TextFacts(tuple("abcd"), "character", 4, (0.5,) * 3, (0.2,) * 3, (16, 32))


def transcriber(case: str, *, padded: bool = False) -> training.Transcriber:
    name, options = CASES[case]
    if options.get("score") == "dot":
        options = {**options, "width": 12}
    model = Model(backbone="convnet", options={"widths": [8, 12], "strides": [2, 2]}, head={"name": name, **options})
    torch.manual_seed(0)
    return training.Transcriber(Experiment(model=model), replace(FACTS, padded=padded)).eval()


EXPORTED = ("gru", "permuted-parallel", "lstm-after-concat", "transformer", "permuted", "ctc")


@pytest.mark.long  # the graph of each takes ten seconds
@pytest.mark.parametrize("case", EXPORTED)
def test_onnx_reads_the_same(case, tmp_path):
    task = transcriber(case)
    done = export(task, "onnx", tmp_path / "reader.onnx", maps=False)
    session = onnxruntime.InferenceSession(str(done.path), providers=["CPUExecutionProvider"])
    images = torch.randint(0, 256, (5, 3, *FACTS.image_size), dtype=torch.uint8)
    [logits] = session.run(None, {"images": images.numpy()})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(logits), task(images), atol=1e-4, rtol=1e-4)
    if case == "ctc":
        return
    [about] = [p.value for p in onnx.load(done.path).metadata_props if p.key == "facts"]
    alphabet = Alphabet(json.loads(about)["units"])
    texts = [alphabet.decode(numbers) for numbers in logits.argmax(2).tolist()]
    assert texts == [reading.text for reading in task.read(images)]


@pytest.mark.long
@pytest.mark.parametrize("case", EXPORTED[:4])
def test_padding_is_hidden_in_the_graph_too(case, tmp_path):
    """A network trained on padded images takes their widths; what lies in the padding changes nothing it attends to."""
    task = transcriber(case, padded=True)
    done = export(task, "onnx", tmp_path / "reader.onnx")
    assert "width (batch,), int64" in done.input
    session = onnxruntime.InferenceSession(str(done.path), providers=["CPUExecutionProvider"])
    images, width = (
        torch.randint(0, 256, (5, 3, *FACTS.image_size), dtype=torch.uint8),
        torch.tensor([32, 20, 9, 4, 17]),
    )
    [logits] = session.run(None, {"images": images.numpy(), "width": width.numpy()})
    with torch.no_grad():
        expected = task.network(task.normalise(images), width=width)
    torch.testing.assert_close(torch.from_numpy(logits), expected, atol=1e-4, rtol=1e-4)
    [ignored] = session.run(None, {"images": images.numpy(), "width": torch.full((5,), 32).numpy()})
    assert abs(ignored[1:] - logits[1:]).max() > 1e-3


@pytest.mark.long
def test_the_graph_gives_the_alignment(tmp_path):
    task = transcriber("gru")
    done = export(task, "onnx", tmp_path / "reader.onnx", maps=True)
    session = onnxruntime.InferenceSession(str(done.path), providers=["CPUExecutionProvider"])
    images = torch.randint(0, 256, (3, 3, *FACTS.image_size), dtype=torch.uint8)
    _, weights = session.run(["logits", "head.map"], {"images": images.numpy()})
    assert weights.shape == (3, 1, 5, 4, 8)
    torch.testing.assert_close(torch.from_numpy(weights.sum((3, 4))), torch.ones(3, 1, 5))


@pytest.mark.long
def test_torch_export_reads_the_same(tmp_path):
    task = transcriber("gru")
    done = export(task, "torch-export", tmp_path / "reader.pt2")
    images = torch.randint(0, 256, (3, 3, *FACTS.image_size), dtype=torch.uint8)
    [logits] = torch.export.load(done.path).module()(images)
    with torch.no_grad():
        torch.testing.assert_close(logits, task(images), atol=1e-5, rtol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("case", CASES)
def test_compiled_heads_train_the_same(case):
    task = transcriber(case)
    task.eval()
    images, tokens = torch.randn(3, 3, 16, 32), torch.tensor([[1, 2, 0], [3, 0, 6], [0, 6, 6]])
    if hasattr(task.network.head, "orders"):
        task.network.head.orders = 2  # others are random
    expected = task.network.loss(images, tokens)
    torch._dynamo.reset()
    compiled = torch.compile(task.network.loss, dynamic=False)(images, tokens)
    torch.testing.assert_close(compiled, expected, atol=1e-4, rtol=1e-4)
