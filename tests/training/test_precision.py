"""The precision that fits the device, and training through torch.compile."""

import functools
import types

import pytest
import torch
from safetensors.torch import load_file

from cv_attention.cli import main
from cv_attention.training.devices.precision import resolve


@pytest.mark.parametrize(
    ("able", "expected"),
    [
        ({"avx512_bf16": True}, "bf16-mixed"),
        ({"amx_bf16": True, "avx512_bf16": False}, "bf16-mixed"),
        ({"architecture": "aarch64", "bf16": True}, "bf16-mixed"),
        ({"avx2": True, "avx512_bf16": False}, "32-true"),
    ],
)
def test_a_cpu_takes_bf16_only_where_it_has_it(able, expected, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: types.MappingProxyType(able), raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve("auto", "auto") == resolve("auto", "cpu") == expected


@pytest.mark.parametrize("native", [True, False])
def test_a_gpu_takes_bf16_only_where_it_has_it(native, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: native or including_emulation)
    assert resolve("auto", "gpu") == ("bf16-mixed" if native else "32-true")


def test_what_was_asked_for_stays():
    assert resolve("16-mixed", "cpu") == "16-mixed"


@pytest.mark.long
@pytest.mark.parametrize(
    ("backend", "relative", "absolute"),
    [("aot_eager", 1e-3, 1e-4), ("inductor", 0.02, 0.02)],
)
def test_a_compiled_training_is_the_same_training_under_the_same_names(
    backend, relative, absolute, tiny_options, tmp_path, monkeypatch
):
    """aot_eager generates no code and takes seconds; inductor rounds differently, which each further step magnifies."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=backend))
    runs = {}
    for name, options in {"eager": [], "compiled": ["--trainer.compile=true"]}.items():
        options += [
            f"--log.root={tmp_path}",
            f"--log.name={name}",
            "--log.maps_every=0",
            "--log.wandb=disabled",
            "--trainer.max_epochs=1",
        ]
        assert main(["fit", *tiny_options, *options]) == 0
        runs[name] = load_file(tmp_path / name / "weights.safetensors")
    assert runs["eager"].keys() == runs["compiled"].keys()
    for name, value in runs["eager"].items():
        torch.testing.assert_close(runs["compiled"][name], value, rtol=relative, atol=absolute, msg=name)
