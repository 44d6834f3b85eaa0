"""What int8 costs, and what each step of quantisation gives back: float against int8, five networks, three seeds each.

    python benchmarks/quantisation.py [--seeds 3] [--only NAME]

The architectures of the published entries, and two narrow networks of depthwise-separable layers, one of them with shortcuts and
without BatchNorm, where one scale for a whole tensor costs most. Each is trained in full on a part of the training split.
Differences to float in points, on the validation split that the build selects on, and on images of the training split that
neither training nor selection saw (held out). The peer of every row is the first, min-max calibration alone. "Kept" is what a
build does: the ladder of `quantise.variants`, with its selection. About ten minutes on a free core; results are kept in
benchmarks/results/quantisation.json and drawn from there into site/pages/develop/decisions/quantisation.md.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from _lab import RESULTS, ROOT, Lab, into_page, lab, setting, small_target, write_results
from microzoo.build.scratch import load_arrays
from microzoo.build.training import FinalTask
from microzoo.data.arrays import Part
from microzoo.data.load import load
from microzoo.quantise.calibrate import channel_reach, observe, ranges_by
from microzoo.quantise.correct import correct_biases
from microzoo.quantise.equalise import equalise
from microzoo.quantise.exact import accuracy
from microzoo.quantise.fold import fold
from microzoo.quantise.forward import logits
from microzoo.quantise.integer import integer_model, with_input
from microzoo.space.architecture import Architecture, Block, Layer

TARGET = small_target(ram_bytes=1 << 20, flash_bytes=1 << 20, macs=10**8)
TRAIN = {"digits": 900, "fashion-mnist": 8000}
VALIDATION = {"digits": 287, "fashion-mnist": 4000}
HELD_OUT = {"digits": 251, "fashion-mnist": 8000}
FILE = RESULTS / "quantisation.json"
FLOAT, KEPT = "float accuracy", "kept"


@dataclass(frozen=True)
class Network:
    """What is trained, on which data, for how many epochs."""

    dataset: str
    architecture: Architecture
    epochs: float


def published(entry: str) -> Architecture:
    """The architecture of an entry in zoo/."""
    card = json.loads((ROOT / "zoo" / entry / "card.json").read_text(encoding="utf-8"))
    return Architecture.from_json(card["architecture"])


def separable(filters: int, stride: int = 1, *, norm: bool, relu: bool) -> tuple[Layer, Layer]:
    """A depthwise and a pointwise layer; the depthwise one has as many channels as what comes before."""
    depthwise = Layer("depthwise", filters=filters, stride=stride, padding="same", batch_norm=norm)
    return depthwise, Layer("pointwise", filters=filters, batch_norm=norm, relu=relu)


def narrow() -> Architecture:
    """Five separable layers of 8 to 32 channels."""
    layers: list[Layer] = [Layer("conv", filters=6, stride=2, padding="same")]
    for filters, stride in ((8, 1), (12, 2), (16, 1), (24, 2), (32, 1)):
        layers += separable(filters, stride, norm=True, relu=True)
    return Architecture((Block(tuple(layers)),), global_pool=True)


def shortcuts() -> Architecture:
    """Five separable layers of 8 channels without BatchNorm; four of them end without ReLU and are added to what they read."""
    blocks = [Block((Layer("conv", filters=8, stride=2, padding="same", batch_norm=False),))]
    for stride in (1, 1, 2, 1, 1):
        blocks.append(Block(separable(8, stride, norm=False, relu=stride == 2)))
        if stride == 1:
            blocks.append(Block((), parallel=True))
    return Architecture(tuple(blocks), global_pool=True)


def networks() -> dict[str, Network]:
    """Name -> network."""
    return {
        "digits, 2 KB": Network("digits", published("digits/tiny-2k/accurate"), 40),
        "digits, 8 KB": Network("digits", published("digits/cortex-m0plus-8k/accurate"), 40),
        "Fashion-MNIST, 64 KB": Network("fashion-mnist", published("fashion-mnist/cortex-m4-64k/accurate"), 6),
        "Fashion-MNIST, narrow separable": Network("fashion-mnist", narrow(), 12),
        "Fashion-MNIST, shortcuts, no BatchNorm": Network("fashion-mnist", shortcuts(), 12),
    }


def held_out(place: Lab) -> Part:
    """Images of the training split that the lab's subset leaves out."""
    whole = load(place.dataset, place.job().dataset).train
    start, count = TRAIN[place.dataset], HELD_OUT[place.dataset]
    chosen = np.random.default_rng(0).permutation(len(whole))[start : start + count]
    return Part(whole.x[chosen], whole.y[chosen])


def run(network: Network, place: Lab, unseen: Part, seed: int) -> dict[str, Any]:
    """Accuracies of one training: variant -> on validation and on held-out images; seconds of the training and of the ladder."""
    torch.set_num_threads(1)
    job = place.job(train={"epochs": network.epochs})
    trainer = place.trainer(job)
    trained = trainer._fit_in_full(FinalTask(0, network.architecture, 0.0, seed, network.epochs))
    assert trained.failure is None, trained.failure
    started = time.perf_counter()
    final = trainer._quantised(trained, seed)
    seconds = time.perf_counter() - started
    train, validation = load_arrays(place.folder / "arrays")
    graph, weights = fold(trained.graph, trained.weights)
    images = train.x[np.sort(np.random.default_rng(seed).permutation(len(train))[:512])]
    known = job.dataset.preprocess.real_range
    observed = observe(graph, weights, images)
    ranges = {method: with_input(graph, ranges_by(method, observed), known) for method in ("minmax", "percentile", "mse")}
    models = {method: integer_model(graph, weights, found) for method, found in ranges.items()}
    models["mse, bias corrected"] = correct_biases(models["mse"], weights, images)
    for name, reach in (("as published", None), ("by activations", channel_reach(graph, weights, images))):
        scaled = equalise(graph, weights, reach)
        found = with_input(graph, ranges_by("mse", observe(graph, scaled, images)), known)
        models[f"mse, equalised {name}"] = integer_model(graph, scaled, found)
    tuned = trainer._fine_tuned(graph, weights, ranges["mse"], job.family.quantise.finetune * trained.epochs, seed)
    assert tuned is not None
    models["mse, fine-tuned"] = integer_model(graph, tuned, ranges["mse"])
    models[KEPT] = final.model
    parts = (validation, unseen)
    scores = {FLOAT: [float((logits(graph, weights, part.x).argmax(1) == part.y).mean()) for part in parts]}
    scores |= {name: [accuracy(model, part.x, part.y) for part in parts] for name, model in models.items()}
    return {"scores": scores, "won": final.calibration, "training seconds": trained.seconds, "quantisation seconds": seconds}


def table(runs: dict[str, Any]) -> list[str]:
    """Lines of Markdown: for each network the difference of every variant to float, mean and standard deviation over seeds."""
    lines = []
    for name, seeds in runs.items():
        kinds = next(iter(seeds.values()))["scores"]
        scores = {kind: np.array([run["scores"][kind] for run in seeds.values()]) for kind in kinds}
        flat = scores.pop(FLOAT)
        lines += [
            f"**{name}**, {len(flat)} seeds: float {flat[:, 0].mean():.2%} on validation, {flat[:, 1].mean():.2%} held out.",
            "",
            "| int8 | validation | held out |",
            "|---|---|---|",
        ]
        for kind, values in scores.items():
            lines.append(f"| {kind} | {_points(values[:, 0] - flat[:, 0])} | {_points(values[:, 1] - flat[:, 1])} |")
        won = "; ".join(run["won"] for run in seeds.values())
        train, ladder = (np.mean([run[f"{what} seconds"] for run in seeds.values()]) for what in ("training", "quantisation"))
        lines += ["", f"Kept: {won}. Training {train:.1f} s, the ladder {ladder:.1f} s.", ""]
    return lines


def _points(differences: np.ndarray[Any, Any]) -> str:
    deviation = f" ± {100 * differences.std(ddof=1):.2f}" if len(differences) > 1 else ""
    return f"{100 * differences.mean():+.2f}{deviation}"


def main() -> None:
    """Runs what is missing, prints the table, writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=list(networks()))
    parser.add_argument("--draw", action="store_true", help="only write the page anew from the results that are kept")
    arguments = parser.parse_args()
    kept: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {"runs": {}}
    chosen: dict[str, Callable[[int], dict[str, Any]]] = {}
    for name, network in networks().items() if not arguments.draw else ():
        if arguments.only in (None, name):
            dataset = network.dataset
            place = lab(f"quantisation-{dataset}", dataset, TARGET, train=TRAIN[dataset], validation=VALIDATION[dataset])
            chosen[name] = partial(run, network, place, held_out(place))
    for name, measure in chosen.items():
        for seed in range(arguments.seeds):
            if str(seed) not in kept["runs"].setdefault(name, {}):
                print(f"  {name}, seed {seed}", flush=True)
                kept["runs"][name][str(seed)] = measure(seed)
                kept["setting"] = setting()
                write_results(FILE, kept)
    print(kept["setting"])
    print("\n".join(table(kept["runs"])))
    into_page("decisions/quantisation", [*table(kept["runs"]), kept["setting"]])


if __name__ == "__main__":
    main()
