"""Every block of the catalogue compiles whole, also after somebody looked, and runs alike where it is exported to."""

import functools
import io

import pytest
import torch
from torch.testing import assert_close

from tests.blocks.cases import CASES, DEFAULTS, feature_map, hooked

every_block = pytest.mark.parametrize("case", DEFAULTS, ids=str)
QUICK = ("cbam", "se")  # each other compiles in the long tests
every_case = pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=() if str(case) in QUICK else pytest.mark.long) for case in CASES],
    ids=str,
)
quiet = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


def compiled_is_equal(case, backend):
    """Compares output, gradient and maps of a block and of what `backend` makes of it."""
    torch._dynamo.reset()
    block, x = case.build_trained(), feature_map(2, case.channels, 5, 7)
    compiled = torch.compile(block, fullgraph=True, backend=backend, dynamic=False)
    results = []
    for function in (block, compiled):
        leaf = x.clone().requires_grad_()
        y = function(leaf)
        (y**2).sum().backward()
        results.append((y.detach(), leaf.grad))
    assert_close(results[1], results[0], rtol=1e-4, atol=1e-4 if backend == "inductor" else 1e-5)
    # The hooks come after the compilation, as they do in practice; nothing else asks for a new one.
    with hooked(block) as maps:
        y = compiled(x.clone().requires_grad_())
    assert tuple(kind for kind, _ in maps) == case.entry.maps
    assert_close(y.detach(), results[0][0], rtol=1e-4, atol=1e-4 if backend == "inductor" else 1e-5)


@every_case
@quiet
def test_compiles_whole_and_is_still_seen(case):
    compiled_is_equal(case, "aot_eager")


@every_block
@quiet
@pytest.mark.long
def test_compiles_to_machine_code(case):
    compiled_is_equal(case, "inductor")


@pytest.fixture(scope="module")
def shared_table():
    """Lets all exports share torch's table of ONNX functions, which takes half the time of an export to build."""
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(functools.cache(ONNXRegistry.from_torchlib)))
        yield


@every_case
@quiet
@pytest.mark.usefixtures("shared_table")
def test_exports_to_onnx_and_runs_there(case):
    import onnxruntime

    block, x = case.build_trained(), feature_map(2, case.channels, 5, 7)
    program = torch.onnx.export(block, (x,), dynamo=True, verbose=False)
    file = io.BytesIO()
    program.save(file)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    assert_close(torch.from_numpy(y), block(x).detach(), rtol=1e-4, atol=1e-5)
