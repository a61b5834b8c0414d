"""A notebook that is executed: every cell ends, and its outputs are HTML that shows pictures."""

import re

import pytest

CELLS = (
    "import torch, cv_attention as cva\n"
    "torch.manual_seed(0)\n"
    "model = cva.backbones.build('resnet20', num_classes=3, width=4).eval()\n"
    "images = torch.rand(2, 3, 32, 32)",
    "plan = cva.insert(model, 'cbam', at='stage')\nplan",
    "with cva.record(model) as maps:\n    model(images)\nmaps",
    "maps = {name: cva.saliency.METHODS[name](model, images) for name in ('grad_cam', 'input_x_gradient')}\n"
    "cva.show(images, maps, clip=99)",
    "with cva.report.Recorder('run', images, [0, 1]) as recorder:\n    recorder.log(model, epoch=0)\n"
    "cva.report.show('run')",
    "cva.report.figure('run', columns=['Grad-CAM'])",
)
PICTURES = (None, 0, 6, 6, 4, 4)  # of the outputs; at least


@pytest.mark.long
def test_every_cell_shows_what_it_returns(tmp_path):
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    for cell, least in zip(notebook.cells, PICTURES, strict=True):
        outputs = [output.data for output in cell.outputs if "data" in output]
        assert not [output for output in cell.outputs if output.output_type == "error"]
        assert (least is None) == (not outputs)
        for data in outputs:
            page = data["text/html"]
            assert len(page) < 300_000
            assert "<script" not in page
            assert len(re.findall("<img ", page)) >= least
