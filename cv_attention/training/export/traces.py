"""Removes stack traces from exported graphs, which contain paths of this machine."""

from typing import Any

import torch

# Metadata that torch's tracer and ONNX exporter attach to nodes; all contain paths of source files.
_TRACES = ("stack_trace", "from_node", "source_fn_stack", "original_aten", "fwd_source_fn_stack")


def strip_program(program: torch.export.ExportedProgram) -> None:
    """Removes the stack traces of all nodes, including those of nested graphs.

    Args:
        program: The traced program; modified in place.
    """
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                for name in _TRACES:
                    node.meta.pop(name, None)


def strip_model(model: Any) -> None:
    """Removes the stack traces and comments of an ONNX model, including those of functions and nested graphs.

    Args:
        model: An ``onnx.ModelProto``; modified in place.
    """
    model.ClearField("doc_string")
    _strip_graph(model.graph)
    for function in model.functions:
        _strip_graph(function)


def _strip_graph(graph: Any) -> None:
    _strip(graph)
    for name in ("input", "output", "value_info", "initializer"):
        for value in getattr(graph, name):
            if not isinstance(value, str):  # a function's inputs are names
                _strip(value)
    for node in graph.node:
        _strip(node)
        for attribute in node.attribute:
            for inner in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
                _strip_graph(inner)


def _strip(part: Any) -> None:
    part.ClearField("doc_string")
    kept = [entry for entry in part.metadata_props if "stack_trace" not in entry.key]
    if len(kept) < len(part.metadata_props):
        kept = [(entry.key, entry.value) for entry in kept]
        del part.metadata_props[:]
        for key, value in kept:
            part.metadata_props.add(key=key, value=value)
