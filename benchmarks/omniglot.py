"""Learns to recognise characters of unseen alphabets from one drawing each: Omniglot, with the parts of this package.

    python benchmarks/omniglot.py data/omniglot [--seeds 0] [--seconds 90] [--ways 20]

The folder holds ``background/<alphabet>/<character>/<drawing>.png`` and ``evaluation`` likewise, 20 drawings of each
character. A matching network: the memory is the list of `heads.recall`, its keys are learned by four convolutions of
32. Training episodes have five drawings of each of `--ways` background characters, turned by multiples of 90 degrees
into more classes; one of each is remembered and the others are asked for, each drawing in turn. AdamW, one cycle up to
3e-3 over the given processor seconds. Prints the accuracy on characters of the evaluation alphabets with 95 % intervals
over 600 episodes, and that of the pixels themselves: no network, the same memory.
"""

import argparse
import sys
from collections.abc import Callable
from time import process_time

import numpy as np
import torch
from torch import Tensor, nn

from cv_attention import backbones, config, data
from cv_attention.data.episodes import EpisodeData
from cv_attention.heads.few_shot import attending
from cv_attention.statistics import Interval, bootstrap

Network = Callable[[Tensor], Tensor]


class Keys(nn.Module):
    """Makes a key of an image: all of the last feature map of four convolutions; and learns the strength β."""

    def __init__(self) -> None:
        super().__init__()
        self.network = backbones.build("convnet", widths=[32] * 4, strides=[1, 2, 2, 2], in_chans=1)
        self.log_strength = nn.Parameter(torch.tensor(10.0).log())

    def forward(self, images: Tensor) -> Tensor:
        return self.network.forward_features(images).flatten(1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--ways", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(1)
    tests = {(ways, shots): opened(options.root, ways, shots + 5) for shots in (1, 5) for ways in (5, 20)}
    for (ways, shots), test in tests.items():
        print(f"pixels: {ways}-way, {shots}-shot {shown(evaluate(lambda x: x.flatten(1), test, shots))}", flush=True)
    for seed in options.seeds:
        start = process_time()
        keys, steps = train(opened(options.root, options.ways, 5, rotations=True, seed=seed), seed, options.seconds)
        seconds, strength = process_time() - start, float(keys.log_strength.detach().exp())
        print(f"seed {seed}: {steps} steps, {seconds:.0f} processor seconds, strength {strength:.1f}", flush=True)
        for (ways, shots), test in tests.items():
            print(f"seed {seed}: {ways}-way, {shots}-shot {shown(evaluate(keys.eval(), test, shots))}", flush=True)
    return 0


def opened(root: str, ways: int, instances: int, *, rotations: bool = False, seed: int = 0) -> EpisodeData:
    """Opens episodes of 28×28 pixels; those of a test have no turned classes."""
    settings = config.Episodes(
        source="folder", ways=ways, instances=instances, rotations=rotations, side=28, train=100_000, val=10, test=600
    )
    module = data.create(config.Data(name="episodes", root=root, batch_size=1, episodes=settings), seed=seed)
    module.setup()
    assert isinstance(module, EpisodeData)
    return module


def train(module: EpisodeData, seed: int, budget: float) -> tuple[Keys, int]:
    """Trains for `budget` processor seconds; returns the network and the number of steps."""
    torch.manual_seed(seed)
    keys, start, steps = Keys(), process_time(), 0
    optimizer = torch.optim.AdamW(keys.parameters(), 1e-3, weight_decay=0.01)
    for batch in module.train_dataloader():
        share = (process_time() - start) / budget
        if share >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(share / 0.1, (1 - share) / 0.9)
        loss = in_turn(keys, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        steps += 1
    return keys, steps


def in_turn(keys: Keys, batch: dict[str, Tensor]) -> Tensor:
    """Remembers one drawing of each class, then another, until each has been; returns the loss of all others."""
    features, (labels,), (instances,) = keys(white_on_black(batch)), batch["labels"], batch["instances"]
    losses = []
    for number in range(1, int(instances.max()) + 1):
        found = asked(features, labels, instances == number, int(batch["ways"][0]), keys.log_strength.exp())
        losses.append(nn.functional.nll_loss(found.clamp_min(1e-9).log(), labels[instances != number]))
    return torch.stack(losses).mean()


def white_on_black(batch: dict[str, Tensor]) -> Tensor:
    """Returns the images of one episode (T, 1, H, W), dark where there is nothing, as outside of a convolution."""
    return 1 - batch["images"][0, :, :1].float() / 255


def asked(features: Tensor, labels: Tensor, shown: Tensor, ways: int, strength: Tensor | float) -> Tensor:
    """Returns the probabilities of the images that are not shown, by those that are."""
    similar = attending.similarities(features[~shown], features[shown])
    return attending.by_list(similar, labels[shown], ways, strength).probabilities  # type: ignore[arg-type]


@torch.no_grad()
def evaluate(network: Network, module: EpisodeData, shots: int) -> Interval:
    """Returns the mean accuracy of the test episodes."""
    strength = float(network.log_strength.exp()) if isinstance(network, Keys) else 10.0
    shares = []
    for batch in module.test_dataloader():
        labels, first = batch["labels"][0], batch["instances"][0] <= shots
        found = asked(network(white_on_black(batch)), labels, first, int(batch["ways"][0]), strength)
        shares.append(float((found.argmax(1) == labels[~first]).float().mean()))
    return bootstrap(np.array(shares))


def shown(interval: Interval) -> str:
    return f"{100 * interval.mean:.1f} % [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


if __name__ == "__main__":
    sys.exit(main())
