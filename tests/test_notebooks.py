"""The notebooks: stripped of outputs, self-contained, and executed from top to bottom."""

import json
import re
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def test_there_are_six():
    assert len(NOTEBOOKS) == 6


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_nothing_but_sources(path):
    text = path.read_text(encoding="utf-8")
    cells = json.loads(text)["cells"]
    assert cells[0]["cell_type"] == "markdown"
    assert cells[0]["source"][0].startswith("# ")
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
    assert len({cell["id"] for cell in cells}) == len(cells)
    sources = "".join("".join(cell["source"]) for cell in cells)
    assert not re.search(r"[\"'](/|~|[A-Z]:\\)|https?://", sources)  # absolute paths, and what would be fetched
    for link in re.findall(r"\]\((\.\./[^)#]+)", sources):
        assert (path.parent / link).exists(), link


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_in_under_two_minutes_of_two_cores(path, tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="needs the zoo extra")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    resource = pytest.importorskip("resource")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(path, 4)
    before = _processor_time(resource)
    started = time.monotonic()
    nbclient.NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}}).execute()
    used = _processor_time(resource) - before
    assert used < 240, f"{used:.0f} s of processor time in {time.monotonic() - started:.0f} s"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in code for output in cell.outputs]
    assert not [output for output in outputs if output.get("name") == "stderr" and "Error" in output.text]
    if path.stem != "which_attention_helps":
        assert sum("image/png" in output.get("data", {}) for output in outputs) >= 1  # pictures to look at


def _processor_time(resource):
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
