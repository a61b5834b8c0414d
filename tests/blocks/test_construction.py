import inspect
import subprocess
import sys

import pytest
import torch
from torch import nn

from cv_attention import blocks


def test_create_passes_options_on():
    assert blocks.create("se", 64, reduction=4).reduce.out_features == 16


@pytest.fixture
def my_block(tmp_path, monkeypatch):
    """A user's file in the current directory, as `class_path: my_block.MyBlock` names it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    (tmp_path / "my_block.py").write_text(
        "from torch import nn\n"
        "LIMIT = 3\n"
        "class MyBlock(nn.Module):\n"
        "    def __init__(self, channels, gain=1.0):\n"
        "        super().__init__()\n"
        "        self.channels, self.gain = channels, gain\n"
        "    def forward(self, x):\n"
        "        return x * self.gain\n"
    )
    (tmp_path / "broken_block.py").write_text("import no_such_module\n")
    yield
    for name in ("my_block", "broken_block"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("spec", "hidden"),
    [
        ("se", 4),
        ({"name": "se"}, 4),
        ({"name": "se", "reduction": 4}, 16),
        ("cv_attention.blocks.channel.squeeze_excite.SqueezeExcite", 4),
        ({"class_path": "cv_attention.blocks.SqueezeExcite", "init_args": {"reduction": 8}}, 8),
        ({"class_path": "cv_attention.blocks.SqueezeExcite", "init_args": None}, 4),
        (blocks.SqueezeExcite, 4),
        (lambda channels: blocks.SqueezeExcite(channels, reduction=2), 32),
    ],
    ids=lambda value: "a function" if inspect.isfunction(value) else str(value),  # no address: names must not vary
)
def test_resolve_takes_every_form(spec, hidden):
    assert blocks.resolve(spec)(64).reduce.out_features == hidden


def test_resolve_leaves_the_configuration_as_it_is():
    spec = {"name": "se", "reduction": 4}
    blocks.resolve(spec)
    assert spec == {"name": "se", "reduction": 4}


@pytest.mark.usefixtures("my_block")
def test_resolve_finds_a_file_in_the_current_directory():
    block = blocks.resolve({"class_path": "my_block.MyBlock", "init_args": {"gain": 2.0}})(8)
    assert (block.channels, block.gain) == (8, 2.0)
    assert torch.equal(block(torch.ones(1, 8, 1, 1)), torch.full((1, 8, 1, 1), 2.0))


def test_a_file_in_the_current_directory_hides_no_installed_module(tmp_path, monkeypatch):
    (tmp_path / "wave.py").write_text("raise RuntimeError('not the one of the standard library')")
    (tmp_path / "nearby.py").write_text(
        "import wave\nfrom torch import nn\nclass Nearby(nn.Identity):\n    sound = wave\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    found = blocks.resolve("nearby.Nearby").func
    assert found.sound.open


@pytest.mark.usefixtures("my_block")
@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("cbamm", "no block is called 'cbamm'; did you mean 'cbam'.*; `cv-attention blocks` lists all"),
        ({"name": "cbamm"}, "no block is called 'cbamm'; did you mean 'cbam'"),
        (
            {"name": "se", "reducton": 4},
            "block 'se' has no option 'reducton'; did you mean 'reduction'.* bias",
        ),
        ({"reduction": 4}, "needs the key name or class_path"),
        ({"name": 3}, "needs the key name or class_path"),
        ({"class_path": "MyBlock"}, "must look like my_block.MyBlock, got 'MyBlock'"),
        ({"class_path": "my_block.py"}, "my_block has no block 'py'"),
        ({"class_path": "my_block.py.MyBlock"}, "cannot import my_block.py: neither installed nor a file in"),
        ({"class_path": 3}, "must look like"),
        ({"class_path": "absent.MyBlock"}, "cannot import absent: neither installed nor a file in"),
        ({"class_path": "my_block.MyBlok"}, "my_block has no block 'MyBlok'; did you mean 'MyBlock'"),
        ({"class_path": "my_block.LIMIT"}, "my_block has no block 'LIMIT'"),
        ({"class_path": "broken_block.MyBlock"}, "ModuleNotFoundError: No module named 'no_such_module'"),
        (
            {"class_path": "my_block.MyBlock", "init_args": {"gian": 2}},
            "no option 'gian'; did you mean 'gain'",
        ),
        ({"class_path": "my_block.MyBlock", "gain": 2}, "key 'gain'; only init_args is allowed next to class_path"),
        ({"class_path": "my_block.MyBlock", "name": "se"}, "key 'name'; only init_args is allowed next to class_path"),
        ({"class_path": "my_block.MyBlock", "init_args": [2]}, "must be a mapping of options"),
        ("torch.nn.BatchNorm2d.x", "cannot import torch.nn.BatchNorm2d"),
        (
            {"class_path": "torch.nn.Conv2d", "init_args": {"out_channels": 4}},
            "needs the option 'kernel_size'",
        ),
        (nn.ReLU(), "give the class ReLU, not an instance"),
        (3, "a block is a name"),
        (None, "a block is a name"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_in_one_line(spec, message):
    with pytest.raises(ValueError, match=message) as error:
        blocks.resolve(spec)
    assert "\n" not in str(error.value)


def test_every_public_name_is_there():
    for name in blocks.__all__:
        assert getattr(blocks, name) is not None
    for entry in blocks.CATALOGUE.values():
        assert getattr(blocks, entry.cls.__name__) is entry.cls
        assert entry.cls.__name__ in dir(blocks)
    with pytest.raises(AttributeError, match="no attribute 'SqueezExcite'"):
        _ = blocks.SqueezExcite


def test_a_mistyped_name_is_noticed_without_torch():
    code = "import sys; from cv_attention.blocks import catalogue; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_catalogue_prints_as_its_names():
    lines = repr(blocks.CATALOGUE).splitlines()
    assert lines[0] == f"{len(blocks.CATALOGUE)} blocks"
    assert [line.split(": ")[0] for line in lines[1:]] == list(
        dict.fromkeys(e.family for e in blocks.CATALOGUE.values())
    )
    assert sum(line.count(",") + 1 for line in lines[1:]) == len(blocks.CATALOGUE)
    with pytest.raises(KeyError):
        blocks.CATALOGUE["no such block"]
