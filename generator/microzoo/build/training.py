"""What worker processes do: train one candidate briefly, or one finalist in full and put it into int8.

Tasks and results are small and picklable; arrays come from files, once a process. This module imports torch only inside the
functions that workers call, so that the parent process never needs it.
"""

from __future__ import annotations

import contextlib
import os
import threading
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from microzoo.build.scratch import kept_weights, load_arrays, write_atomically
from microzoo.cost.predict import predict
from microzoo.data.arrays import Part
from microzoo.errors import QuantisationError, TrainingError
from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel
from microzoo.graph.serialise import dump_float_model, parse_float_model
from microzoo.graph.weights import Weights
from microzoo.search.executor import stop_requested
from microzoo.search.types import Candidate, Evaluation
from microzoo.space.architecture import Architecture
from microzoo.space.lowering import lower
from microzoo.spec.load import Job

if TYPE_CHECKING:
    from microzoo.train.augment import Augmentation
    from microzoo.train.data import TrainingData
    from microzoo.train.loop import Trained


STOPPED = "stopped"
"""`Trained.failure` where the executor was left: says nothing about the candidate."""


@dataclass(frozen=True)
class FinalTask:
    """One full training: of evaluation `ordinal`, with the seed number `seed`, for `epochs` epochs."""

    ordinal: int
    architecture: Architecture
    sparsity: float
    seed: int
    epochs: float


@dataclass(frozen=True)
class Final:
    """What a full training gave: the best int8 network, and its accuracies on validation.

    calibration: how it came about, as in "mse, equalised, fine-tuned 2 epochs".
    """

    model: IntegerModel
    validation_float: float
    validation_int8: float
    calibration: str


@dataclass(frozen=True)
class Trainer:
    """How candidates of one job are trained. Called with a task, on a worker.

    arrays: folder of the data. kept: where the weights of candidates lie for their children, None where nobody inherits.
    """

    job: Job
    arrays: Path
    device: str
    kept: Path | None = None

    def evaluate(self, candidate: Candidate) -> Evaluation:
        """A candidate's training at its rung."""
        search = self.job.family.search
        seed = _seed(self.job.family.seed, 0, candidate.ordinal)
        epochs = search.rung_epochs(candidate.rung)
        parent = None if self.kept is None or candidate.rung > 0 else candidate.parent
        trained = self._fit(candidate.architecture, candidate.sparsity, epochs, search.samples, seed, parent)
        if self.kept is not None and trained.failure is None:
            # Before the evaluation is committed: what is in the history has its weights.
            write_atomically(kept_weights(self.kept, candidate.ordinal), dump_float_model(trained.graph, trained.weights))
        return self._evaluation(trained)

    def finish(self, task: FinalTask) -> Final | str:
        """A finalist's full training and its quantisation; a text says why there is none."""
        trained = self._fit_in_full(task)
        if trained.failure == STOPPED:
            raise TrainingError("the training was stopped", "run the same command again")
        if trained.failure is not None:
            return f"training {trained.failure}"
        try:
            return self._quantised(trained, _seed(self.job.family.seed, 1 + task.seed, task.ordinal))
        except QuantisationError as error:
            return str(error)

    def evaluate_in_full(self, task: FinalTask) -> Evaluation:
        """A full training without quantisation: what the ranks of short ones are compared with."""
        return self._evaluation(self._fit_in_full(task))

    def _fit_in_full(self, task: FinalTask) -> Trained:
        seed = _seed(self.job.family.seed, 1 + task.seed, task.ordinal)
        return self._fit(task.architecture, task.sparsity, task.epochs, 1.0, seed)

    def _evaluation(self, trained: Trained) -> Evaluation:
        _, resources = predict(trained.graph, self.job.target.runtime, self.job.target.core)
        return Evaluation(trained.validation_accuracy, resources, trained.epochs, trained.seconds, trained.failure)

    def _fit(
        self, architecture: Architecture, sparsity: float, epochs: float, samples: float, seed: int, parent: int | None = None
    ) -> Trained:
        """parent: ordinal of the evaluation whose weights are inherited."""
        from microzoo.prune.schedule import PruningPlan
        from microzoo.train.loop import fit
        from microzoo.train.recipe import Recipe

        if self.device == "cpu":
            _one_thread()
        train, prune = self.job.family.train, self.job.family.prune
        plan = PruningPlan(sparsity, prune.start, prune.end, saliency=prune.saliency) if prune.enabled and sparsity > 0 else None
        recipe = Recipe(
            epochs=epochs,
            batch_size=train.batch_size,
            learning_rate=train.learning_rate,
            weight_decay=train.weight_decay,
            label_smoothing=train.label_smoothing,
            samples=samples,
        )
        graph = self._graph(architecture)
        return fit(
            graph,
            _training_data(self.arrays),
            recipe,
            seed=seed,
            device=self.device,
            pruning=plan,
            augmentation=self._augmentation(),
            initial=None if parent is None else self._inherited(parent, graph, seed),
            should_stop=stop_requested,
        )

    def _inherited(self, parent: int, graph: Graph, seed: int) -> Weights | None:
        """Initial weights of `graph`, the parent's where they fit; None where nothing is left of the parent."""
        from microzoo.train.inherit import inherit
        from microzoo.train.module import GraphModule, weights

        assert self.kept is not None
        path = kept_weights(self.kept, parent)
        try:
            content = path.read_bytes()
            if not content:  # taken over from another search without its weights
                return None
            found, parent_weights = parse_float_model(content)
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise TrainingError(
                f"{path}: the weights of a parent are missing or damaged ({error})",
                "delete the history beside them to begin the search anew",
            ) from error
        fresh = weights(GraphModule(graph, np.random.default_rng(seed)))
        return inherit(found, parent_weights, graph, fresh)

    def _graph(self, architecture: Architecture) -> Graph:
        return lower(architecture, self.job.dataset.input_shape, len(self.job.dataset.classes))

    def _quantised(self, trained: Trained, seed: int) -> Final:
        """The int8 form that is best on validation. `variants.best_variant` says which are tried."""
        from microzoo.quantise.exact import accuracy
        from microzoo.quantise.variants import Steps, best_variant

        spec = self.job.family.quantise
        graph, _ = predict(trained.graph, self.job.target.runtime, self.job.target.core)
        train, validation = _parts(self.arrays)
        wanted = min(spec.calibration_samples, len(train))
        images = train.x[np.sort(np.random.default_rng(seed).permutation(len(train))[:wanted])]
        epochs = spec.finetune * trained.epochs

        def tune(graph: Graph, weights: Weights, ranges: dict[str, tuple[float, float]]) -> Weights | None:
            return self._fine_tuned(graph, weights, ranges, epochs, seed)

        best = best_variant(
            graph,
            trained.weights,
            images,
            lambda model: accuracy(model, validation.x, validation.y),
            Steps(
                spec.methods, spec.equalise, spec.bias_correction, tune if epochs > 0 else None, f"fine-tuned {epochs:.2g} epochs"
            ),
            goal=trained.validation_accuracy,
            input_range=self.job.dataset.preprocess.real_range,
        )
        return Final(best.model, trained.validation_accuracy, best.score, best.words)

    def _fine_tuned(
        self, graph: Graph, weights: Weights, ranges: dict[str, tuple[float, float]], epochs: float, seed: int
    ) -> Weights | None:
        """The weights after `epochs` of fine-tuning on the batches of a training of that length; None where it diverged."""
        import torch

        from microzoo.quantise.finetune import fine_tune
        from microzoo.train.augment import Batches
        from microzoo.train.cuda import own_stream
        from microzoo.train.recipe import Recipe

        train, device = self.job.family.train, torch.device(self.device)
        recipe = Recipe(epochs=epochs, batch_size=train.batch_size)
        x, y = _training_data(self.arrays).on(device)
        subset = recipe.subset(len(x))
        steps = recipe.steps(len(subset))
        order, augmenting = (np.random.default_rng(child) for child in np.random.SeedSequence([seed, 1]).spawn(2))
        batches = Batches(x, y, recipe.order(subset, steps, order), self._augmentation(), augmenting)
        stream = own_stream(device)
        with torch.cuda.stream(stream) if stream is not None else contextlib.nullcontext():
            tuned = fine_tune(
                graph,
                weights,
                ranges,
                lambda step: batches(torch.tensor([step], device=device)),
                steps=steps,
                label_smoothing=train.label_smoothing,
                device=self.device,
                should_stop=stop_requested,
            )
        if tuned.failure == STOPPED:
            raise TrainingError("the training was stopped", "run the same command again")
        return None if tuned.failure is not None else tuned.weights

    def _augmentation(self) -> Augmentation:
        from microzoo.train.augment import FLOOR_DEVIATION, Augmentation

        dataset = self.job.dataset
        augment, (low, high) = dataset.augment, dataset.preprocess.real_range
        return Augmentation(
            shift_height=augment.shift_time or augment.shift,
            shift_width=augment.shift,
            fill=low if dataset.signal is None else 0.0,
            flip=augment.flip,
            noise=augment.noise,
            floor=augment.floor * (high - low),
            floor_deviation=FLOOR_DEVIATION * (high - low),
        )


def _seed(base: int, stage: int, ordinal: int) -> int:
    """A training's seed, far from every other one's. Stage 0 is the search, 1 + n the n-th full training."""
    return int(np.random.SeedSequence([base, stage, ordinal]).generate_state(1, np.uint32)[0])


_loading = threading.RLock()
"""lru_cache alone lets each thread that comes before the first has its result load its own."""


def _parts(arrays: Path) -> tuple[Part, Part]:
    with _loading:
        return _loaded_parts(arrays)


def _training_data(arrays: Path) -> TrainingData:
    with _loading:
        return _loaded_training_data(arrays)


@lru_cache(maxsize=1)
def _loaded_parts(arrays: Path) -> tuple[Part, Part]:
    return load_arrays(arrays)


@lru_cache(maxsize=1)
def _loaded_training_data(arrays: Path) -> TrainingData:
    from microzoo.train.data import TrainingData

    train, validation = _parts(arrays)
    return TrainingData(train.x, train.y, validation.x, validation.y)


@lru_cache(maxsize=1)
def _one_thread() -> None:
    """Two threads never helped networks this small, and one gives the same bits every time."""
    import torch

    torch.set_num_threads(1)


def worker_count(parallel: int, device: str) -> int:
    """How many trainings run at once: as many as are in flight, on the CPU at most one a core."""
    if device != "cpu":
        return parallel
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(parallel, cores))
