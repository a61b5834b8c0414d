"""The report of a run that goes on: served here alone, built again when files change, and reloaded by the page."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path

import pytest
from playwright.sync_api import Error

from cv_attention import report
from cv_attention.cli import main


def get(watch: report.Watch, path: str, host: str | None = None) -> tuple[int, bytes]:
    port = int(watch.address.rsplit(":", 1)[1].strip("/"))
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path, headers={"Host": host or f"127.0.0.1:{port}"})
    answer = connection.getresponse()
    return answer.status, answer.read()


def files_of(run: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in run.rglob("*")}


def wait_for(what, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.1)


def later_epoch(run: Path) -> None:
    for suffix in ("json", "npz"):
        shutil.copy(run / f"maps/epoch-0004.{suffix}", run / f"maps/epoch-0005.{suffix}")
    content = json.loads((run / "maps/epoch-0005.json").read_text())
    (run / "maps/epoch-0005.json").write_text(json.dumps({**content, "epoch": 5}))


@pytest.fixture
def watch(run_directory, monkeypatch):
    monkeypatch.setattr("cv_attention.report.watch._EVERY", 0.1)
    with report.Watch([run_directory]) as watch:
        yield watch


def test_a_new_epoch_is_served_and_nothing_is_written(watch, run_directory):
    before, first = files_of(run_directory), watch.built
    status, page = get(watch, "/")
    assert status == 200
    assert page.count(b'<script src="/watch.js"></script>') == 1
    [data] = [part.split(b'"')[0].decode() for part in page.split(b'src="') if part.startswith(b"data/")]
    assert get(watch, f"/{data}")[0] == 200
    assert first.encode() in get(watch, "/built.js")[1]
    later_epoch(run_directory)
    wait_for(lambda: watch.built != first)
    assert get(watch, f"/{data}")[0] == 200  # of the page before, which somebody may still look at
    page = get(watch, "/")[1]
    [newer] = [part.split(b'"')[0].decode() for part in page.split(b'src="') if part.startswith(b"data/")]
    assert newer != data
    assert before.items() <= files_of(run_directory).items() | {
        (str(run_directory / "maps"), before[str(run_directory / "maps")])
    }
    assert not (run_directory / "report").exists()


def test_only_this_machine_gets_files_of_the_page(watch, run_directory, tmp_path):
    (tmp_path / "secret").write_text("secret")
    for path in ("/../secret", "/%2e%2e/%2e%2e/secret", f"/{tmp_path}/secret", "/data", "/absent", "/%00"):
        assert get(watch, path)[0] == 404, path
    assert get(watch, "/", host="rebound.example")[0] == 403
    address = watch._server.server_address
    assert address[0] == "127.0.0.1"


def test_what_cannot_be_read_now_keeps_the_page(watch, run_directory, capfd):
    first = watch.built
    aside = run_directory.with_name("aside")
    run_directory.rename(aside)
    wait_for(lambda: "the page is not updated" in capfd.readouterr().err)
    assert get(watch, "/")[0] == 200
    assert watch.built == first
    aside.rename(run_directory)


def test_the_folder_of_pages_is_removed(run_directory):
    with report.Watch([run_directory]) as watch:
        folder = watch._folder
        assert folder.is_dir()
    assert not folder.exists()


def hearing():
    """Lets a process hear Ctrl-C, which a shell's background jobs ignore."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_the_command_says_where_and_ends_with_ctrl_c(run_directory):
    command = [sys.executable, "-m", "cv_attention.cli", "report", str(run_directory), "--watch"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=hearing)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        port = int(line.split("127.0.0.1:")[1].split("/")[0])
        with socket.create_connection(("127.0.0.1", port), timeout=20):
            pass
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (0, "", "")
    assert not (run_directory / "report").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--watch", "-o", "out"], "--watch writes nothing"),
        (["--port=80"], "--port belongs to --watch"),
        (["--watch", "--port=70000"], "--port must be 0 to 65535, got 70000"),
    ],
)
def test_mistakes(run_directory, arguments, message, capsys):
    assert main(["report", str(run_directory), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert main(["report", os.devnull, "--watch"]) == 2


def epochs(page) -> int:
    end = time.monotonic() + 30
    while time.monotonic() < end:  # it may be loading again
        with contextlib.suppress(Error):
            if (found := page.evaluate("window.cvAttentionReport?.runs[0].epochs.length")) is not None:
                return found
        page.wait_for_timeout(50)
    raise TimeoutError("the page has not loaded")


@pytest.mark.browser
def test_the_open_page_shows_the_new_epoch_and_keeps_what_is_chosen(browser, watch, run_directory):
    page = browser.new_page()
    messages = []
    page.on("console", lambda message: messages.append(message.text))
    page.goto(f"{watch.address}#opacity=0.3")
    assert epochs(page) == 3
    later_epoch(run_directory)
    end = time.monotonic() + 60
    while epochs(page) != 4 and time.monotonic() < end:
        page.wait_for_timeout(300)
    assert epochs(page) == 4
    assert page.evaluate("location.hash").startswith("#")
    assert "opacity=0.3" in page.evaluate("location.hash")
    assert messages == []
    page.close()
