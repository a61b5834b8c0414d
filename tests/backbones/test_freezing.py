"""``train="blocks"``: who gets gradients, and that removal gives them back."""

import copy

import pytest
import torch
import torchvision

from cv_attention.backbones import build, insert, plan, remove
from cv_attention.backbones.positions.parameters import head_names, parameter_parts


def small():
    torch.manual_seed(0)
    model = build("resnet20", num_classes=4, width=8)
    model.conv1.requires_grad_(False)  # frozen before, and so it stays
    return model


def trainable(model):
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def test_only_blocks_train():
    model = small()
    before = trainable(model)
    planned = insert(model, "se", init="identity", train="blocks")
    assert planned.train == "blocks"
    assert "only the blocks trained" in str(planned).splitlines()[0]
    blocks = {name for name, _ in model.named_parameters() if ".attention." in name}
    assert trainable(model) == blocks
    weights = {k: v.clone() for k, v in model.named_parameters()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.randn(4, 3, 32, 32)).square().sum().backward()
        optimizer.step()
    changed = {k for k, v in model.named_parameters() if not torch.equal(v, weights[k])}
    assert changed
    assert changed <= blocks
    remove(model)
    assert trainable(model) == before
    assert not [name for name in vars(model) if "frozen" in name]


def test_removal_of_one_insertion_frees_only_its_own():
    model = small()
    before = trainable(model)
    insert(model, "eca", "stage")
    insert(model, "se", train="blocks")
    insert(model, "simam", "stage", train="blocks")
    assert {name.partition(".attention")[2].partition(".")[0] for name in trainable(model)} == {"", "_2"}
    remove(model, "attention_2")
    assert trainable(model) == {n for n, _ in model.named_parameters() if "attention" in n}
    remove(model, "attention_3")
    assert trainable(model) == before | {n for n, _ in model.named_parameters() if "attention" in n}


def test_copies_can_be_freed_and_wrappers_too():
    model = small()
    before = trainable(model)
    insert(model, "se", train="blocks")
    other = copy.deepcopy(model)
    remove(torch.nn.Sequential(other))
    assert trainable(other) == before
    assert trainable(model) != before


def test_planning_freezes_nothing():
    model = small()
    before = trainable(model)
    assert plan(model, "se", train="blocks").train == "blocks"
    assert trainable(model) == before


def test_says_what_is_wrong():
    with pytest.raises(ValueError, match=r"train must be 'all' or 'blocks' or 'blocks\+head', got 'block'"):
        insert(small(), "se", train="block")


def test_new_classes_train_the_head_too():
    model = small()
    planned = insert(model, "se", train="blocks+head")
    assert "only the blocks and the head trained" in str(planned).splitlines()[0]
    blocks = {name for name, _ in model.named_parameters() if ".attention." in name}
    assert trainable(model) == blocks | {"fc.weight", "fc.bias"}


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("resnet56", ["fc"]),
        ("timm/resnet10t", ["fc"]),
        ("timm/mobilenetv3_small_050", ["classifier"]),
        ("timm/convnext_atto", ["head.fc"]),
        ("timm/deit_tiny_distilled_patch16_224", ["head", "head_dist"]),
        ("torchvision/resnet18", ["fc"]),
        ("torchvision/squeezenet1_1", ["classifier.1"]),
        ("torchvision/mobilenet_v3_small", ["classifier.3"]),
    ],
)
def test_the_head_is_what_makes_the_logits(name, head):
    with torch.device("meta"):
        model = build(name, num_classes=7)
    assert head_names(model) == head
    for module in head:
        assert 7 in next(iter(model.get_submodule(module).parameters())).shape


class TwoHeads(torch.nn.Module):
    """Two outputs, of which the name of one begins with the other's."""

    def __init__(self):
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 8, 3)
        self.fc = torch.nn.Linear(8, 2)
        self.fc_aux = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3))

    def forward(self, x):
        pooled = self.stem(x).mean((2, 3))
        return self.fc(pooled), self.fc_aux(pooled)


@pytest.mark.parametrize(
    ("glob", "head"),
    [
        ("fc*", ["fc", "fc_aux"]), ("fc", ["fc"]), (["fc_aux", "fc"], ["fc_aux", "fc"]),
        ("fc_aux.*", ["fc_aux.0", "fc_aux.2"]), ("fc_aux.**", ["fc_aux"]), (["fc_aux.2", "fc"], ["fc_aux.2", "fc"]),
        ("**", ["stem", "fc", "fc_aux"]),
    ],
)  # fmt: skip
def test_heads_that_are_named_are_all_trained_and_parts_of_them_are_not_listed(glob, head):
    model = TwoHeads()
    planned = insert(model, "se", "stem", train="blocks+head", head=glob, input_size=16)
    assert sorted(planned.head) == sorted(head)
    blocks = {name for name, _ in model.named_parameters() if ".attention." in name}
    inside = {name for name, _ in model.named_parameters() if any(name.startswith(f"{one}.") for one in head)}
    assert trainable(model) == blocks | inside


def test_a_block_behind_the_head_is_no_head():
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(8, 2)
    )
    insert(model, "se", "0", input_size=16)
    assert parameter_parts(model) == {
        "0.weight": "backbone", "0.bias": "backbone", "3.weight": "head", "3.bias": "head",
        **{name: "blocks" for name, _ in model.named_parameters() if name.startswith("0.attention.")},
    }  # fmt: skip


def test_modules_that_moved_get_their_gradients_back():
    model = small()
    before = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    insert(model, "se", train="blocks")
    unit = model.layer1[0]
    unit.conv1 = torch.nn.Sequential(unit.conv1)
    model.layer3 = torch.nn.Sequential(torch.nn.Identity(), *model.layer3)
    remove(model)
    assert {id(parameter) for parameter in model.parameters() if parameter.requires_grad} == before
    assert not any(name.startswith("_frozen") for module in model.modules() for name in vars(module))


class TrainsAnother(torch.nn.Module):
    """A second classifier that runs in training alone, as GoogLeNet's do, behind a norm that needs two images."""

    def __init__(self):
        super().__init__()
        self.stem, self.stage = torch.nn.Conv2d(3, 8, 3, 2), torch.nn.Conv2d(8, 8, 3, 2)
        self.norm, self.aux = torch.nn.BatchNorm2d(8), torch.nn.Linear(8, 5)
        self.fc, self.unused = torch.nn.Linear(8, 5), torch.nn.Linear(8, 5)

    def forward(self, x):
        x = self.stem(x).relu()
        first = self.aux(self.norm(x.mean((2, 3), keepdim=True)).flatten(1)) if self.training else None
        out = self.fc(self.stage(x).relu().mean((2, 3)))
        return (out, first) if self.training else out


@pytest.mark.parametrize(
    ("make", "heads"),
    [
        (TrainsAnother, {"fc", "aux"}),
        (lambda: torchvision.models.googlenet(init_weights=False, num_classes=5), {"fc", "aux1.fc2", "aux2.fc2"}),
    ],
)
def test_heads_that_run_in_training_alone_are_trained(make, heads):
    model = make()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    planned = insert(model, "se", "stage", train="blocks+head", input_size=64)
    assert set(planned.head) == heads
    of_heads = {name for name, _ in model.named_parameters() if name.rpartition(".")[0] in heads}
    assert {name for name in trainable(model) if ".attention." not in name} == of_heads
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items() if name in before)
    outputs = model.train()(torch.randn(2, 3, 64, 64))
    sum(output.sum() for output in outputs).backward()  # both, as in training
    assert all(parameter.grad is not None for name, parameter in model.named_parameters() if name in of_heads)
