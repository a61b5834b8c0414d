"""Finds a network's heads: the last modules with parameters before each output."""

from collections.abc import Sequence

from torch import nn

from cv_attention.backbones.tracing.course import Course
from cv_attention.backbones.tracing.trace import Trace
from cv_attention.backbones.tracing.trunk import ancestors
from cv_attention.backbones.tracing.values import Value
from cv_attention.globs import Globs, levels_hint, matches
from cv_attention.suggest import suggest

_NORMS = {
    "native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "cudnn_batch_norm",
    "miopen_batch_norm", "batch_norm", "native_group_norm", "native_layer_norm", "layer_norm", "_fused_rms_norm",
}  # fmt: skip
_RECTIFIERS = {
    "relu", "gelu", "silu", "hardswish", "leaky_relu", "elu", "mish", "hardtanh", "prelu", "_prelu_kernel", "celu",
}  # fmt: skip
# Layers of which torch makes one operation, besides convolutions and matrix products.
_LAYERS = {
    "baddbmm", "matmul", "mv", "deform_conv2d", "_native_multi_head_attention", "_transformer_encoder_layer_fwd",
    "_trilinear", "lstm", "gru",
}  # fmt: skip
# What Hugging Face calls outputs that are not predictions.
_FEATURES = ("hidden_state", "pooler_output", "feature_maps", "attentions", "past_key_values")

# The model's attribute that says what its maker calls its heads.
_DECLARED = "_declared_heads"


class Heads:
    """The heads of a traced model.

    Attributes:
        names: The heads in the order of the forward. Each is a module's name, or a parameter's where the module holds
            more than that.
        values: The values that the heads make, up to the model's outputs.
    """

    def __init__(self, model: nn.Module, trace: Trace) -> None:
        self._modules = dict(model.named_modules())
        self._parameters = dict(model.named_parameters())
        self._found: dict[Value, dict[str, int]] = {}
        self._next: dict[Value, list[Value]] = {}
        self._output: Value = trace.values[0]
        self._up = Course(trace, set()).up
        self.values: set[Value] = set()
        owners: dict[str, int] = {}
        predictions, features = _divided(trace)
        for output in predictions:
            self._output, self._found, self._next = output, {}, {}
            found = self._walk(output)
            owners |= found
            features += [] if found else [output]
        if owners:
            self.values |= {value for one in features if not trace.consumers[one] for value in _unused(trace, one)}
        self.names = sorted(owners, key=lambda owner: owners[owner])

    def _walk(self, output: Value) -> dict[str, int]:
        """Returns the heads behind an output, each with the time of its last call, found from the output backwards."""
        todo = [output]
        while todo:  # each value waits for its parents, so that a long network needs no deep recursion
            value = todo[-1]
            waiting = [p for p in self._before(value) if p not in self._found]
            if waiting:
                todo += waiting
                continue
            todo.pop()
            found: dict[str, int] = {}
            for parent in self._before(value):
                found |= self._found[parent]
            if self._says(value) or (found and not value.mixes):  # a factor behind a head belongs to it
                found |= {self._owner(name): value.index for name in value.weights}
            self._found[value] = found
            if found:
                self.values.add(value)
        return self._found[output]

    def _before(self, value: Value) -> list[Value]:
        """Returns the next values of the walk: none behind a head, a norm or a residual sum, which end features."""
        if value not in self._next:
            ends = value.op in _NORMS or self._says(value) or self._shows_features(value) or self._is_residual(value)
            self._next[value] = [] if ends else value.parents
        return self._next[value]

    def _says(self, value: Value) -> bool:
        """Returns whether learned weights make the value of others, rather than scale or norm it."""
        layer = value.weights and (value.mixes or value.op in _LAYERS)
        return bool(layer) and not self._is_expectation(value)

    def _is_expectation(self, value: Value) -> bool:
        """Whether a convolution by a constant takes the mean of a distribution, as YOLO's does for a box's sides."""
        weights = [self._parameters[name] for name in value.weights if name in self._parameters]
        before = value.parents[0]
        while before.op in ("view", "_unsafe_view", "transpose", "permute", "clone", "reshape") and before.parents:
            before = before.parents[0]
        constant = all(weight.shape[0] == 1 and not weight.requires_grad for weight in weights)
        return bool(weights) and constant and before.op == "_softmax"

    def _shows_features(self, value: Value) -> bool:
        """Returns whether it is rectified, as features are and predictions are not."""
        if value.op.removesuffix("_") not in _RECTIFIERS or not value.parents:
            return False
        made, shape = value.parents[0], self._output.shape
        if made.op != "convolution":
            return made.shape[-1] == shape[-1]
        if len(shape) == 2:  # SqueezeNet rectifies its logits before it pools them
            return made.shape[1] != shape[1] and made.shape[0] == shape[0]
        return made.shape == shape and self._output not in self._up

    def _is_residual(self, value: Value) -> bool:
        """Whether it adds what layers made of features to them; where an image is made, such a sum may make it."""
        if value.op.removesuffix("_") != "add" or len(value.parents) != 2 or self._output in self._up:
            return False
        one, two = value.parents
        if one.shape != two.shape:
            return False
        for branch, shortcut in ((one, two), (two, one)):
            if shortcut in ancestors(branch) and any(v.mixes for v in ancestors(shortcut)):
                return True
        return False

    def _owner(self, parameter: str) -> str:
        """Returns the module that holds a parameter, or the parameter where the module holds other modules too."""
        if parameter not in self._parameters:
            return parameter
        name = parameter.rpartition(".")[0].partition(".parametrizations")[0]
        inner = [child for _, child in self._modules[name].named_children()]
        weighted = any(True for child in inner for _ in child.parameters())
        parametrized = ".parametrizations." in f".{parameter}"
        return name if name and (parametrized or not weighted) else parameter


def choose_heads(model: nn.Module, trace: Trace, wanted: Globs | None) -> list[str]:
    """Returns the names of the heads: those asked for by globs, else those found.

    What the model's maker says is believed where the forward agrees.

    Args:
        model: The model that was traced.
        trace: Its trace.
        wanted: Globs over names of modules with parameters, or None.

    Raises:
        ValueError: if a glob fits no module with parameters.
    """
    if wanted is not None:
        return named_heads(model, wanted)
    found = Heads(model, trace).names
    declared = declared_heads(model)
    if not declared:
        return found if declared is None else []
    inside = all(any(f"{name}.".startswith(f"{one}.") for one in declared) for name in found)
    called = all(name in trace.calls for name in declared)
    return declared if inside and called else found


def declare_heads(model: nn.Module, names: Sequence[str]) -> nn.Module:
    """Notes the heads of a model whose maker knows them, and returns it."""
    vars(model)[_DECLARED] = tuple(names)
    return model


def declared_heads(model: nn.Module) -> list[str] | None:
    """What the model's maker says of its heads, by `declare_heads` or timm's `get_classifier`; None if nothing."""
    modules = dict(model.named_modules())
    declared = vars(model).get(_DECLARED)
    if declared is not None and all(name in modules for name in declared):
        return [name for name in declared if any(True for _ in modules[name].parameters())]
    classifier = getattr(model, "get_classifier", None)
    if classifier is None:
        return None
    found = classifier()
    wanted = list(found) if isinstance(found, tuple | list) else [found]
    return [
        name
        for name, module in modules.items()
        if any(module is one for one in wanted) and any(True for _ in module.parameters())
    ]


def named_heads(model: nn.Module, wanted: Globs) -> list[str]:
    """Returns the modules with parameters that globs name, without those inside of others.

    Raises:
        ValueError: if a glob fits none.
    """
    globs = [wanted] if isinstance(wanted, str) else list(wanted)
    if not globs or not all(isinstance(glob, str) and glob for glob in globs):
        raise ValueError(f"head must be a glob over module names, or a list of them, got {wanted!r}")
    names = [name for name, module in model.named_modules() if name and any(True for _ in module.parameters())]
    found: dict[str, None] = {}
    for glob in globs:
        fitting = [name for name in names if matches(glob, name)]
        if not fitting:
            raise ValueError(
                f"head={glob!r} fits no module with parameters of {type(model).__name__}"
                f"{levels_hint(glob, names) or suggest(glob, names, shown=4, cutoff=0.4)}"
            )
        found |= dict.fromkeys(fitting)
    return [name for name in found if not any(name != one and name.startswith(f"{one}.") for one in found)]


def _divided(trace: Trace) -> tuple[list[Value], list[Value]]:
    """The outputs that may be predictions, and those that are features by their name or as levels of a pyramid."""
    named = {value for name, value in trace.outputs if any(word in name for word in _FEATURES)}
    maps = [value for _, value in trace.outputs if value.is_feature_map]
    pyramid: set[Value] = set()
    for coarse in maps if len(maps) > 1 else ():
        before = ancestors(coarse)
        finer = {fine for fine in maps if fine.shape[2] > coarse.shape[2] and fine in before}
        finer = {fine for fine in finer if any(value.mixes for value in before - ancestors(fine))}
        pyramid |= finer | {coarse} if finer else set()
    outputs = dict.fromkeys(value for _, value in trace.outputs)
    features = [value for value in outputs if value in named or value in pyramid]
    return [value for value in outputs if value not in features], features


def _unused(trace: Trace, output: Value) -> list[Value]:
    """An output that nothing else uses, and what leads to it from its last layer."""
    found, value = [output], output
    while value.parents and not value.mixes:
        uses = [use for use in trace.consumers[value.parents[0]] if use is not value]
        if any(trace.consumers[use] for use in uses):
            return []
        value = value.parents[0]
        found.append(value)
    return found if value.mixes else []
