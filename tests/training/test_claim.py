"""One process trains into a run directory at a time; a process that ends in any way gives it free."""

import multiprocessing
import os
import signal
import time

import pytest

from cv_attention.training import run as runs


def hold(run, ready, free) -> None:
    runs.claim(run)
    runs.claim(run)  # its own run is no other's
    ready.set()
    free.wait(60)


@pytest.fixture
def holder(tmp_path):
    """A process that has claimed ``tmp_path``, and the event that ends it."""
    context = multiprocessing.get_context("fork")
    ready, free = context.Event(), context.Event()
    process = context.Process(target=hold, args=(tmp_path, ready, free))
    process.start()
    assert ready.wait(30)
    yield process, free
    process.kill()
    process.join()


@pytest.mark.parametrize("end", ["killed", "ends"])
def test_a_run_belongs_to_one_process_as_long_as_it_lives(end, holder, tmp_path):
    process, free = holder
    with pytest.raises(ValueError, match=f"^{tmp_path} is being trained by another process$"):
        runs.claim(tmp_path)
    if end == "killed":
        os.kill(process.pid, signal.SIGKILL)
    else:
        free.set()
    process.join(30)
    begin = time.monotonic()
    runs.claim(tmp_path)
    assert time.monotonic() - begin < 5
    assert (tmp_path / ".lock").is_file()


def hold_with_a_child(run, ready, _) -> None:
    runs.claim(run)
    if os.fork() == 0:  # as a loader process, which ends some seconds after its parent was killed
        time.sleep(3)
        os._exit(0)
    ready.set()
    time.sleep(60)


def test_a_killed_process_leaves_no_lock_to_its_children(tmp_path):
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    process = context.Process(target=hold_with_a_child, args=(tmp_path, ready, None))
    process.start()
    assert ready.wait(30)
    with pytest.raises(ValueError, match="is being trained by another process"):
        runs.claim(tmp_path)
    process.kill()
    os.waitpid(process.pid, 0)  # its join waits for its child, too
    runs.claim(tmp_path)


@pytest.mark.parametrize("taken", [False, True])
def test_where_there_are_no_record_locks_filelock_is_used(taken, tmp_path):
    from filelock import FileLock

    from cv_attention.rundir.lock import _lock_by_library

    other = FileLock(tmp_path / ".lock")
    if taken:
        other.acquire()
    release = _lock_by_library(tmp_path / ".lock")
    assert (release is None) == taken
    if release is not None:
        release()
        other.acquire(timeout=0)
    other.release()


def test_a_discarded_run_is_free_again(tmp_path):
    run = tmp_path / "run"
    for _ in range(2):
        run.mkdir()
        runs.claim(run)
        runs.discard(run)
        assert not run.exists()


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "precious").write_text("content")
    (tmp_path / ".lock").symlink_to(tmp_path / "precious")
    with pytest.raises(ValueError, match=r"\.lock is a link; remove it"):
        runs.claim(tmp_path)
    assert (tmp_path / "precious").read_text() == "content"
