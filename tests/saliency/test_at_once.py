"""Every saliency method in several threads at once, with one shared model: as alone."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from cv_attention import saliency as s
from tests.saliency.matrix import REFUSED, methods
from tests.saliency.oracles import FREE, Oracle
from tests.saliency.zoo import KINDS, model_of

SKIPPED = {"itti_koch_niebur"}  # slow, and of no model
KIND = ("one label", "CLIP")


def explain(name, kind):
    found = KINDS[kind]
    options = Oracle(model_of(kind), found).options(name) if name not in FREE else {}
    return s.METHODS[name](model_of(kind), found.images(), found.target, **options)


def names(kind):
    return [name for name in methods() if (name, kind) not in REFUSED and name not in SKIPPED]


def check_threads(threads, kind, chosen):
    expected, failed = {name: explain(name, kind) for name in chosen}, []

    def work(number):
        try:
            for name in chosen[number % len(chosen) :] + chosen[: number % len(chosen)]:
                torch.testing.assert_close(explain(name, kind), expected[name])
        except BaseException as error:  # whatever ends a thread
            failed.append(f"{number}: {error!r}")

    running = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert failed == []
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model_of(kind).modules())


def test_a_few_threads():
    check_threads(3, "one label", ["grad_cam", "rise", "integrated_gradients", "shapley_cam"])


@pytest.mark.long
@pytest.mark.parametrize("kind", KIND)
def test_eight_threads_run_all_methods(kind):
    check_threads(8, kind, names(kind))


@pytest.mark.long
def test_eight_tasks_run_all_methods():
    chosen = names("one label")
    expected = {name: explain(name, "one label") for name in chosen}

    async def work(number):
        for name in chosen[number:] + chosen[:number]:
            await asyncio.sleep(0)
            in_thread = await asyncio.to_thread(explain, name, "one label")
            torch.testing.assert_close(in_thread, expected[name])
            torch.testing.assert_close(explain(name, "one label"), expected[name])

    async def together():
        await asyncio.gather(*(work(number) for number in range(8)))

    with ThreadPoolExecutor(1) as alone:  # the browser of other tests may have left a loop in this thread
        alone.submit(asyncio.run, together()).result()
