"""Inserts attention blocks into a model: `plan`, `insert` and `remove`."""

from typing import Any

from torch import nn

from cv_attention.backbones.attachment.attach import attach, attached, detach
from cv_attention.backbones.attachment.loading import unwatch_loading, watch_loading
from cv_attention.backbones.attachment.lost import enter, ledger, orphans, refuse_inlined, report_lost, strike
from cv_attention.backbones.attachment.succession import guard, sweep, unguard
from cv_attention.backbones.insertion.freezing import freeze_rest, thaw
from cv_attention.backbones.insertion.making import At, Blocks, Init
from cv_attention.backbones.insertion.plans import Plan, insertion_of
from cv_attention.backbones.insertion.preparing import Train, child_name, prepare
from cv_attention.backbones.positions.parameters import forget_heads, remember_heads
from cv_attention.backbones.tracing.dry_run import InputSize
from cv_attention.checks import check_module
from cv_attention.globs import Globs


def plan(
    model: nn.Module,
    block: Blocks,
    at: At = "residual",
    *,
    init: Init = "plain",
    input_size: InputSize | None = None,
    example_inputs: Any = None,
    train: Train = "all",
    head: Globs | None = None,
) -> Plan:
    """Says what `insert` would do, and changes nothing.

    Args:
        model: Any network with feature maps (B, C, H, W), built already. Networks all of whose convolutions are 1-D
            or 3-D are refused.
        block: A catalogue name, ``{name: ..., <options>}``, ``{class_path: ..., init_args: ...}``, a class,
            or any callable from channels to a module. Several blocks are ``{position or glob: block}`` or
            ``[(block, at), ...]``.
        at: Where blocks go: ``residual`` (end of each residual branch, before the addition), ``pre`` (its start),
            ``post`` (behind the addition and its activation), ``identity`` (on the shortcut), ``stage`` (end of each
            stage, also of a decoder), ``replace`` (in place of each 3×3 convolution that keeps the channels), ``pool``
            (the feature map that the global average pooling takes); each may be followed by stages on the way down
            from the image (``residual:-1``, ``stage:1:3``) or by ``decoder`` (``stage:decoder``,
            ``residual:decoder:-1``); a glob over module names (``layer*.*.bn2``; ``*`` stays within one level, ``**``
            crosses levels) for their outputs, ``replace:<glob>`` for convolutions to be replaced; or a list.
        init: ``plain``, or ``identity`` to leave the model's output as it is.
        input_size: Side, (H, W) or (C, H, W) of the image in the dry run, in pixels, for a model that takes one image
            (B, C, H, W); by default the model's own.
        example_inputs: What the model takes in the dry run, for a model that takes anything else, with any batch:

            - a tensor is the one positional argument: ``model(tensor)``;
            - a tuple holds the positional arguments: ``(left, right)`` is ``model(left, right)``;
            - a mapping, also Hugging Face's `BatchFeature`, holds the keyword arguments: ``{"pixel_values": images}``
              is ``model(pixel_values=images)``;
            - a tuple of a tuple and a mapping holds both: ``((images,), {"mask": mask})``;
            - anything else, such as a list, a data class or a named tuple, is the one positional argument. A tuple or
              mapping that is one argument stands in a tuple: ``({"image": images},)``.

            Tensors, found at any depth, must have the device and type that the model takes: nothing is moved or cast.
            They are copied, so the originals stay as they are.
        train: ``all``, ``blocks`` to freeze everything but inserted blocks, or ``blocks+head`` to train the heads too,
            as new classes need.
        head: Globs over the names of the heads' modules. By default the heads are all modules with parameters whose
            output reaches an output of the model with no other such module between; the plan names them.

    Returns:
        The sites, and what the blocks cost; it prints as a table.

    Raises:
        ValueError: if the model fails in the dry run, no site is found, a site cannot take a block, or a block does not
            keep the shape; if `input_size` and `example_inputs` are both given.

    Examples:
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10)
        >>> planned = cva.plan(model, "se", at="stage")
        >>> print(planned)
        se at stage, init plain, image 3×32×32
        site                 type        channels   size  parameters       FLOPs
        -------------------  ----------  --------  -----  ----------  ----------
        layer1.2             BasicBlock        16  32×32          49          64
        layer2.2             BasicBlock        32  16×16         162         256
        layer3.2             BasicBlock        64    8×8         580       1,024
        -------------------  ----------  --------  -----  ----------  ----------
        added, 3 sites                                           791       1,344
        CifarResNet without                                  269,722  81,102,080
        added / without                                       0.29 %      0.00 %
        FLOPs: convolutions and matrix products for one image, a multiply-add as two
        each block is called attention below its site
        head: fc
        >>> planned.added_parameters
        791
    """
    return prepare(model, block, at, init, input_size, example_inputs, train, head, seed=0)[0]


def insert(
    model: nn.Module,
    block: Blocks,
    at: At = "residual",
    *,
    init: Init = "plain",
    input_size: InputSize | None = None,
    example_inputs: Any = None,
    train: Train = "all",
    head: Globs | None = None,
    seed: int = 0,
) -> Plan:
    """Inserts a block at every site, in place, and returns what was done.

    Each block's weights are drawn from a random state of its own, made of `seed` and the site's name; the global random
    state is left alone. Blocks are on the device and in the floating type of their host, with the same random numbers
    whatever these are, and take its training flag. Inserting again adds a further block behind the first. Checkpoints
    from before the insertion still load strictly.

    Args:
        model: Any network with feature maps (B, C, H, W), built already. Networks all of whose convolutions are 1-D or
            3-D are refused.
        block: A catalogue name, ``{name: ..., <options>}``, ``{class_path: ..., init_args: ...}``, a class, or any
            callable from channels to a module. Several blocks are ``{position or glob: block}`` or ``[(block, at),
            ...]``.
        at: Where blocks go: ``residual`` (end of each residual branch, before the addition), ``pre`` (its start),
            ``post`` (behind the addition and its activation), ``identity`` (on the shortcut), ``stage`` (end of each
            stage, also of a decoder), ``replace`` (in place of each 3×3 convolution that keeps the channels), ``pool``
            (the feature map that the global average pooling takes); each may be followed by stages on the way down
            from the image (``residual:-1``, ``stage:1:3``) or by ``decoder`` (``stage:decoder``,
            ``residual:decoder:-1``); a glob over module names (``layer*.*.bn2``; ``*`` stays within one level, ``**``
            crosses levels) for their outputs, ``replace:<glob>`` for convolutions to be replaced; or a list.
        init: ``plain``, or ``identity`` to leave the model's output as it is.
        input_size: Side, (H, W) or (C, H, W) of the image in the dry run, in pixels, for a model that takes one image
            (B, C, H, W); by default the model's own.
        example_inputs: What the model takes in the dry run, for a model that takes anything else, with any batch:

            - a tensor is the one positional argument: ``model(tensor)``;
            - a tuple holds the positional arguments: ``(left, right)`` is ``model(left, right)``;
            - a mapping, also Hugging Face's `BatchFeature`, holds the keyword arguments: ``{"pixel_values": images}``
              is ``model(pixel_values=images)``;
            - a tuple of a tuple and a mapping holds both: ``((images,), {"mask": mask})``;
            - anything else, such as a list, a data class or a named tuple, is the one positional argument. A tuple or
              mapping that is one argument stands in a tuple: ``({"image": images},)``.

            Tensors, found at any depth, must have the device and type that the model takes: nothing is moved or cast.
            They are copied, so the originals stay as they are.
        train: ``all``, ``blocks`` to freeze everything but inserted blocks, or ``blocks+head`` to train the heads too,
            as new classes need. Freezing clears `requires_grad` until `remove`; statistics of batch norms still follow
            the training flag.
        head: Globs over the names of the heads' modules. By default the heads are all modules with parameters whose
            output reaches an output of the model with no other such module between; the plan names them.
        seed: Seed of the blocks' weights.

    Returns:
        The sites, and what the blocks cost; `remove` takes it.

    Raises:
        ValueError: as `plan`; the model is then unchanged.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model, images = cva.backbones.build("resnet20", width=4).eval(), torch.randn(2, 3, 32, 32)
        >>> before = model(images)
        >>> planned = cva.insert(model, {"name": "cbam", "reduction": 4}, at="residual", init="identity")
        >>> [site.name for site in planned.sites][:2]
        ['layer1.0.bn2', 'layer1.1.bn2']
        >>> torch.allclose(model(images), before)  # the blocks start as the identity
        True
    """
    planned, ready, check = prepare(model, block, at, init, input_size, example_inputs, train, head, seed)
    attachments = []
    for each in ready:
        site = each.site
        each.block.train(model.get_submodule(site.name).training)
        where = (site.name, each.block, child_name(site), site.place, each.fresh, each.traced.entrances, each.source)
        attachments.append(attach(model, *where))
    try:
        check()
    except Exception:
        for site in planned.sites:
            detach(model, site.name, child_name(site))
        raise
    enter(model, attachments)
    guard(model)
    watch_loading(model)
    remember_heads(model, planned.head)
    if train != "all":
        freeze_rest(model, {child_name(site) for site in planned.sites}, train)
    return planned


def remove(model: nn.Module, insertion: str | Plan | None = None) -> list[str]:
    """Removes inserted blocks; the model's modules, keys and hooks are then as before the insertion.

    Args:
        model: The model.
        insertion: One insertion's name (``attention``, ``attention_2``, ...), or what `insert` returned; by default all
            go.

    Returns:
        The names of the blocks removed, those that nothing applied any more among them; an empty list if there were
        none.

    Raises:
        ValueError: if the insertion is unknown, or blocks have become part of a graph of `torch.fx`.

    Examples:
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10)
        >>> planned = cva.insert(model, "se", at="stage")
        >>> cva.remove(model, planned)
        ['layer1.2.attention', 'layer2.2.attention', 'layer3.2.attention']
        >>> cva.remove(model)
        []
    """
    check_module(model)
    refuse_inlined(model)
    report_lost(model)
    found = [(host, child) for host, _, child, _ in attached(model)]
    found += [(host, child) for host, _, child in orphans(model)]
    listed = [attachment for _, attachment in ledger(model)]
    names = dict.fromkeys(insertion_of(child) for child in [c for _, c in found] + [a.child for a in listed])
    name = insertion.name if isinstance(insertion, Plan) else insertion
    if name is not None and name not in names:
        raise ValueError(f"no insertion is called {name!r}; there are: {', '.join(names) or 'none'}")
    chosen = [(host, child) for host, child in found if name in (None, insertion_of(child))]
    for host, child in chosen:
        detach(model, host, child)
    for attachment in listed:
        attachment.removed |= name in (None, insertion_of(attachment.child))
    strike(model)
    sweep(model)
    unguard(model)
    unwatch_loading(model)
    if len(chosen) == len(found):
        forget_heads(model)
    thaw(model)
    return [f"{host}.{child}" if host else child for host, child in chosen]
