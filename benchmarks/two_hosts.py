"""Training on two hosts, shown on one machine: two network namespaces joined by a cable, torchrun in each.

    sudo python benchmarks/two_hosts.py [--root DIR]          # Linux, root, iproute2

1. Both hosts train together to the end.
2. One host's processes are killed in the middle: how long until the other ends, and what does it say?
3. Both resume, and end with the weights of the first training, bit by bit.

The hosts share a file system, as those of a cluster do, and talk over the cable alone (gloo).
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import torch

HOSTS = ("cva-host0", "cva-host1")
ADDRESSES = ("10.77.0.1", "10.77.0.2")
TRAINING = [
    *("--seed=3", "--data.name=cluttered_digits", "--data.digits.train=640", "--data.digits.val=40"),
    *("--data.digits.test=40", "--data.digits.canvas=32", "--data.digits.digit=16", "--data.batch_size=16"),
    *("--model.backbone=resnet20", "--model.block=se", "--trainer.max_epochs=3", "--trainer.accelerator=cpu"),
    *("--trainer.devices=1", "--trainer.num_nodes=2", "--trainer.strategy=ddp", "--trainer.precision=32-true"),
    *("--trainer.deterministic=true", "--trainer.extra={enable_progress_bar: false}"),
    *("--log.wandb=disabled", "--log.maps_every=0"),
]


def sh(*command: str) -> None:
    subprocess.run(command, check=True)


@contextmanager
def two_hosts():
    """Two namespaces with one end of a cable each."""
    for host in HOSTS:
        subprocess.run(["ip", "netns", "del", host], stderr=subprocess.DEVNULL)
        sh("ip", "netns", "add", host)
        sh("ip", "-n", host, "link", "set", "lo", "up")
    try:
        cable = f"link add cable0 netns {HOSTS[0]} type veth peer name cable1 netns {HOSTS[1]}"
        sh("ip", *cable.split())
        for number, (host, address) in enumerate(zip(HOSTS, ADDRESSES, strict=True)):
            sh("ip", "-n", host, "addr", "add", f"{address}/24", "dev", f"cable{number}")
            sh("ip", "-n", host, "link", "set", f"cable{number}", "up")
        yield
    finally:
        for host in HOSTS:
            subprocess.run(["ip", "netns", "del", host])


def start(host: int, root: Path, *more: str) -> subprocess.Popen:
    """Starts `torchrun train.py` on a host; its output goes to a file."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", f"--node-rank={host}"]
    launcher += ["--nproc-per-node=1", f"--master-addr={ADDRESSES[0]}", "--master-port=29511", "--max-restarts=0"]
    script = str(Path(__file__).parents[1] / "train.py")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": f"cable{host}"}
    with open(root / f"host{host}.log", "w") as log:
        return subprocess.Popen(
            ["ip", "netns", "exec", HOSTS[host], *launcher, script, *TRAINING, f"--log.root={root}", *more],
            stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True,
        )  # fmt: skip


def both(root: Path, *more: str) -> None:
    """Trains on both hosts to the end."""
    hosts = [start(host, root, *more) for host in (0, 1)]
    codes = [host.wait(timeout=600) for host in hosts]
    if any(codes):
        raise SystemExit(f"exit codes {codes}:\n{(root / 'host0.log').read_text()[-3000:]}")


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path(tempfile.gettempdir()) / "two-hosts")
    root = parser.parse_args().root
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    with two_hosts():
        begin = time.perf_counter()
        both(root, "--log.name=whole")
        print(f"both hosts, 3 epochs to the end: {time.perf_counter() - begin:.0f} s")

        survivor, victim = (start(host, root, "--log.name=killed") for host in (0, 1))
        checkpoint = root / "killed/checkpoints/last.ckpt"
        while not checkpoint.exists():
            time.sleep(0.1)
        for process in subprocess.check_output(["ip", "netns", "pids", HOSTS[1]], text=True).split():
            os.kill(int(process), signal.SIGKILL)
        victim.wait()
        killed = time.perf_counter()
        code = survivor.wait(timeout=600)
        print(f"one host killed: the other ended after {time.perf_counter() - killed:.1f} s with exit code {code}")
        said = [line for line in (root / "host0.log").read_text().splitlines() if "cv-attention" in line]
        print("it said:", *said, sep="\n  ")

        both(root, f"--resume={root / 'killed'}")
        one, other = weights(root / "whole"), weights(root / "killed")
        same = one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
        print(f"resumed on both hosts: final weights {'equal bit by bit' if same else 'DIFFER'}")
    sys.exit(0 if same and code else 1)


if __name__ == "__main__":
    main()
