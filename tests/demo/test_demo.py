"""The page of `cv-attention demo`: what it draws is what the library gives, and it is served without a network."""

import socket

import numpy as np
import pytest
import torch
from PIL import Image

from cv_attention import config, training
from cv_attention.cli import main
from cv_attention.demo.explaining import Explainer
from cv_attention.picture_grid import picture_grid

PHOTOGRAPH = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


def classifier(block: str | None = "cbam") -> training.Classifier:
    torch.manual_seed(0)
    facts = training.DataFacts(("cat", "dog", "eel"), (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), image_size=(32, 32))
    model = config.Model(options={"width": 4}, block=block)
    made = training.Classifier(config.Experiment(model=model), facts)
    for parameter in made.parameters():
        if parameter.ndim == 1:  # branches start at 0, which would make every map a constant
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    return made.eval()


def test_the_figure_shows_what_the_library_gives():
    network = classifier()
    shown = Explainer({"mine": lambda: network}).explain(PHOTOGRAPH, "mine", methods=["grad_cam", "gradient"])
    pixels = np.asarray(Image.fromarray(PHOTOGRAPH).resize((32, 32), Image.Resampling.BOX))
    # the same resizing as OpenCV's area interpolation: whole pixels across, a quarter more down
    inputs = network.normalise(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None])
    with torch.no_grad():
        probabilities = network.network(inputs).softmax(1)[0]
    assert shown.classes == pytest.approx(
        dict(zip(network.facts.class_names, probabilities.tolist(), strict=True)), abs=0.02
    )
    assert shown.notes[0] == f"The saliency maps explain {network.facts.class_names[int(probabilities.argmax())]}."
    assert "9 attention maps weight channels, not positions, and are not drawn" in shown.notes[1]
    pictures = 1 + 8 + 2  # the photograph, eight of nine spatial maps, two methods
    assert shown.figure.size == (4 * 294 + 6, 3 * (22 + 288 + 12))
    cells = [shown.figure.crop((6 + 294 * (i % 4), 322 * (i // 4) + 22, 294 * (i % 4) + 294, 322 * (i // 4) + 310))
             for i in range(12)]  # fmt: skip
    assert [np.asarray(cell).std() > 0 for cell in cells] == [True] * pictures + [False]


def test_networks_without_attention_and_with_an_untrained_block():
    network = classifier(None)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    explainer = Explainer({"plain": lambda: network})
    plain = explainer.explain(PHOTOGRAPH, "plain")
    assert plain.figure.width == 2 * 294 + 6
    assert len(plain.notes) == 1
    attended = explainer.explain(PHOTOGRAPH, "plain", block="cbam", methods=["grad_cam"])
    assert attended.figure.height > plain.figure.height
    assert attended.notes[1].startswith("cbam is untrained")
    assert network.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    several = explainer.explain(PHOTOGRAPH, "plain", methods=["attention_rollout", "grad_cam"])
    assert several.notes[1].startswith("attention_rollout: ")
    assert several.figure.width == 2 * 294 + 6
    with pytest.raises(ValueError, match="unknown network 'other'; choose one of plain"):
        explainer.explain(PHOTOGRAPH, "other")


def test_another_class_than_the_predicted_one():
    network = classifier()
    explainer = Explainer({"mine": lambda: network})
    figures = {}
    for name in network.facts.class_names:
        shown = explainer.explain(PHOTOGRAPH, "mine", target=name)
        assert shown.notes[0] == f"The saliency maps explain {name}."
        figures[name] = np.asarray(shown.figure)
    assert len({figure.tobytes() for figure in figures.values()}) == 3
    with pytest.raises(ValueError, match="the network has no class 'dgo'; did you mean 'dog'"):
        explainer.explain(PHOTOGRAPH, "mine", target="dgo")


@pytest.mark.parametrize("thresholds", [(), (0.5, 0.5, 0.5), (0.0, 0.0, 1.0), (0.99, 0.1, 0.01), (1.0, 1.0, 1.0)])
def test_several_classes_and_numbers(thresholds):
    torch.manual_seed(0)
    facts = training.LabelFacts(
        ("cat", "dog", "eel"), (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), (32, 32), thresholds=thresholds
    )
    model = config.Model(options={"width": 4}, block="se")
    several = training.MultiLabelClassifier(config.Experiment(data=config.Data(targets="multi"), model=model), facts)
    several.network.get_submodule("fc").bias.data += torch.tensor([3.0, 1.0, -2.0])
    values = training.ValueFacts(
        ("age", "height"), (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), (32, 32), (40.0, 170.0), (9.0, 20.0)
    )
    numbers = training.Regressor(config.Experiment(data=config.Data(targets="numbers"), model=model), values)
    explainer = Explainer({"several": lambda: several.eval(), "numbers": lambda: numbers.eval()})
    pixels = np.full((32, 32, 3), 90, np.uint8)
    shown = explainer.explain(pixels, "several", target="eel")
    batch = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    numbers.eval()
    with torch.no_grad():
        probabilities = several(batch)[0].sigmoid()
        wanted = numbers(batch)[0]
    assert shown.classes == pytest.approx(dict(zip(facts.class_names, probabilities.tolist(), strict=True)), abs=1e-5)
    assert "The saliency maps explain eel." in shown.notes
    limits = zip(facts.class_names, probabilities.tolist(), thresholds or [0.5] * 3, strict=True)
    above = [name for name, probability, limit in limits if probability >= limit]
    assert f"Above their thresholds: {', '.join(above) or 'no class'}." in shown.notes
    shown = explainer.explain(pixels, "numbers", target="height")
    assert shown.classes == {}
    assert shown.notes[:3] == [
        f"age: {wanted[0]:.4g}", f"height: {wanted[1]:.4g}", "The saliency maps explain height."
    ]  # fmt: skip


def test_titles_are_shortened_in_the_middle():
    pictures = [Image.fromarray(PHOTOGRAPH)] * 2
    grid = picture_grid(["a", "layer1.0.a_very_long_name.of_a_module.bn2.attention.spatial.map"], [pictures, pictures])
    assert grid.size == (2 * 134 + 6, 22 + 2 * 96 + 2 * 6 + 6)
    title = np.asarray(grid.crop((140, 0, 274, 22)))
    assert title.min() < 128  # something is written
    assert (np.asarray(grid.crop((270, 0, 274, 22))) == 255).all()  # and within its column
    assert (np.asarray(grid.crop((6, 22, 134, 118)).resize((64, 48), Image.Resampling.BOX)).astype(int)
            - PHOTOGRAPH).std() < 30  # fmt: skip


@pytest.mark.long  # a server
def test_the_page_answers_without_a_network(monkeypatch, tmp_path):
    gradio = pytest.importorskip("gradio")
    client = pytest.importorskip("gradio_client")
    from cv_attention.demo.building import serve

    connect, asked = socket.socket.connect, []

    def local(self, address):
        asked.append(address)
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "localhost", "::1"):
            raise OSError("no network")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local)
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    network = classifier()
    _, address, shared = serve(Explainer({"mine": lambda: network}), None, wait=False)
    try:
        assert address.startswith("http://127.0.0.1:")
        assert not shared
        Image.fromarray(PHOTOGRAPH).save(tmp_path / "photograph.png")
        figure, classes, download, notes = client.Client(address, verbose=False).predict(
            client.handle_file(tmp_path / "photograph.png"), "mine", "none", ["grad_cam"], "", api_name="/explain"
        )
        assert classes["label"] in network.facts.class_names
        assert "weight channels" in notes
        expected = Explainer({"mine": lambda: network}).explain(PHOTOGRAPH, "mine").figure
        for path in (figure, download["value"]):
            with Image.open(path) as shown:
                assert shown.size == expected.size
        outside = {each[0] for each in asked if isinstance(each, tuple)} - {"127.0.0.1", "localhost", "::1"}
        assert not outside
    finally:
        gradio.close_all()


def test_mistakes(tmp_path, capsys):
    assert main(["demo"]) == 2
    assert "give run directories, or pretrained networks" in capsys.readouterr().err
    pytest.importorskip("gradio")
    assert main(["demo", str(tmp_path / "none")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_without_gradio_the_extra_is_named(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("cv_attention.extras.find_spec", lambda package: None if package == "gradio" else True)
    assert main(["demo", str(tmp_path)]) == 2
    assert "cv-attention demo needs gradio: pip (or uv pip) install 'cv_attention[demo]'" in capsys.readouterr().err
