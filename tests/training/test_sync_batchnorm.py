"""`fit` with synchronised batch norms trains the blocks attached to them."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lightning.pytorch.plugins.layer_sync import TorchSyncBatchNorm
from torch import nn

from cv_attention.backbones import build, insert
from cv_attention.cli import main
from cv_attention.training import Classifier

REPOSITORY = Path(__file__).parents[2]
DDP = ["--model.block=se", "--trainer.strategy=ddp", "--log.maps_every=0", "--log.wandb=disabled"]
SYNC = "--trainer.extra={enable_progress_bar: false, sync_batchnorm: true}"

# Torch synchronises on GPUs alone. Here its converted norms stay, and each normalises by its own process's batch.
ON_PROCESSORS = """
import sys
import torch
from cv_attention.cli import main
from cv_attention.training import trainer
trainer._check_sync_batchnorm = lambda *_: None
plain = torch.nn.BatchNorm2d.forward
def forward(self, x):
    assert type(self).__name__ == "SyncBatchNorm"
    return plain(self, x)
torch.nn.SyncBatchNorm.forward = forward
torch.nn.parallel.DistributedDataParallel._passing_sync_batchnorm_handle = lambda *_: None  # refuses processors, too
sys.exit(main(sys.argv[1:]))
"""


def weights(run):
    return torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]


def test_the_strategys_conversion_and_its_way_back_keep_the_blocks():
    torch.manual_seed(0)
    model, x = build("resnet20", num_classes=4, width=8).eval(), torch.randn(2, 3, 32, 32)
    insert(model, "cbam", ["residual", "pre", "post"])
    expected = model(x)
    sync = TorchSyncBatchNorm()
    converted = sync.apply(model)
    assert type(converted.layer1[0].bn2).__name__ == "SyncBatchNorm"
    assert torch.equal(converted(x), expected)
    back = sync.revert(converted).eval()
    assert not any(isinstance(module, nn.SyncBatchNorm) for module in back.modules())
    assert torch.equal(back(x), expected)


def test_refuses_processors(tmp_path, tiny_options, capsys):
    assert main(["fit", *tiny_options, *DDP, SYNC, f"--log.root={tmp_path / 'runs'}"]) == 2
    error = capsys.readouterr().err
    assert "trainer.extra: sync_batchnorm is true, but the device is cpu" in error
    assert "Traceback" not in error
    assert not (tmp_path / "runs").exists()


def test_ends_before_training_where_blocks_are_lost(tmp_path, tiny_options, capsys, monkeypatch):
    def configure_model(self):
        self.network.layer1[0].bn2._forward_hooks.clear()

    monkeypatch.setattr(Classifier, "configure_model", configure_model)
    options = [*tiny_options, "--model.block=se", "--log.wandb=disabled", f"--log.root={tmp_path}"]
    assert main(["fit", *options]) == 2
    error = capsys.readouterr().err
    assert "1 inserted block is no longer applied in CifarResNet: layer1.0.bn2.attention (no hook applies it)" in error
    assert not list(tmp_path.glob("*/checkpoints/*"))


@pytest.mark.long
def test_two_processes_train_the_blocks(tmp_path, tiny_options):
    script = tmp_path / "train.py"
    script.write_text(ON_PROCESSORS)
    options = [*tiny_options, *DDP, "--trainer.devices=2", "--trainer.max_epochs=1", f"--log.root={tmp_path}"]
    extras = {"plain": "--trainer.extra={enable_progress_bar: false}", "sync": SYNC}
    for name, extra in extras.items():
        code = script if name == "sync" else REPOSITORY / "train.py"
        command = [sys.executable, str(code), *(["fit"] if name == "sync" else []), *options, extra]
        environment = {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
        done = subprocess.run([*command, f"--log.name={name}"], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    plain, sync = weights(tmp_path / "plain"), weights(tmp_path / "sync")
    for name, value in plain.items():
        torch.testing.assert_close(sync[name], value, msg=name)
    assert any("attention" in name for name in plain)
