"""record() in several threads and asyncio tasks at once, and of models that are copied meanwhile."""

import asyncio
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy

import pytest
import timm
import torch

from cv_attention import record

OPTIONS = {"img_size": 32, "patch_size": 8, "num_classes": 4, "depth": 2, "embed_dim": 24, "num_heads": 2}


def vit():
    torch.manual_seed(0)
    return timm.create_model("vit_tiny_patch16_224", **OPTIONS).eval()


def images(number):
    return torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(number))


def recorded(model, x):
    with torch.no_grad(), record(model) as maps:
        model(x)
    return [m.values for m in maps.values()]


def check_threads(threads, times):
    model, failed = vit(), []
    expected = [recorded(model, images(number)) for number in range(threads)]
    hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())

    def work(number):
        try:
            for _ in range(times):
                got = recorded(model, images(number))
                assert all(torch.equal(a, b) for a, b in zip(got, expected[number], strict=True))
        except BaseException as error:  # whatever ends a thread
            failed.append("".join(traceback.format_exception(error)))

    running = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert failed == []
    assert sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()) == hooks


def test_a_few_threads():
    check_threads(4, 5)


@pytest.mark.long
def test_eight_threads_record_two_hundred_times():
    check_threads(8, 200)


def check_tasks(tasks, times):
    model = vit()
    expected = [recorded(model, images(number)) for number in range(tasks)]

    async def work(number):
        for turn in range(times):
            with record(model) as maps:
                await asyncio.sleep(0)
                with torch.no_grad():  # which belongs to the thread, so not around what other tasks interrupt
                    model(images(number))
                for _ in range((number + turn) % 3):  # so that tasks end in another order than they began
                    await asyncio.sleep(0)
            got = [m.values for m in maps.values()]
            assert all(torch.equal(a, b) for a, b in zip(got, expected[number], strict=True))

    async def together():
        await asyncio.gather(*(work(number) for number in range(tasks)))

    with ThreadPoolExecutor(1) as alone:  # the browser of other tests may have left a loop in this thread
        alone.submit(asyncio.run, together()).result()
    assert torch.is_grad_enabled()
    assert torch.overrides._len_torch_function_stack() == 0


def test_tasks_that_overlap():
    check_tasks(4, 3)


@pytest.mark.long
def test_eight_tasks_record_two_hundred_times():
    check_tasks(8, 200)


def test_a_copy_made_inside_is_not_watched():
    model, x = vit(), images(0)
    expected = recorded(model, x)
    with torch.no_grad(), record(model) as maps:
        model(x)
        copy = deepcopy(model)
        copy(images(1))
    kept = [m.values for m in maps.values()]
    assert all(torch.equal(a, b) for a, b in zip(kept, expected, strict=True))
    with torch.no_grad():
        copy(images(2))
    assert all(torch.equal(m.values, b) for m, b in zip(maps.values(), expected, strict=True))
    assert sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in copy.modules()) == 0
    assert all(torch.equal(a, b) for a, b in zip(recorded(copy, x), expected, strict=True))
