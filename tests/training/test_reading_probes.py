"""Which process records what is read from the probe images; the long tests train with two."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cv_attention.training.recording.sequences.readings import Readings


class Split:
    """Four images with texts of one to three units."""

    lengths = np.array([1, 2, 3, 1])
    images = SimpleNamespace(short_name=lambda index: f"{index}.png")

    def batch(self, draws):
        return {"image": torch.stack([torch.full((3, 4, 6), index, dtype=torch.uint8) for _, index in draws])}


@pytest.mark.parametrize("world_size", [1, 2])
@pytest.mark.parametrize("rank", [0, 1])
def test_the_first_process_alone_chooses_and_writes_them(tmp_path, rank, world_size):
    trainer = SimpleNamespace(
        is_global_zero=rank == 0, world_size=world_size, datamodule=SimpleNamespace(splits={"val": Split()})
    )
    readings = Readings(tmp_path, every=1, count=3)
    readings.on_fit_start(trainer, None)  # pyright: ignore
    written = sorted(path.name for path in (tmp_path / "maps").rglob("*.png")) if rank == 0 else []
    assert len(written) == (3 if rank == 0 else 0)
    assert (tmp_path / "maps/probes.json").is_file() == (rank == 0)
