"""How often `compare`'s verdicts are wrong, in simulated studies whose truth is known.

    python benchmarks/compare_simulation.py                 # 2,000 studies of each kind; about five minutes of one core
    python benchmarks/compare_simulation.py --studies 200   # a first look

Every study goes through `cv_attention.statistics.judge`, the function behind every verdict of `cv-attention compare`.
Values are in units of one run's standard deviation, about 0.3 points of accuracy in our six-epoch runs. The tables of
power and of the seeds asked for take a quarter of the studies, worlds that are not ideal a half.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from cv_attention.statistics import Study, judge

World = Callable[[np.random.Generator, int, int], np.ndarray]  # (generator, arms, blocks) -> (arms, blocks)


def ideal(generator, arms, blocks):
    return generator.standard_normal((arms, blocks))


def paired(generator, arms, blocks):
    return ideal(generator, arms, blocks) + 3 * generator.standard_normal(blocks)


def unequal(generator, arms, blocks):
    return ideal(generator, arms, blocks) * np.array([1.0] * (arms - 1) + [3.0])[:, None]


def unequal_plain(generator, arms, blocks):
    return unequal(generator, arms, blocks)[::-1]


def graded(generator, arms, blocks):
    return ideal(generator, arms, blocks) * np.linspace(0.5, 2, arms)[:, None]


def heavy(generator, arms, blocks):
    return generator.standard_t(3, (arms, blocks))


def rounded(generator, arms, blocks):
    """Accuracies of 200 test images, of 80 % on average: one image is 0.5 points, a standard deviation 0.3."""
    return np.round((80 + 0.3 * ideal(generator, arms, blocks)) * 2) / 2


def skewed(generator, arms, blocks):
    return -np.exp(generator.standard_normal((arms, blocks)))


def following(generator, arms, blocks):
    """Each run resembles the one of the seed before it (0.5), as when runs share what seeds should vary."""
    values = ideal(generator, arms, blocks)
    for block in range(1, blocks):
        values[:, block] = 0.5 * values[:, block - 1] + 0.75**0.5 * values[:, block]
    return values


WORLDS = {
    "normal": ideal,
    "seeds move all networks together": paired,
    "one block's runs spread 3 times as much": unequal,
    "plain's runs spread 3 times as much": unequal_plain,
    "spreads from 0.5 to 2": graded,
    "heavy tails (Student's t, 3 degrees)": heavy,
    "accuracies rounded to 0.5 points": rounded,
    "skewed (log-normal)": skewed,
    "runs of one network resemble each other (0.5)": following,
}


def resembling_folds(share: float) -> World:
    """Folds whose figures share a part of their variance in each arm, because they share training images."""

    def world(generator, arms, blocks):
        common = generator.standard_normal((arms, 1))
        return share**0.5 * common + (1 - share) ** 0.5 * ideal(generator, arms, blocks)

    return world


def centroids(common: int, signal: float) -> World:
    """Cross-validation itself: nearest-centroid classifiers of 200 images with `common` features shared by all arms.

    Each arm sees 10 further features of its own. Without `signal` they are useless; with it each arm has other
    evidence of the same worth, so that all have the same expected accuracy, but not on any one data set.
    """

    def world(generator, arms, blocks):
        labels = np.arange(200) % 2
        signs = 2.0 * labels - 1
        shared = generator.standard_normal((200, common)) + 0.2 * signs[:, None]
        fold = generator.permutation(100)[np.arange(200) // 2] % blocks
        figures = np.empty((arms, blocks))
        for arm in range(arms):
            seen = np.concatenate([shared, generator.standard_normal((200, 10)) + signal * signs[:, None]], axis=1)
            for held in range(blocks):
                train = fold != held
                means = [seen[train & (labels == label)].mean(axis=0) for label in (0, 1)]
                gap = [((seen[~train] - mean) ** 2).sum(axis=1) for mean in means]
                figures[arm, held] = ((gap[1] < gap[0]) == labels[~train]).mean()
        return figures

    return world


@dataclass
class Rates:
    """Shares of studies."""

    wrong: float
    covered: float
    before: float


def told(study: Study) -> list[str]:
    return [one.verdict for one in study.arms[1:]]


def by_pairs(values: np.ndarray) -> bool:
    """Whether the procedure that `compare` had before calls any arm different: a paired t test for each."""
    differences = values[1:] - values[0]
    error = differences.std(axis=1, ddof=1) / values.shape[1] ** 0.5
    return bool((np.abs(differences.mean(axis=1)) > stdtrit(values.shape[1] - 1, 0.975) * error).any())


def useless(world: World, arms: int, blocks: int, studies: int, overlap: float | None = None) -> Rates:
    """Studies in which no arm differs from the reference."""
    generator = np.random.default_rng(2026)
    wrong = covered = before = 0
    for _ in range(studies):
        values = world(generator, arms, blocks)
        study = judge(values, margin=1.0, overlap=overlap)
        wrong += any(verdict in ("better", "worse") for verdict in told(study))
        covered += all(one.low is None or one.low <= 0 <= one.high for one in study.arms[1:])
        before += by_pairs(values)
    return Rates(wrong / studies, covered / studies, before / studies)


def power(effect: float, margin: float, arms: int, blocks: int, studies: int) -> dict[str, float]:
    """One arm differs by `effect`: what it is called, and how often another, useless arm is called different."""
    generator = np.random.default_rng(2026)
    counts = dict.fromkeys(("better", "worse", "equivalent", "unresolved", "other wrong"), 0)
    for _ in range(studies):
        values = ideal(generator, arms, blocks)
        values[1] += effect
        verdicts = told(judge(values, margin=margin))
        counts[verdicts[0]] += 1
        counts["other wrong"] += any(verdict in ("better", "worse") for verdict in verdicts[1:])
    return {name: count / studies for name, count in counts.items()}


def equivalence_error(arms: int, blocks: int, margin: float, studies: int) -> float:
    """Every arm differs by just the margin: how often any is called equivalent."""
    generator = np.random.default_rng(2026)
    signs = np.array([0.0] + [(-1.0) ** arm for arm in range(arms - 1)])[:, None]
    found = 0
    for _ in range(studies):
        study = judge(ideal(generator, arms, blocks) + margin * signs, margin=margin)
        found += any(one.within_margin for one in study.arms[1:])
    return found / studies


def promised(effect: float, margin: float, arms: int, blocks: int, studies: int) -> tuple[float, float]:
    """Of studies with an unresolved first arm: how many seeds are asked for (median), and how many then suffice."""
    generator = np.random.default_rng(2026)
    asked, solved = [], 0
    for _ in range(studies):
        values = ideal(generator, arms, blocks)
        values[1] += effect
        first = judge(values, margin=margin).arms[1]
        if first.verdict != "unresolved" or first.more is None or first.more > 200:
            continue
        more = ideal(generator, arms, first.more)
        more[1] += effect
        asked.append(first.more)
        solved += judge(np.concatenate([values, more], axis=1), margin=margin).arms[1].verdict != "unresolved"
    return float(np.median(asked)), solved / len(asked)


def percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def rows_of_seeds(studies: int) -> Iterator[str]:
    yield "| world | arms | seeds | any called different | intervals all hold | before: paired t tests |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for name, world in WORLDS.items():
        for arms in (6, 2):
            for blocks in (3, 5, 10):
                rates = useless(world, arms, blocks, studies if world in (ideal, paired) else studies // 2)
                yield (
                    f"| {name} | {arms} | {blocks} | {percent(rates.wrong)} | {percent(rates.covered)} | "
                    f"{percent(rates.before)} |"
                )


def rows_of_folds(studies: int) -> Iterator[str]:
    yield "| world, 5 folds | arms | any called different | before: paired t tests |"
    yield "| --- | ---: | ---: | ---: |"
    worlds = {f"folds share {share:g} of the variance": resembling_folds(share) for share in (0, 0.2, 0.4, 0.6)}
    worlds["nearest centroids, 20 common features, each arm's own are useless"] = centroids(20, 0.0)
    worlds["nearest centroids, no common features, each arm's own are worth the same"] = centroids(0, 0.2)
    for name, world in worlds.items():
        for arms in (6, 2):
            rates = useless(world, arms, 5, studies, overlap=1 / 4)
            yield f"| {name} | {arms} | {percent(rates.wrong)} | {percent(rates.before)} |"


def rows_of_power(studies: int) -> Iterator[str]:
    yield "| true difference | seeds | better | equivalent within ±1 | unresolved | worse | another called different |"
    yield "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for effect in (0.0, 0.5, 1.0, 2.0):
        for blocks in (3, 5, 10, 20):
            found = power(effect, 1.0, 6, blocks, studies)
            names = ("better", "equivalent", "unresolved", "worse", "other wrong")
            yield f"| {effect:g} | {blocks} | {' | '.join(percent(found[name]) for name in names)} |"


def rows_of_rest(studies: int) -> Iterator[str]:
    for blocks in (10, 20):
        error = equivalence_error(6, blocks, 1.0, studies)
        yield f"- {blocks} seeds, five arms that differ by just the margin: any called equivalent in {percent(error)}."
    for effect in (0.0, 0.5, 1.0, 1.5):
        asked, solved = promised(effect, 1.0, 6, 5, studies)
        yield (
            f"- 5 seeds, a true difference of {effect:g}, unresolved: {asked:.0f} more seeds asked for (median); with "
            f"them {percent(solved)} had a verdict."
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000)
    parts = {
        "seeds": (rows_of_seeds, 1),
        "folds": (rows_of_folds, 1),
        "power": (rows_of_power, 4),
        "rest": (rows_of_rest, 4),
    }
    parser.add_argument("--part", choices=parts, nargs="*", default=list(parts))
    options = parser.parse_args()
    for part in options.part:
        rows, fewer = parts[part]
        for row in rows(max(1, options.studies // fewer)):
            print(row, flush=True)
        print(flush=True)


if __name__ == "__main__":
    main()
