import os

import pytest

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # its import asks the network otherwise
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the suite itself runs in parallel


@pytest.fixture(autouse=True, scope="session")
def one_torch_thread():
    import torch

    torch.set_num_threads(1)
