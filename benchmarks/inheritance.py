"""Whether evolution finds better networks when children start from their parent's weights instead of from fresh ones.

    MICROZOO_DATA=DIR python benchmarks/inheritance.py [--part ranking|evolution|all]

A subset of Fashion-MNIST, a small target, so that an epoch takes about a second of one core. Two experiments, all seeded:
1. ranking: children of mixed parents, trained briefly in several ways; which brief accuracy ranks them like full trainings do?
2. evolution: aging evolution by validation accuracy, with and without inheritance, at equal epochs; the peer of inheritance is
   the same search from scratch. The top of each is trained in full, from scratch, and these accuracies are compared, also with
   the reference designs that both searches start from.

--epochs: of a candidate's training in the evolution. --seeds: how many evolutions of each kind.
"""

from __future__ import annotations

import argparse
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from _lab import setting
from microzoo.cost.predict import predict
from microzoo.data.load import load
from microzoo.graph.graph import Graph
from microzoo.graph.weights import Weights
from microzoo.search.gate import Limits
from microzoo.space.architecture import Architecture
from microzoo.space.canonical import canonical
from microzoo.space.lowering import lower
from microzoo.space.morphisms import morph
from microzoo.space.reference import reference_designs
from microzoo.space.sampling import MICROZOO_SPACE, sample
from microzoo.spec.dataset import DatasetSpec
from microzoo.train.augment import Augmentation
from microzoo.train.data import TrainingData
from microzoo.train.inherit import inherit
from microzoo.train.loop import fit
from microzoo.train.module import GraphModule, weights
from microzoo.train.recipe import Recipe

DATASET = "fashion-mnist"
SPEC = Path(__file__).parents[1] / "specs" / "datasets" / f"{DATASET}.toml"
INPUT_SHAPE, CLASSES = (28, 28, 1), 10
TRAINING, VALIDATION = 5000, 3000
LIMITS = Limits(ram_bytes=16 << 10, flash_bytes=32 << 10, macs=300_000)

RANDOM_PARENTS, CHILDREN = 2, 3
FULL_EPOCHS, FULL_SEEDS = 8, 2
POPULATION, TOURNAMENT, EVALUATIONS, TOP = 12, 4, 48, 3

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """What every training shares. epochs, seeds: of the evolution. full_accuracies: by network and seed, as they come in."""

    data: TrainingData
    augmentation: Augmentation
    epochs: float
    seeds: int
    full_accuracies: dict[tuple[str, int], float] = field(default_factory=dict)

    def train(self, graph: Graph, epochs: float, seed: int, initial: Weights | None = None) -> tuple[float, Weights]:
        """Validation accuracy and weights after `epochs`; no weights where it diverged."""
        trained = fit(graph, self.data, Recipe(epochs=epochs), seed=seed, augmentation=self.augmentation, initial=initial)
        return trained.validation_accuracy, trained.weights

    def full(self, architecture: Architecture, seed: int) -> float:
        """Accuracy after a full training from scratch; each is done once."""
        key = identity(architecture), seed
        if key not in self.full_accuracies:
            self.full_accuracies[key] = self.train(graph_of(architecture), FULL_EPOCHS, 1_000_000 + seed)[0]
        return self.full_accuracies[key]


def graph_of(architecture: Architecture) -> Graph:
    return lower(architecture, INPUT_SHAPE, CLASSES)


def identity(architecture: Architecture) -> str:
    return canonical(architecture, INPUT_SHAPE, CLASSES)


def violation(architecture: Architecture) -> float:
    return LIMITS.violation(predict(graph_of(architecture), "c", "cortex-m4")[1])


def fits(architecture: Architecture) -> bool:
    return violation(architecture) <= 1.0


def random_fitting(rng: np.random.Generator) -> Architecture:
    """A random architecture, walked by morphisms that lower its worst ratio until it fits."""
    while True:
        architecture = sample(rng, MICROZOO_SPACE)
        worst = violation(architecture)
        for _ in range(300):
            if worst <= 1.0:
                return architecture
            _, changed = morph(rng, architecture, MICROZOO_SPACE)
            if (found := violation(changed)) <= worst:
                architecture, worst = changed, found


def new_child(rng: np.random.Generator, parent: Architecture, seen: set[str]) -> tuple[str, Architecture]:
    """A child that fits and is no network of `seen`, which it joins."""
    while True:
        name, child = morph(rng, parent, MICROZOO_SPACE)
        if fits(child) and identity(child) not in seen:
            seen.add(identity(child))
            return name, child


def inherited(parent: Graph, parent_weights: Weights, child: Graph, seed: int) -> Weights:
    """Initial weights of the child; the fresh ones where the parent's training gave none."""
    fresh = weights(GraphModule(child, np.random.default_rng(seed)))
    return inherit(parent, parent_weights, child, fresh) if parent_weights else fresh


def references() -> list[tuple[str, Architecture]]:
    return list(reference_designs(INPUT_SHAPE, CLASSES, fits))


@dataclass(frozen=True)
class Way:
    """A brief training of a child. cost: its epochs."""

    name: str
    cost: float
    inherits: bool


WAYS = (
    Way("scratch, 1 epoch", 1.0, False),
    Way("inherited, 1 epoch", 1.0, True),
    Way("inherited, 1/2 epoch", 0.5, True),
    Way("scratch, 3 epochs", 3.0, False),
)


def ranking(setting: Setting) -> None:
    """Experiment 1. Arrays are (parents, children)."""
    rng = np.random.default_rng(1)
    parents = references() + [(f"random {index}", random_fitting(rng)) for index in range(RANDOM_PARENTS)]
    shape = len(parents), CHILDREN
    brief = {way.name: np.zeros(shape) for way in WAYS}
    full = np.zeros((FULL_SEEDS, *shape))
    for p, (name, parent) in enumerate(parents):
        parent_accuracy, parent_weights = setting.train(graph_of(parent), 1.0, p)
        seen = {identity(parent)}
        for c in range(CHILDREN):
            move, child = new_child(rng, parent, seen)
            graph, seed = graph_of(child), 100 + p * CHILDREN + c
            for way in WAYS:
                start = inherited(graph_of(parent), parent_weights, graph, seed) if way.inherits else None
                brief[way.name][p, c] = setting.train(graph, way.cost, seed, start)[0]
            full[:, p, c] = [setting.full(child, s) for s in range(FULL_SEEDS)]
            cells = "  ".join(f"{brief[way.name][p, c]:.3f}" for way in WAYS)
            print(f"  {name:<20}{parent_accuracy:.3f}  {move:<20}{cells}   full {full[:, p, c].mean():.4f}", flush=True)
    report_ranking(brief, full)


def report_ranking(brief: dict[str, Floats], full: Floats) -> None:
    """The table of experiment 1."""
    yardstick = full.mean(axis=0)
    better = yardstick >= np.median(yardstick)
    print(f"\nranking: {yardstick.size} children of {len(yardstick)} parents")
    print(f"Spearman's rho with {FULL_EPOCHS} epochs from scratch, mean of {FULL_SEEDS} seeds, {yardstick.mean():.4f}:")
    columns = f"{'epochs':>7}{'accuracy':>10}{'rho':>8}{'better half':>13}{'siblings':>10}{'sibling pairs right':>21}"
    print(f"  {'training':<24}{columns}")
    rows: list[tuple[str, float, Floats, Floats]] = [(way.name, way.cost, brief[way.name], yardstick) for way in WAYS]
    rows.append(("full, one seed v. other", FULL_EPOCHS, full[0], full[1]))
    for name, cost, measured, against in rows:
        all_of_them, half = spearman(measured.ravel(), against.ravel()), spearman(measured[better], against[better])
        # Siblings: what is left after taking away the mean of each family.
        within, pairs = spearman(centred(measured).ravel(), centred(against).ravel()), concordance(measured, against)
        print(f"  {name:<24}{cost:>7.1f}{measured.mean():>10.4f}{all_of_them:>8.2f}{half:>13.2f}{within:>10.2f}{pairs:>21.0%}")


def centred(values: Floats) -> Floats:
    """Differences to the mean of the siblings: (parents, children)."""
    return np.asarray(values - values.mean(axis=1, keepdims=True), np.float64)


def spearman(left: Floats, right: Floats) -> float:
    """Spearman's rank correlation."""
    return float(spearmanr(left, right).statistic)


def concordance(left: Floats, right: Floats) -> float:
    """Share of the pairs of siblings that both put into the same order; a tie counts half."""
    first, second = np.triu_indices(left.shape[1], 1)
    agree = np.sign(left[:, first] - left[:, second]) * np.sign(right[:, first] - right[:, second])
    return float((agree + 1).mean() / 2)


@dataclass(frozen=True)
class Individual:
    """One evaluation. depth: how many trainings its weights have behind them."""

    architecture: Architecture
    accuracy: float
    weights: Weights
    depth: int


def evolve(setting: Setting, seed: int, first: Sequence[Individual], inherits: bool) -> list[Individual]:
    """Aging evolution by validation accuracy; all evaluations in order. The arms start from equal generators."""
    rng = np.random.default_rng([2, seed])
    seen = {identity(individual.architecture) for individual in first}
    history = list(first)
    while len(history) < EVALUATIONS:
        population = history[-POPULATION:]
        drawn = [population[int(index)] for index in rng.choice(POPULATION, TOURNAMENT, replace=False)]
        parent = max(drawn, key=lambda one: one.accuracy)
        _, child = new_child(rng, parent.architecture, seen)
        graph, ordinal = graph_of(child), 10_000 * (seed + 1) + len(history)
        start = inherited(graph_of(parent.architecture), parent.weights, graph, ordinal) if inherits else None
        accuracy, trained = setting.train(graph, setting.epochs, ordinal, start)
        history.append(Individual(child, accuracy, trained, parent.depth + 1 if inherits else 1))
    return history


def first_generation(setting: Setting, seed: int) -> list[Individual]:
    """The reference designs and random architectures, trained from scratch; shared by the arms."""
    rng = np.random.default_rng([3, seed])
    chosen = [architecture for _, architecture in references()][:POPULATION]
    while len(chosen) < POPULATION:
        chosen.append(random_fitting(rng))
    return [
        Individual(each, *setting.train(graph_of(each), setting.epochs, 10_000 * (seed + 1) + index), 1)
        for index, each in enumerate(chosen)
    ]


ARMS = (("scratch", False), ("inherited", True))


def evolution(setting: Setting) -> None:
    """Experiment 2. Full accuracies are (seeds, top)."""
    drawn = ", ".join(f"{name} {setting.full(architecture, 0):.4f}" for name, architecture in references())
    print(f"  references in full: {drawn}", flush=True)
    found: dict[str, list[list[float]]] = {name: [] for name, _ in ARMS}
    for seed in range(setting.seeds):
        first = first_generation(setting, seed)
        for name, inherits in ARMS:
            history = evolve(setting, seed, first, inherits)
            top = sorted(history, key=lambda one: -one.accuracy)[:TOP]
            scores = [setting.full(one.architecture, 0) for one in top]
            found[name].append(scores)
            text = ", ".join(f"{one.accuracy:.3f} -> {score:.4f}" for one, score in zip(top, scores, strict=True))
            line = f"  seed {seed}  {name:<12} own ranking -> full: {text}; trainings behind {[one.depth for one in top]}"
            if inherits:
                depths, own = np.array([[one.depth, one.accuracy] for one in history]).T
                line += f", rho(own score, trainings behind) {spearman(depths, own):.2f}"
            print(line, flush=True)
    report_evolution(setting, {name: np.array(scores) for name, scores in found.items()})


def report_evolution(setting: Setting, found: dict[str, Floats]) -> None:
    """The table of experiment 2 and the verdict."""
    print(
        f"\nevolution: {EVALUATIONS} evaluations of {setting.epochs:g} epochs, population {POPULATION}, tournament {TOURNAMENT}"
    )
    print(f"full accuracy, {FULL_EPOCHS} epochs from scratch, of the top {TOP} of {setting.seeds} seeds:")
    for name, scores in found.items():
        each = ", ".join(f"{mean:.4f}" for mean in scores.mean(axis=1))
        print(f"  {name:<12} mean {scores.mean():.4f} (by seed {each})   best {scores.max(axis=1).mean():.4f}")
    gain = found["inherited"].mean(axis=1) - found["scratch"].mean(axis=1)
    best = found["inherited"].max(axis=1) - found["scratch"].max(axis=1)
    ratio = (1 - found["inherited"].mean()) / (1 - found["scratch"].mean())
    print(
        f"\nverdict: inherited - scratch = {gain.mean():+.4f} in the mean, {best.mean():+.4f} in the best full accuracy", end=""
    )
    print(f"; {(gain > 0).sum()} of {len(gain)} seeds better; ratio of errors {ratio:.2f}")


def setting_of_data(epochs: float, seeds: int) -> Setting:
    spec = DatasetSpec.model_validate(tomllib.loads(SPEC.read_text(encoding="utf-8")))
    dataset = load(DATASET, spec)
    pick = np.random.default_rng(0)
    train = np.sort(pick.permutation(len(dataset.train))[:TRAINING])
    held = np.sort(pick.permutation(len(dataset.validation))[:VALIDATION])
    data = TrainingData(dataset.train.x[train], dataset.train.y[train], dataset.validation.x[held], dataset.validation.y[held])
    augment = spec.augment
    augmentation = Augmentation(augment.shift, augment.shift, fill=spec.preprocess.real_range[0], flip=augment.flip)
    return Setting(data, augmentation, epochs, seeds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("ranking", "evolution", "all"), default="all")
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{setting()}; one core")
    print(f"{DATASET}: {TRAINING} to train on, {VALIDATION} to validate on; {LIMITS}")
    shared = setting_of_data(arguments.epochs, arguments.seeds)
    parts: list[tuple[str, Callable[[Setting], None]]] = [("ranking", ranking), ("evolution", evolution)]
    for name, part in parts:
        if arguments.part in (name, "all"):
            started = time.perf_counter()
            part(shared)
            print(f"  ({time.perf_counter() - started:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
