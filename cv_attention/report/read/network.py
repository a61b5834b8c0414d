"""Reads the network and its attention sites for the drawing: only what the page draws, whatever the summary holds."""

from typing import Any

_NUMBERS = ("parameters", "flops", "channels", "height", "width")

# How much each block, and all blocks together, are in use; missing if the run did not measure it.
_SHARES = ("change", "over_images", "over_channels", "over_positions", "predictions_changed")


def network(summary: dict[str, Any]) -> dict[str, Any] | None:
    """Returns ``parts`` and ``sites`` of a run's summary; None where it does not have them."""
    parts = [_part(part) for part in _list(summary.get("network"))]
    in_use = summary.get("in_use")
    used = in_use if isinstance(in_use, dict) else {}
    changes = {block.get("block"): block for block in _list(used.get("blocks"))}
    sites = [_site(site) | _shares(changes.get(site.get("block"), {})) for site in _list(summary.get("sites"))]
    if not parts:
        return None
    totals = {name: summary[name] for name in ("parameters", "flops") if isinstance(summary.get(name), int)}
    return {"parts": parts, "sites": sites, **totals, **_shares(used)}


def _list(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _part(part: dict[str, Any]) -> dict[str, Any]:
    shape = part.get("shape")
    known = {"name": str(part.get("name", "")), "type": str(part.get("type", "")), **_numbers(part)}
    known["shape"] = (
        [int(n) for n in shape] if isinstance(shape, list) and all(isinstance(n, int) for n in shape) else None
    )
    known["parts"] = [_part(inner) for inner in _list(part.get("parts"))]
    return known


def _site(site: dict[str, Any]) -> dict[str, Any]:
    texts = {name: str(site.get(name, "")) for name in ("name", "host", "block", "place", "label")}
    return {**texts, **_numbers(site)}


def _shares(entry: dict[str, Any]) -> dict[str, float]:
    known = {name: entry.get(name) for name in _SHARES}
    return {name: float(n) for name, n in known.items() if isinstance(n, int | float) and abs(n) < float("inf")}


def _numbers(entry: dict[str, Any]) -> dict[str, int]:
    return {name: entry[name] for name in _NUMBERS if isinstance(entry.get(name), int)}
