"""Writes the manifest as JSON Lines or Parquet, one shard in memory at a time."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cv_attention.rundir.files import replacing


def write_json_lines(path: Path, parts: Sequence[Path]) -> None:
    """Writes the rows of `parts` one after the other, atomically."""
    with replacing(path) as file:
        for part in parts:
            file.write(part.read_bytes())


def write_parquet(path: Path, parts: Sequence[Path]) -> None:
    """Writes the rows of `parts` (JSON Lines) as one Parquet file with a row group for each part, atomically."""
    from pyarrow import Table
    from pyarrow.parquet import ParquetWriter

    schema = _schema()
    with replacing(path) as file, ParquetWriter(file, schema) as writer:
        for part in parts:
            rows = [json.loads(line) for line in part.read_bytes().splitlines()]
            writer.write_table(Table.from_pylist(rows, schema=schema))


def _schema() -> Any:
    import pyarrow as pa

    text, whole, number = pa.string(), pa.int64(), pa.float64()
    entry = {"key": text, "method": text, "layer": text, "kind": text, "low": number, "high": number, "scale": number}
    return pa.schema(
        {
            **{"index": whole, "image": text, "error": text, "name": text, "width": whole, "height": whole},
            **{"label": whole, "box": pa.list_(number), "predicted": whole, "predicted_class": text},
            **{"probability": number, "target": whole, "target_class": text, "logits": pa.list_(number)},
            **{"decided": pa.list_(text), "shard": text, "row": whole, "input": text, "panel": text},
            "maps": pa.list_(pa.struct({**entry, "flags": pa.list_(text), "overlay": text})),
        }
    )
