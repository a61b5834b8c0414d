"""Defines the configuration of an experiment, as one tree of typed dataclasses.

A YAML file, dotted options on the command line, a run's ``config.yaml`` and a checkpoint all hold this same tree.
Nothing here imports torch, so that ``--help`` and a mistyped key answer at once.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from cv_attention.log_config import Log

# One step of an albumentations pipeline: a class name, or a class name with its arguments.
#   - HorizontalFlip
#   - RandomCrop: {height: 32, width: 32, pad_if_needed: true}
Transform = str | dict[str, dict[str, Any]]

# A block of the catalogue by name, the same with options ({name: cbam, reduction: 8}), or any importable class
# ({class_path: my_block.MyBlock, init_args: {...}}); null inserts none.
BlockSpec = str | dict[str, Any] | None

# Data sets that `Data.name` knows; any other name is the class path of a function.
SOURCES = ("cluttered_digits", "cifar10", "cifar100", "folder", "webdataset")


@dataclass
class Subset:
    """Which part of the training split is used; the choice depends on nothing but these values.

    Attributes:
        classes: Keep these classes, by name, in the order of the data set.
        num_classes: Keep this many classes, evenly spread over the sorted class names.
        per_class: Keep at most this many training images of each class.
        fraction: Keep this share of each class's training images, in (0, 1].
    """

    classes: list[str] | None = None
    num_classes: int | None = None
    per_class: int | None = None
    fraction: float | None = None


@dataclass
class Digits:
    """The cluttered digits that are drawn when ``data.name`` is ``cluttered_digits``.

    Attributes:
        train: Number of training images.
        val: Number of validation images.
        test: Number of test images.
        canvas: Side of the square image in pixels.
        digit: Mean side of the pasted digit in pixels; it varies by a sixth.
        clutter: Number of fragments of other digits on each image.
        seed: Seed of the drawing; the same seed draws the same images.
    """

    train: int = 8_000
    val: int = 1_000
    test: int = 2_000
    canvas: int = 64
    digit: int = 24
    clutter: int = 8
    seed: int = 0


@dataclass
class Data:
    """The images.

    Attributes:
        name: Data set: ``cluttered_digits``, ``cifar10``, ``cifar100``, ``folder``, ``webdataset``, or the class path
            of a function of your own such as ``my_data.birds``, see ``docs/extending.md``. ``folder`` reads
            ``root/{train,val,test}/<class>/<image>``. If there is only one split besides ``train``, it is the test
            split. ``webdataset`` reads tar shards, ``root/{train,val,test}-*.tar``.
        root: Folder of the data set, or where CIFAR is downloaded to.
        options: Further arguments of a function of your own.
        batch_size: Images in one optimizer step over all devices (before gradient accumulation).
        workers: Processes that load images; 0 loads in the main process, which is fastest for small images.
        cache: Decode a folder's files once, short side at most this many pixels, into a memory-mapped file in
            ``root/.cv_attention``; null decodes a file whenever it is used. Small images are in memory anyway.
        bits: Range of images of more than 8 bits: 12 means that 4095 is white in 16-bit files. Null finds it once for
            the whole data set, by a sample of its training images, and keeps it in the run.
        on_error: What a broken image does: ``raise`` ends the run with its name; ``skip`` decodes all images once
            before training, leaves the broken ones out, and names them.
        val_fraction: Share of the training split held out for validation where the data set brings no split of its own.
        seed: Seed of the held-out split; shuffling and augmentation follow the experiment's seed.
        train_transforms: albumentations steps on training images, in order; where the list is empty and the network
            starts from pretrained weights, `eval_transforms`.
        eval_transforms: albumentations steps on validation and test images, in order, and `ResizeAndCrop`. Where the
            list is empty and the network starts from pretrained weights, the resizing and cropping that they expect.
        mean: Mean of red, green and blue in [0, 1] that images are normalised with; null takes what pretrained weights
            expect, else the data set's.
        std: Standard deviation of the same.
        mixup: Alpha of mixup, which blends pairs of images and labels; 0 blends none, 0.2 is usual.
        cutmix: Alpha of CutMix, which pastes a part of one image into another; 0 pastes none, 1 is usual.
        progressive: Shorter side in pixels of the training images from an epoch on: ``{0: 128, 10: 160}``; empty keeps
            their size.
        balanced: Draw every class equally often in each epoch, however many images it has.
        flip_test: Average the logits of each validation and test image with those of its mirror image.
        split_file: File of folds that ``cv-attention folds`` wrote; null holds out `val_fraction`.
        fold: Which of its folds is the validation split, from 0 on.
        subset: Part of the data set.
        digits: Settings of the cluttered digits.
    """

    name: str = "cluttered_digits"
    root: str = "data"
    options: dict[str, Any] = field(default_factory=dict)
    batch_size: int = 128
    workers: int = 0
    cache: int | None = None
    bits: int | None = None
    on_error: Literal["raise", "skip"] = "raise"
    val_fraction: float = 0.1
    seed: int = 0
    train_transforms: list[Transform] = field(default_factory=list)
    eval_transforms: list[Transform] = field(default_factory=list)
    mean: list[float] | None = None
    std: list[float] | None = None
    mixup: float = 0.0
    cutmix: float = 0.0
    progressive: dict[int, int] = field(default_factory=dict)
    balanced: bool = False
    flip_test: bool = False
    split_file: str | None = None
    fold: int = 0
    subset: Subset = field(default_factory=Subset)
    digits: Digits = field(default_factory=Digits)


@dataclass
class Model:
    """The network and the attention inserted into it.

    Attributes:
        backbone: One of our CIFAR ResNets (``resnet20``, ``resnet18_cifar``, ...), any timm or torchvision CNN, or the
            class path of a network of your own such as ``my_net.MyNet``, see ``docs/extending.md``.
        options: Further arguments of the backbone's constructor.
        pretrained: Load the library's pretrained weights.
        weights: Checkpoint to start from: a run directory (its best), or a file of ours, of timm or a plain state
            dict, also as safetensors. The head starts at zero where the classes differ; weights of blocks that the
            checkpoint lacks stay new.
        weights_by: How the weights of a file find their places: by ``name``, or by ``position``, which is for files of
            another library whose weights have other names and the same shapes in the same order.
        block: Attention block: a name, ``{name: ..., <options>}``, ``{class_path: ..., init_args: ...}`` or null.
            Different blocks at different places: ``{"residual:0": se, "stage:-1": vit}``.
        at: Where it goes: a position (``residual``, ``pre``, ``post``, ``identity``, ``stage``, ``replace``;
            ``stage:-1`` takes the last stage alone) or a glob over module names, or a list of these.
        init: ``plain``, or ``identity`` to leave the network's output as it was at the start.
        train: ``all``, ``blocks`` to freeze everything but the blocks, ``blocks+head`` to train the last layer too, or
            ``head`` for the last layer alone, where the statistics of batch norms stay as well.
        channels_last: Keep images and weights in channels_last memory order, which most CPUs and GPUs run faster.
        head: Globs over the names of the modules that are the network's heads, for ``train: blocks+head`` and
            ``optimizer.lr_scale.head``; null takes the modules that make the outputs.
    """

    backbone: str = "resnet20"
    options: dict[str, Any] = field(default_factory=dict)
    pretrained: bool = False
    weights: str | None = None
    weights_by: Literal["name", "position"] = "name"
    block: BlockSpec = None
    at: str | list[str] = "residual"
    init: Literal["plain", "identity"] = "plain"
    train: Literal["all", "blocks", "blocks+head", "head"] = "all"
    channels_last: bool = True
    head: str | list[str] | None = None


@dataclass
class LrScale:
    """Factors of the learning rate; 0 keeps a part as it is.

    Attributes:
        blocks: Of the inserted blocks.
        head: Of the layer that makes the logits.
        backbone: Of everything else.
    """

    blocks: float = 1.0
    head: float = 1.0
    backbone: float = 1.0


@dataclass
class Optimizer:
    """The optimizer and its learning-rate schedule, by the names of timm or torch.

    Attributes:
        name: timm's (``sgd`` is with Nesterov momentum) or torch's name (``SGD``, ``AdamW``).
        lr: Peak learning rate.
        weight_decay: Weight decay, left off norms and biases.
        lr_scale: Factors of the learning rate for blocks, head and backbone.
        layer_decay: Factor of the learning rate from each layer to the one below it, counted down from the head, in
            (0, 1]; for timm's networks, and for ours by stages.
        options: Further arguments of the optimizer, such as ``{momentum: 0.9}``.
        schedule: ``triangular`` (up, then down to 0), timm's (``cosine``, ``step``, ...) or torch's name
            (``OneCycleLR``, ...), stepped every step; null keeps the rate constant.
        warmup_epochs: Epochs in which the rate rises to its peak; fractions count.
        schedule_options: Further arguments of the schedule.
        label_smoothing: Share of the target spread over all classes, in [0, 1).
        ema: Decay of a moving average of the weights, which then is what is validated, tested and saved, such as
            0.999; null averages none.
    """

    name: str = "sgd"
    lr: float = 0.1
    weight_decay: float = 5e-4
    lr_scale: LrScale = field(default_factory=LrScale)
    layer_decay: float = 1.0
    options: dict[str, Any] = field(default_factory=dict)
    schedule: str | None = "cosine"
    warmup_epochs: float = 0.0
    schedule_options: dict[str, Any] = field(default_factory=dict)
    label_smoothing: float = 0.0
    ema: float | None = None


@dataclass
class Trainer:
    """What goes to Lightning's Trainer.

    Attributes:
        max_epochs: Passes over the training split.
        accelerator: ``auto``, ``cpu``, ``gpu``, ...
        devices: Number of devices, or ``auto``.
        num_nodes: Number of machines.
        strategy: ``auto``, ``ddp``, ``ddp_fork``, ... of Lightning's; ``fsdp2`` divides weights, gradients and the
            optimizer's state over the devices, for networks that do not fit on one.
        precision: ``auto`` is ``bf16-mixed`` where the device computes it natively, else ``32-true``; or ``32-true``,
            ``bf16-mixed``, ``16-mixed``, ...
        compile: Train through ``torch.compile``. The first step takes a minute or so; validation, maps and checkpoints
            are of the network itself.
        accumulate_grad_batches: Batches of one optimizer step.
        gradient_clip_val: Largest norm of the gradient; null does not clip.
        select: Which epoch's network is tested and kept as the result: ``best`` by validation accuracy, ``last``, or
            ``auto``: the best, but the last where so few images validate that they cannot tell epochs apart.
        deterministic: Refuse operations that are not deterministic.
        extra: Any further argument of ``lightning.Trainer``, by its name.
    """

    max_epochs: int = 10
    accelerator: str = "auto"
    devices: int | str = "auto"
    num_nodes: int = 1
    strategy: str = "auto"
    precision: str = "auto"
    compile: bool = False
    accumulate_grad_batches: int = 1
    gradient_clip_val: float | None = None
    select: Literal["auto", "best", "last"] = "auto"
    deterministic: bool = False
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass
class Experiment:
    """Everything that decides a run's result.

    Attributes:
        seed: Seed of weights, augmentation and the framework's other random numbers.
        data: The images.
        model: The network.
        optimizer: The optimizer and schedule.
        trainer: Lightning's Trainer.
        log: What the run leaves behind.
    """

    seed: int = 0
    data: Data = field(default_factory=Data)
    model: Model = field(default_factory=Model)
    optimizer: Optimizer = field(default_factory=Optimizer)
    trainer: Trainer = field(default_factory=Trainer)
    log: Log = field(default_factory=Log)

    def to_dict(self) -> dict[str, Any]:
        """Returns the tree as plain dicts, lists and scalars."""
        return asdict(self)

    def name(self) -> str:
        """Returns ``log.name``, or a name of what tells a run from others: data, backbone, block and seed."""
        return self.log.name or f"{self._recipe()}-seed{self.seed}"

    def group(self) -> str:
        """Returns ``log.group``, or a name that the runs of several seeds share: data, backbone and block."""
        return self.log.group or self._recipe()

    def _recipe(self) -> str:
        block = self.model.block
        if isinstance(block, dict):
            block = str(block.get("name") or block.get("class_path", "block")).rsplit(".", 1)[-1]
        backbone = self.model.backbone.replace("/", "-")
        return f"{self.data.name}-{backbone}-{block or 'plain'}"

    def fingerprint(self) -> str:
        """Returns 12 hexadecimal digits that are the same for the same configuration; ``log`` does not count."""
        deciding = {name: part for name, part in self.to_dict().items() if name != "log"}
        return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:12]
