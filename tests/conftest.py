import gc
import os

import pytest

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # its import asks the network otherwise
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the suite itself runs in parallel


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Imports make a million objects that stay: the garbage collector does not look through them again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 20)
        gc.enable()


@pytest.fixture(autouse=True, scope="session")
def one_torch_thread():
    import torch

    torch.set_num_threads(1)
