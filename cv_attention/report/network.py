"""The network and its attention sites, for the drawing: only what the page draws, whatever the summary holds."""

from typing import Any

_NUMBERS = ("parameters", "flops", "channels", "height", "width")


def network(summary: dict[str, Any]) -> dict[str, Any] | None:
    """Returns ``parts`` and ``sites`` of a run's summary; None where it tells nothing of them."""
    parts = [_part(part) for part in _list(summary.get("network"))]
    sites = [_site(site) for site in _list(summary.get("sites"))]
    if not parts:
        return None
    totals = {name: summary[name] for name in ("parameters", "flops") if isinstance(summary.get(name), int)}
    return {"parts": parts, "sites": sites, **totals}


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


def _numbers(entry: dict[str, Any]) -> dict[str, int]:
    return {name: entry[name] for name in _NUMBERS if isinstance(entry.get(name), int)}
