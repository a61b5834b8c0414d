"""Chooses the module that a block can hang on: the host whose output is a given value of the forward."""

from torch import nn

from cv_attention.backbones.trace import Trace, Value

# Multiplications by one learned or constant factor per channel or in all, such as a layer scale.
_SCALES = {"mul", "mul_"}


class Hosts:
    """The modules of a traced model, asked for the one to attend.

    Args:
        model: The model that was traced.
        trace: Its trace.
    """

    def __init__(self, model: nn.Module, trace: Trace) -> None:
        self.modules = dict(model.named_modules())
        self.trace = trace

    def of_branch(self, value: Value) -> str | None:
        """The innermost host that made `value`, or that made it up to a scale; None if there is none."""
        while True:
            for name in value.returned_by + value.passed_by:
                if self.problem(name) is None:
                    return name
            if value.op not in _SCALES or len(value.parents) != 1 or value.parents[0].shape != value.shape:
                return None
            value = value.parents[0]

    def of_trunk(self, value: Value) -> str | None:
        """The outermost host that returned `value`; None if there is none."""
        return next((name for name in reversed(value.returned_by) if self.problem(name) is None), None)

    def at(self, name: str) -> str:
        """The host for module `name`: itself, or where it is a container, what returns its output.

        Raises:
            ValueError: if its output cannot be attended.
        """
        if name not in self.trace.calls and not iterates_children(self.modules[name]):
            raise ValueError(f"site {name!r}: {self.problem(name)}")
        if not iterates_children(self.modules[name]):
            problem = self.problem(name)
            if problem:
                raise ValueError(f"site {name!r}: {problem}")
            return name
        value = self.value(name)
        if value is not None and value.is_feature_map:
            names = value.returned_by[::-1] + value.passed_by[::-1]
            for inner in names:
                if inner.startswith(f"{name}.") and self.problem(inner) is None:
                    return inner
        kind = type(self.modules[name]).__name__
        problem = "is never called" if name not in self.trace.calls else "no module in it returns its output"
        raise ValueError(f"site {name!r}: a {kind} runs its children itself, and {problem}; name one of them")

    def value(self, name: str) -> Value | None:
        """What module `name` returned in its last call."""
        calls = self.trace.calls.get(name)
        return calls[-1].output if calls else None

    def problem(self, name: str) -> str | None:
        """Why module `name` cannot be a host; None if it can."""
        kind = type(self.modules[name]).__name__
        calls = self.trace.calls.get(name, [])
        if len(calls) != 1:
            often = f"called {len(calls)} times in a forward" if calls else "never called in a forward"
            return f"its {kind} is {often}, and a host must be called once"
        value = calls[0].output
        if value is None:
            return f"its {kind} {calls[0].problem}, not a feature map (B, C, H, W)"
        if len(value.shape) != 4:
            return f"its {kind} returns shape {value.shape}, not a feature map (B, C, H, W)"
        if value.channel_axis not in (1, None):
            return f"its {kind} returns {value.shape} with the channels at axis {value.channel_axis}, not at 1"
        if iterates_children(self.modules[name]):
            return f"its {kind} runs its children one after the other"
        return None


def iterates_children(module: nn.Module) -> bool:
    """Whether the forward runs over the module's children, and would run a new child as one of them."""
    if isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict) or hasattr(type(module), "__iter__"):
        return True
    code = getattr(type(module).forward, "__code__", None)
    names = set(code.co_names) if code else set()
    return bool(names & {"children", "named_children", "modules", "named_modules", "_modules"})
