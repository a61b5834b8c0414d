"""Blocks that are no longer applied are reported, by everything that would otherwise go on as if they were."""

import copy
import pickle
import warnings

import pytest
import torch
from timm.layers import freeze_batch_norm_2d
from torch import nn

import cv_attention as cva
from cv_attention.backbones import LostBlocksWarning, build, insert, plan, remove
from cv_attention.backbones.attachment.lost import lost_blocks, require_applied
from cv_attention.maps import record
from tests.quick import quick_only


def small():
    torch.manual_seed(0)
    return build("resnet20", num_classes=4, width=8).eval()


def image():
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def attended(**options):
    model = small()
    insert(model, "se", "residual:-1", **options)
    return model


HOST, BLOCK = "layer3.2.bn2", "layer3.2.bn2.attention"


def clear_hooks(model):
    model.get_submodule(HOST)._forward_hooks.clear()


def replace_behind_the_back(model):
    dict.__setitem__(model.layer3[2]._modules, "bn2", nn.BatchNorm2d(32))


def replace_with_children(model):
    new = nn.BatchNorm2d(32)
    new.add_module("attention", model.get_submodule(BLOCK))
    dict.__setitem__(model.layer3[2]._modules, "bn2", new)


def exchange_children(model):
    children = dict(model.layer3[2]._modules)
    children["bn2"] = nn.BatchNorm2d(32)
    model.layer3[2]._modules = children


LOSSES = [clear_hooks, replace_behind_the_back, replace_with_children, exchange_children]


def ways_to_notice(model):
    """Everything that must report, as name -> call."""
    return {
        "plan": lambda: plan(model, "se"),
        "insert": lambda: insert(copy.deepcopy(model), "se"),
        "load": lambda: model.load_state_dict(model.state_dict(), strict=False),
        "record": lambda: run_recorded(model),
        "copy": lambda: plan(pickle.loads(pickle.dumps(copy.deepcopy(model))), "se"),
        "remove": lambda: remove(model),
    }


def run_recorded(model):
    with record(model):
        model(image())


@pytest.mark.parametrize("lose", LOSSES)
def test_everything_reports_what_is_lost(lose):
    model = attended()
    keys = list(small().state_dict())
    lose(model)
    for name, call in ways_to_notice(model).items():
        with pytest.warns(LostBlocksWarning, match=f"1 inserted block is no longer applied.*{BLOCK}") as caught:
            call()
        assert len(caught) == 1, name
        assert caught[0].filename == __file__, name
    assert list(model.state_dict()) == keys  # remove takes out what nothing applied, too
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert remove(model) == []
        insert(model, "se")
        assert plan(model, "se").parameters > plan(small(), "se").parameters
        assert BLOCK in {site.block for site in plan(small(), "se").sites}


def test_remove_takes_out_orphans_and_returns_their_names():
    model = attended()
    clear_hooks(model)
    with pytest.warns(LostBlocksWarning):
        assert BLOCK in remove(model, "attention")


def test_nothing_is_reported_where_nothing_is_lost():
    model = attended()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for call in ways_to_notice(model).values():
            call()


@pytest.mark.parametrize("block", ["se", "cbam"])
def test_the_catalogue_of_positions_loses_nothing(block):
    model = small()
    insert(model, {f"{position}:1:": block for position in ("residual", "pre", "post", "identity", "stage", "replace")})
    assert lost_blocks(model) == {}
    require_applied(model)


GONE = {
    "delete": lambda unit: delattr(unit, "bn2"),
    "none": lambda unit: setattr(unit, "bn2", None),
    "pop": lambda unit: unit._modules.pop("bn2"),
    "clear": lambda unit: unit._modules.clear(),
    "scripted": lambda unit: setattr(unit, "bn2", torch.jit.script(nn.BatchNorm2d(32))),
}


@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.parametrize("way", GONE)
def test_what_cannot_be_handed_over_is_reported_at_once(way):
    model = attended()
    with pytest.warns(LostBlocksWarning, match=r"'bn2' \(BatchNorm2d\) is .*layer3\.2\.bn2\.attention") as caught:
        GONE[way](model.layer3[2])
    assert [str(w.filename) for w in caught] == [__file__] or way != "pop"
    with pytest.raises(ValueError, match=f"1 inserted block is no longer applied.*{BLOCK}"):
        require_applied(model)


def test_the_loss_of_a_whole_stage_is_reported_at_once_and_later():
    model = attended()
    with pytest.warns(LostBlocksWarning, match=r"'layer3' \(Sequential\) is replaced by Conv2d.*layer3\.0\.bn2"):
        model.layer3 = nn.Conv2d(16, 32, 1)
    with pytest.warns(LostBlocksWarning, match="3 inserted blocks are no longer applied"):
        plan(model, "se", "stage:0")
    with pytest.warns(LostBlocksWarning):
        assert remove(model) == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plan(model, "se", "stage:0")


def test_the_second_of_two_hosts_replaced_by_one_module_is_reported():
    model, shared = attended(), nn.BatchNorm2d(32)  # one without weights would be copied
    model.layer3[1].bn2 = shared
    with pytest.warns(LostBlocksWarning, match=r"layer3\.2\.bn2\.attention"):
        model.layer3[2].bn2 = shared


def test_a_convolution_that_a_block_replaced_and_that_is_replaced_again_is_reported():
    model = small()
    insert(model, "se", "replace:layer3.1.conv1")
    with pytest.warns(LostBlocksWarning, match=r"'conv1' \(Replacement\) is replaced by Conv2d"):
        model.layer3[1].conv1 = nn.Conv2d(32, 32, 3, padding=1)


def test_a_unit_replaced_under_a_block_on_its_shortcut_is_reported():
    model = small()
    insert(model, "se", "identity:-1")
    with pytest.warns(LostBlocksWarning, match=r"layer3\.2\.attention"):
        model.layer3[2] = nn.Identity()
    entrance = model.layer3[1].conv1
    entrance._forward_pre_hooks.clear()
    with pytest.warns(LostBlocksWarning, match="start of its residual block's branch"):
        plan(model, "se")


def test_a_host_that_the_forward_no_longer_calls_is_reported():
    model = attended()
    unit = model.layer3[2]
    unit.forward = lambda x: unit.act2(unit.conv2(unit.act1(unit.bn1(unit.conv1(x)))) + x)
    for call in (lambda: plan(model, "se", "stage"), lambda: run_recorded(model)):
        with pytest.warns(LostBlocksWarning, match="the forward does not call 'layer3.2.bn2'"):
            call()


def test_a_graph_that_no_longer_calls_a_host_is_reported():
    graph = torch.fx.symbolic_trace(attended())
    for node in list(graph.graph.nodes):
        if node.target == HOST:
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)
    graph.recompile()
    assert lost_blocks(graph) == {BLOCK: f"the graph does not call {HOST!r}"}


def test_moving_wrapping_and_copying_lose_nothing():
    model, x = attended(), image()
    expected = model(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.layer3.insert(1, nn.Identity())  # shifts the units behind it
        model.layer3[3].bn2 = nn.Sequential(model.layer3[3].bn2, nn.Identity())
        model.layer3[2].bn2 = copy.deepcopy(model.layer3[2].bn2)
        model.layer3 = copy.deepcopy(model.layer3)
        assert torch.equal(model(x), expected)
        model.layer3[3].bn2[0] = nn.SyncBatchNorm.convert_sync_batchnorm(model.layer3[3].bn2[0])
        assert torch.equal(model(x), expected)
        cut = nn.Sequential(*model.children())[:-1]
        assert lost_blocks(cut) == lost_blocks(model) == {}
        assert len(remove(cut)) == 3
        assert lost_blocks(model) == {}


def test_a_module_put_back_brings_its_blocks_back_unless_they_were_removed():
    model, x = attended(), image()
    plain, expected = small()(x), model(x)
    unit, old = model.layer3[2], model.layer3[2].bn2
    unit.bn2 = nn.Identity()
    unit.bn2 = old
    assert torch.equal(model(x), expected)
    unit.bn2 = nn.Identity()
    remove(model)
    unit.bn2 = old
    assert torch.equal(model(x), plain)


CONVERSIONS = {
    "sync": nn.SyncBatchNorm.convert_sync_batchnorm,
    "items": lambda model: [unit._modules.update(bn2=nn.GroupNorm(2, 32)) for unit in model.layer3],
}


@pytest.mark.parametrize("conversion", CONVERSIONS)
@pytest.mark.parametrize(
    "at",
    quick_only(
        ["residual:-1", "replace:-1"],
        ["residual:-1", "pre:-1", "identity:-1", "post:-1", "replace:-1", ["residual", "post"]],
    ),
)
def test_removal_after_a_conversion_leaves_the_converted_plain_model(conversion, at):
    plain, model = small(), small()
    insert(model, "cbam", at)
    insert(model, "se", "residual")
    for one in (plain, model):
        CONVERSIONS[conversion](one)
    remove(model)
    for (name, one), (other, two) in zip(plain.named_modules(), model.named_modules(), strict=True):
        assert (name, type(one), sorted(vars(one))) == (other, type(two), sorted(vars(two)))
        assert {name: type(value) for name, value in vars(one).items()} == {n: type(v) for n, v in vars(two).items()}
        assert not any((two._forward_hooks, two._forward_pre_hooks, two._load_state_dict_pre_hooks))
    assert list(plain.state_dict()) == list(model.state_dict())
    assert torch.equal(model(image()), plain(image()))


def test_checkpoints_of_other_blocks_name_both_sides():
    plain, identity, other = attended(), attended(init="identity"), small()
    insert(other, {"name": "se", "bias": False}, "residual:-1")
    for one, two in ((plain, identity), (identity, plain), (plain, other), (other, plain)):
        state, keys = two.state_dict(), set(two.state_dict())
        if keys == set(one.state_dict()):
            one.load_state_dict(state)  # they have the same weights
            continue
        with pytest.raises(RuntimeError, match="the checkpoint and of this CifarResNet differ: ") as caught:
            one.load_state_dict(state)
        message = str(caught.value)
        assert "\n" not in message
        assert "init='identity'" in message
        for only, what in ((keys - set(one.state_dict()), "Unexpected"), (set(one.state_dict()) - keys, "Missing")):
            part = message.partition(f"{what} key(s)")[2].partition(";")[0].partition(". ")[0]
            assert all(
                key in only for key in part.partition(": ")[2].partition(" and ")[0].split(", ") if key != "none"
            )
            assert ("none" in part) == (not only)
        found = one.load_state_dict(state, strict=False)
        assert set(found.unexpected_keys) == keys - set(one.state_dict())


def test_checkpoints_of_further_insertions_are_named():
    model, more = attended(), attended()
    insert(more, "eca", "residual:-1")
    with pytest.raises(RuntimeError, match=r"in the checkpoint only: layer3\.0\.bn2\.attention_2\.\w+"):
        model.load_state_dict(more.state_dict())


def test_the_warning_is_public():
    assert cva.LostBlocksWarning is LostBlocksWarning
    assert issubclass(LostBlocksWarning, UserWarning)


@pytest.mark.parametrize("convert", [nn.SyncBatchNorm.convert_sync_batchnorm, freeze_batch_norm_2d])
def test_cut_outs_keep_their_blocks_through_conversions(convert):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))
    insert(model, "se", "1", input_size=16)
    cut, x = model.eval()[:3], torch.randn(2, 3, 16, 16)
    expected = cut(x)
    assert torch.equal(convert(cut).eval()(x), expected)
    assert remove(cut) == ["1.attention"]
    assert not torch.equal(cut(x), expected)


def test_blocks_inside_a_graph_cannot_be_removed():
    model = small()
    insert(model, "se", "post:-1")
    graph, x = torch.fx.symbolic_trace(model), image()
    assert torch.equal(graph(x), model(x))
    with record(graph) as maps:
        graph(x)
    assert len(maps) == 3
    with pytest.raises(ValueError, match=r"3 inserted blocks are part of the graph .*layer3\.0\.attention"):
        remove(graph)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_folding_by_exact_classes_is_refused_by_torch():
    model = attended()
    with pytest.raises((NotImplementedError, AssertionError), match="fuse"):
        torch.ao.quantization.fuse_modules(model, ["layer3.2.conv2", "layer3.2.bn2"], inplace=True)
    torch.ao.quantization.fuse_modules(model, ["layer1.0.conv2", "layer1.0.bn2"], inplace=True)
    assert lost_blocks(model) == {}


def test_a_deleted_block_fails_loudly_and_can_be_removed():
    model, x = attended(), image()
    del model.get_submodule(HOST).attention
    with pytest.raises(AttributeError, match="attention"):
        model(x)
    with pytest.warns(LostBlocksWarning, match=BLOCK):
        assert len(remove(model)) == 2
    assert torch.equal(model(x), small()(x))
