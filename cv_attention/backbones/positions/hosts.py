"""Chooses the module to attach a block to, given the value that the block should take."""

from torch import nn

from cv_attention.backbones.attachment.replacement import Replacement
from cv_attention.backbones.positions.stage_hosts import Stages
from cv_attention.backbones.positions.traced_site import TracedSite, shape_of
from cv_attention.backbones.tracing.trace import Trace
from cv_attention.backbones.tracing.values import Call, Value

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
        self.stages: Stages | None = None  # once they were found

    def of_branch(self, value: Value) -> str | None:
        """Returns the innermost host that made `value`, or that made it up to a scale; None if there is none."""
        while True:
            for name in value.returned_by + value.passed_by:
                if self.problem(name) is None:
                    return name
            if value.op not in _SCALES or len(value.parents) != 1 or value.parents[0].shape != value.shape:
                return None
            value = value.parents[0]

    def taking(self, value: Value, use: Value, inside: Call) -> str | None:
        """The innermost host, called inside `inside`, that takes `value` alone and makes `use` of it; None if none."""
        call: Call | None = use.call
        while call is not None and call is not inside:
            if call.first is value and call.inputs == [value] and self.blocked_before(call.name) is None:
                return call.name
            call = call.parent
        return None

    def blocked_before(self, name: str) -> str | None:
        """Why no block can go before module `name`; None if one can."""
        calls = self.trace.calls.get(name, [])
        kind = type(self.modules[name]).__name__
        if name == "" or len(calls) != 1:
            return f"its {kind} is called {len(calls)} times in a forward, and a host must be called once"
        if calls[0].first is None or not calls[0].first.takes_blocks:
            return f"its {kind} does not take a feature map (B, C, H, W)"
        if iterates_children(self.modules[name]):
            return f"its {kind} runs its children one after the other"
        return None

    def irreplaceable(self, name: str) -> str | None:
        """Why no block can take the place of module `name`; None if one can."""
        module, kind = self.modules[name], type(self.modules[name]).__name__
        if isinstance(module, Replacement):
            return "a block is in its place already"
        if not isinstance(module, nn.Conv2d):
            return f"its {kind} is not a Conv2d"
        problem = self.problem(name) or self.blocked_before(name)
        if problem:
            return problem
        if module.in_channels != module.out_channels:
            return f"its convolution makes {module.out_channels} channels of {module.in_channels}, and a block keeps C"
        call = self.trace.calls[name][0]
        assert call.first is not None
        assert call.output is not None
        before, behind, stride = call.first.shape[2:], call.output.shape[2:], module.stride
        if any(-(-b // s) != a for b, a, s in zip(before, behind, stride, strict=True)):
            size = "×".join(map(str, before)) + " to " + "×".join(map(str, behind))
            return f"its convolution maps {size} at stride {stride}, which no pooling of that stride does"
        return None

    def in_place_of(self, name: str) -> TracedSite:
        """Returns the site that takes the place of convolution `name`.

        Raises:
            ValueError: if no block can.
        """
        problem = self.irreplaceable(name)
        if problem:
            raise ValueError(f"replace:{name}: {problem}")
        call = self.trace.calls[name][0]
        assert call.first is not None
        assert call.output is not None
        return TracedSite(name, "instead", shape_of(call.first), call.output.index, call.output.index)

    def at(self, name: str) -> str:
        """Returns the host for module `name`: itself, or where it is a container, what returns its output.

        Raises:
            ValueError: if its output cannot be attended.
        """
        if name not in self.trace.calls and not iterates_children(self.modules[name]):
            raise ValueError(f"site {name!r}: {self.problem(name)}")
        if not iterates_children(self.modules[name]):
            problem = self.problem(name)
            if problem:
                raise ValueError(f"site {name!r}: {problem}{self._passing_on(name)}")
            return name
        value = self.value(name)
        if value is not None and value.takes_blocks:
            names = value.returned_by[::-1] + value.passed_by[::-1]
            for inner in names:
                if inner.startswith(f"{name}.") and self.problem(inner) is None:
                    return inner
        kind = type(self.modules[name]).__name__
        problem = "is never called" if name not in self.trace.calls else "no module in it returns its output"
        raise ValueError(f"site {name!r}: a {kind} runs its children itself, and {problem}; name one of them")

    def _passing_on(self, name: str) -> str:
        """Names the module that returns the first map of a module that returns several things."""
        calls = self.trace.calls.get(name) or ()
        for _, value in calls[-1].returned if calls and calls[-1].output is None else ():
            if (host := self.of_branch(value)) is not None:
                return f"; name {host!r}, which returns the {'x'.join(map(str, value.shape))} of it"
        return ""

    def value(self, name: str) -> Value | None:
        """Returns what module `name` returned in its last call."""
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
        if value.bypassed:
            return f"its {kind} changes its input in place, and the network then uses that tensor, not what it returns"
        if len(value.shape) != 4 and value.patches is None:
            return f"its {kind} returns shape {value.shape}, not a feature map (B, C, H, W)"
        if len(value.shape) == 4 and value.channel_axis not in (1, None):
            return f"its {kind} returns {value.shape} with the channels at axis {value.channel_axis}, not at 1"
        if iterates_children(self.modules[name]):
            return f"its {kind} runs its children one after the other"
        return None


def iterates_children(module: nn.Module) -> bool:
    """Returns whether the forward runs over the module's children, and would run a new child as one of them."""
    if isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict) or hasattr(type(module), "__iter__"):
        return True
    code = getattr(type(module).forward, "__code__", None)
    names = set(code.co_names) if code else set()
    return bool(names & {"children", "named_children", "modules", "named_modules", "_modules"})
