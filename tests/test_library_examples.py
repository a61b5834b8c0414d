"""The examples with other libraries, run as a reader would run them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


def run(script, *options, cwd):
    # ultralytics: no look for newer versions, fonts, or packages to install; its settings stay out of the home folder.
    offline = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_CONFIG_DIR": str(cwd), "HF_HUB_OFFLINE": "1"}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **offline}
    command = [sys.executable, str(ROOT / "examples" / script), *options]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=880)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.mark.parametrize(("model", "sites"), [("yolo11n", 13), ("yolov8n", 6), ("yolo11n-seg", 13), ("yolo11n-cls", 8)])
def test_yolo(model, sites, tmp_path):
    pytest.importorskip("ultralytics", reason="needs the zoo extra")
    printed = run("yolo.py", "--model", f"{model}.yaml", "--images", "8", cwd=tmp_path)
    inserted = re.search(r"^(\d+) blocks inserted: 0 of (\d+) predicted numbers changed$", printed, re.M)
    assert inserted, printed
    assert int(inserted[1]) == sites
    assert int(inserted[2]) > 1000 or "cls" in model
    assert f"best.pt: {4 * sites} of " in printed  # SE has two layers of weights and biases
    assert re.search(rf"^{sites} maps recorded", printed, re.M) or "maps recorded" in printed
    assert "predict finds " in printed
    assert (tmp_path / "out/yolo/saliency.png").is_file()


@pytest.mark.parametrize("library", ["smp", "torchvision", "monai"])
def test_segmentation(library, tmp_path):
    package = {"smp": "segmentation_models_pytorch", "torchvision": "torchvision", "monai": "monai"}[library]
    pytest.importorskip(package, reason="needs the zoo extra")
    printed = run("segmentation.py", "--library", library, cwd=tmp_path)
    assert re.search(r"^0 of \d+ predicted pixels changed$", printed, re.M)
    found = re.search(r"^intersection over union (\d\.\d+)$", printed, re.M)
    assert found
    assert float(found[1]) > 0.5
    assert (tmp_path / f"out/segmentation_{library}.png").is_file()


def test_torchvision_detection(tmp_path):
    printed = run("torchvision_detection.py", "--steps", "4", cwd=tmp_path)
    assert re.search(r"^boxes unchanged by \d+ blocks$", printed, re.M)
    assert (tmp_path / "out/torchvision_detection.png").is_file()


@pytest.mark.parametrize("model", ["resnet", "convnext", "vit"])
def test_hugging_face_trainer(model, tmp_path):
    pytest.importorskip("accelerate", reason="needs the zoo extra")
    printed = run("hugging_face_trainer.py", "--model", model, cwd=tmp_path)
    accuracy = re.search(r"^accuracy (\d\.\d+)$", printed, re.M)
    assert accuracy
    assert float(accuracy[1]) > 0.2  # chance is 0.1
    assert "loaded again: logits the same" in printed


def test_fastai(tmp_path):
    pytest.importorskip("fastai", reason="needs the zoo extra")
    printed = run("fastai_learner.py", cwd=tmp_path)
    accuracy, blocks = re.search(r"accuracy (\d\.\d+)", printed), re.search(r"saved file: (\d+)", printed)
    assert accuracy
    assert float(accuracy[1]) > 0.3  # chance is 0.1
    assert blocks
    assert int(blocks[1]) > 0


def test_lightning(tmp_path):
    printed = run("lightning_finetune.py", cwd=tmp_path)
    accuracy = re.search(r"^accuracy of the best checkpoint (\d\.\d+)$", printed, re.M)
    assert accuracy
    assert float(accuracy[1]) > 0.5


def test_timm_train(tmp_path):
    # A stand-in for timm's script: it creates, loads, copies for EMA, trains, saves and resumes as train.py does.
    (tmp_path / "train.py").write_text(
        "import argparse, torch\n"
        "from timm import utils\n"
        "from timm.models import create_model, load_checkpoint, resume_checkpoint\n"
        "from timm.task.distillation import create_model as create_teacher\n"
        "parser = argparse.ArgumentParser()\n"
        "parser.add_argument('--model')\n"
        "parser.add_argument('--initial-checkpoint', default='')\n"
        "parser.add_argument('--resume', default='')\n"
        "parser.add_argument('--epochs', type=int, default=1)\n"
        "args = parser.parse_args()\n"
        "model = create_model(args.model, num_classes=3, scriptable=False, checkpoint_path=args.initial_checkpoint)\n"
        "blocks = sum('.attention.' in name for name, _ in model.named_parameters())\n"
        "taught = sum('.attention.' in name for name, _ in create_teacher(args.model).named_parameters())\n"
        "print('start', blocks, taught, float(model.conv1.weight[0, 0, 0, 0].detach()))\n"
        "optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)\n"
        "epoch = resume_checkpoint(model, args.resume, optimizer) if args.resume else 0\n"
        "ema = utils.ModelEmaV2(model, decay=0.5)\n"
        "if args.resume:\n"
        "    load_checkpoint(ema.module, args.resume, use_ema=True)\n"
        "saver = utils.CheckpointSaver(model, optimizer, args=args, model_ema=ema, checkpoint_dir='.')\n"
        "for epoch in range(epoch, args.epochs):\n"
        "    optimizer.zero_grad()\n"
        "    logits = model(torch.rand(4, 3, 64, 64))\n"
        "    torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 0])).backward()\n"
        "    optimizer.step()\n"
        "    ema.update(model)\n"
        "    saver.save_checkpoint(epoch, metric=1.0)\n"
        "print('end', epoch)\n"
    )
    import timm
    import torch

    torch.manual_seed(0)
    plain = timm.create_model("resnet18", num_classes=3)
    torch.save(plain.state_dict(), tmp_path / "plain.pth")

    def train(*options):
        printed = run("timm_train.py", "train.py", "--attention", "eca", "--model", "resnet18", *options, cwd=tmp_path)
        assert "8 eca blocks at residual" in printed
        weight = re.search(r"^start 8 0 (\S+)$", printed, re.M)  # 8 blocks, and none in a teacher
        end = re.search(r"^end (\d+)$", printed, re.M)
        assert weight, printed
        assert end, printed
        return float(weight[1]), int(end[1]), torch.load(tmp_path / "last.pth.tar", weights_only=False)

    def kernels(state):
        return [value for name, value in state.items() if ".attention." in name]

    weight, end, first = train("--initial-checkpoint", "plain.pth")
    assert weight == pytest.approx(float(plain.state_dict()["conv1.weight"][0, 0, 0, 0]))
    assert end == 0
    assert len(kernels(first["state_dict"])) == len(kernels(first["state_dict_ema"])) == 8
    _, end, second = train("--resume", "last.pth.tar", "--epochs", "2")
    assert end == 1
    for before, after in zip(kernels(first["state_dict"]), kernels(second["state_dict"]), strict=True):
        assert not torch.equal(before, after)
    assert len(second["optimizer"]["state"]) == len(list(plain.parameters())) + 8
    weight, _, _ = train("--initial-checkpoint", "last.pth.tar")  # with blocks
    assert weight == pytest.approx(float(second["state_dict_ema"]["conv1.weight"][0, 0, 0, 0]))
