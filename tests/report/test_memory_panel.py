"""The panel of memories: images, names, weights as slots × steps, accuracy by instance."""

import numpy as np
import pytest

from cv_attention import report
from cv_attention.report.write.memory import by_instance, remembered
from cv_attention.rundir.arrays import write_arrays


def arrays(*, memory=True):
    """Two episodes of up to three images; the first shows two and is right once."""
    found = {
        "index": np.array([0, 1]), "kind": np.array("classify"),
        "image": np.arange(6, dtype=np.uint8).reshape(2, 3, 1, 1, 1).repeat(8, 2).repeat(8, 3).repeat(3, 4) * 40,
        "place": np.array([[0, 1, -1], [0, 1, 2]]), "answer": np.array([[2, 0, -1], [1, 1, 0]]),
        "given": np.array([[2, 1, 0], [1, 1, 0]]), "nth": np.array([[1, 1, 0], [1, 2, 1]]),
    }  # fmt: skip
    if memory:
        weights = np.zeros((2, 3, 4), np.float16)
        weights[0, 1, 3] = 0.5
        found |= {"read": weights, "write": np.roll(weights, 1, 2)}
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory, make_run):
    directory = make_run(tmp_path_factory.mktemp("memory") / "run", epochs=1, probes=2, seed=0)
    write_arrays(directory / "memory.npz", arrays(), compressed=True)
    rows = ["0,0,2,2,0.9,1", "0,1,0,1,0.2,1", "1,0,1,1,0.9,1", "1,1,1,1,0.9,2", "1,2,0,0,0.9,1"]
    (directory / "recalled.csv").write_text("\n".join(["episode,step,answer,given,probability,instance", *rows]) + "\n")
    report.build(directory)
    return directory


def test_what_the_page_gets(run):
    found = remembered(run / "memory.npz")
    first, second = found["episodes"]
    assert [step["given"] for step in first["steps"]] == [2, 1]  # the third is padding
    assert len(second["steps"]) == 3
    assert first["read"] == [[0, 0], [0, 0], [0, 0], [0, 500]]
    assert first["write"][0] == [0, 500]
    assert found["instances"] == [{"nth": 1, "right": 3, "count": 4}, {"nth": 2, "right": 1, "count": 1}]
    assert by_instance(run / "none.csv") == []


def test_a_torn_file_is_a_notice(tmp_path, make_run):
    directory = make_run(tmp_path / "run", epochs=1, probes=2, seed=0)
    broken = arrays()
    del broken["given"]
    write_arrays(directory / "memory.npz", broken, compressed=True)
    report.build(directory)
    texts = "".join(path.read_text() for path in (directory / "report/data").rglob("report.*.js"))
    assert "memory.npz could not be read and is left out" in texts


@pytest.mark.browser
def test_the_panel(open_page, run):
    opened = open_page("", index=run / "report/index.html")
    opened.until("document.querySelectorAll('.memory-step').length === 2")
    steps = opened.page.locator(".memory-step")
    assert steps.all_inner_texts() == ["2", "1, not 0"]
    assert [step.get_attribute("class") for step in steps.all()] == ["memory-step right", "memory-step wrong"]
    maps = opened.page.locator(".memory-weights")
    assert maps.first.get_attribute("aria-label") == "Read weights: 4 slots × 2 steps"
    size = maps.first.bounding_box()
    maps.first.hover(position={"x": 0.75 * size["width"], "y": 0.9 * size["height"]})
    opened.until("document.querySelector('.readout').textContent === 'step 2, slot 4: 0.5'")
    assert "75.0 %" in opened.page.locator(".memory-instances").inner_text()
    opened.page.locator("select[name=episode]").select_option("1")
    opened.until("document.querySelectorAll('.memory-step').length === 3")
    assert opened.faults == []


@pytest.mark.browser
def test_runs_without_a_memory(open_page, tmp_path, make_run):
    plain = make_run(tmp_path / "plain", epochs=1, probes=2, seed=0)
    report.build(plain)
    opened = open_page("", index=plain / "report/index.html")
    assert opened.page.locator("section[aria-labelledby=memory]").is_hidden()
    write_arrays(plain / "memory.npz", arrays(memory=False), compressed=True)
    report.build(plain)
    opened = open_page("", index=plain / "report/index.html")
    opened.until("document.querySelectorAll('.memory-step').length === 2")
    assert "has no external memory" in opened.page.locator(".memory-body").inner_text()
    assert opened.page.locator(".memory-weights").count() == 0


def test_answers_are_counted_by_how_often_their_class_was_shown(tmp_path):
    """From the first time on: 0 means that nothing is counted, as where sequences are copied."""
    rows = [(1, "a", "a"), (2, "a", "b"), (0, "c", "c"), (1, "b", "a"), (10, "a", "a"), (2, "b", "b"), (1, "c", "c")]
    lines = ["instance,answer,given", *(f"{nth},{answer},{given}" for nth, answer, given in rows)]
    (tmp_path / "recalled.csv").write_text("\n".join(lines) + "\n")
    assert by_instance(tmp_path / "recalled.csv") == [
        {"nth": 1, "right": 2, "count": 3}, {"nth": 2, "right": 1, "count": 2}, {"nth": 10, "right": 1, "count": 1},
    ]  # fmt: skip
