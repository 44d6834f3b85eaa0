"""fit: a Graph and data in, trained weights and their validation accuracy out; with pruning, of the network after shrinking."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from microzoo.errors import TrainingError
from microzoo.graph.graph import Graph
from microzoo.graph.weights import Weights
from microzoo.prune.groups import channel_groups
from microzoo.prune.masks import ChannelMasks
from microzoo.prune.schedule import PruningPlan
from microzoo.prune.shrink import shrink
from microzoo.train.augment import Augmentation, Batches
from microzoo.train.cuda import own_stream, runner
from microzoo.train.data import TrainingData
from microzoo.train.evaluate import STATISTICS_SAMPLES, accuracy, all_finite, estimate_statistics
from microzoo.train.module import GraphModule, load, weights
from microzoo.train.recipe import Recipe
from microzoo.train.step import TrainingStep

_CHUNK = 16


@dataclass(frozen=True)
class Progress:
    """Told after every epoch: passes done and to do, in passes over the samples that are used, and the epoch's mean loss."""

    epoch: float
    epochs: float
    loss: float


@dataclass(frozen=True)
class Trained:
    """The outcome of one training.

    graph, weights: after shrinking. validation_accuracy: share in [0, 1], of exactly these weights. epochs: passes over the full
    training split that were paid for, a fraction where less was seen. seconds: wall time. failure: "diverged", "out of memory" or
    "stopped"; then there are no weights, the graph is the one that was given, and the accuracy is 0.
    """

    graph: Graph
    weights: Weights
    validation_accuracy: float
    epochs: float
    seconds: float
    failure: str | None = None


def fit(
    graph: Graph,
    data: TrainingData,
    recipe: Recipe,
    *,
    seed: int,
    device: str = "cpu",
    pruning: PruningPlan | None = None,
    augmentation: Augmentation | None = None,
    initial: Weights | None = None,
    on_epoch: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Trained:
    """Train `graph` from scratch, or from `initial` where that is given.

    seed: decides initial weights, order and augmentation; with one CPU thread (`torch.set_num_threads(1)`, the caller's to set)
    the same seed gives the same weights bit for bit. device: "cpu", "cuda" or "cuda:N"; on CUDA several calls may run at once,
    each in its own thread. pruning: None or sparsity 0 for none. initial: weights of `graph` to start from in place of the seed's
    own; order and augmentation stay the seed's. on_epoch: called at the first pause after each epoch;
    should_stop: asked at each pause. There is one every 16 steps, or as often as the masks are renewed.

    Raises TrainingError where the device is not there. A training that diverges, runs out of memory or is stopped raises nothing
    and returns with `failure`.
    """
    started = time.perf_counter()
    torch_device = _checked_device(device)
    assert graph.input_shape == data.x_train.shape[1:], (graph.input_shape, data.x_train.shape)
    assert data.y_train.max() < graph.shapes[graph.output][0], "a class without a logit"
    training: _Training | None = None
    shrunk, trained, score, failure = graph, Weights(), 0.0, None
    stream = own_stream(torch_device)
    with torch.cuda.stream(stream) if stream is not None else contextlib.nullcontext():
        try:
            training = _Training(graph, data, recipe, seed, torch_device, pruning, augmentation or Augmentation(), initial)
            training.run(on_epoch, should_stop)
            shrunk, trained = training.result()
            score = accuracy(shrunk, trained, data.x_val, data.y_val, device)
        except _EndedEarlyError as ended:
            failure = str(ended)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not _for_lack_of_memory(error):
                raise
            shrunk, trained, failure = graph, Weights(), "out of memory"
    epochs = training.samples_seen / len(data.x_train) if training else 0.0
    return Trained(shrunk, trained, score, epochs, time.perf_counter() - started, failure)


class _EndedEarlyError(Exception):
    """A training that gives no weights; its text is `Trained.failure`."""


class _Training:
    """One training in progress: the module, its step, its masks."""

    def __init__(
        self,
        graph: Graph,
        data: TrainingData,
        recipe: Recipe,
        seed: int,
        device: torch.device,
        pruning: PruningPlan | None,
        augmentation: Augmentation,
        initial: Weights | None,
    ) -> None:
        drawing, order, augmenting = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(3))
        self.graph, self.recipe, self.device = graph, recipe, device
        self.pruning = pruning if pruning is not None and pruning.sparsity > 0 else None
        self.masks = ChannelMasks(channel_groups(graph) if self.pruning else (), device)
        self.subset = recipe.subset(len(data.x_train))
        self.steps = recipe.steps(len(self.subset))
        self.done = 0
        self.x, y = data.on(device)
        self.module = GraphModule(graph, drawing, self.masks.by_operator)
        if initial is not None:
            load(self.module, initial)
        self.module.to(device).train()
        batches = Batches(self.x, y, recipe.order(self.subset, self.steps, order), augmentation, augmenting)
        self.step = TrainingStep(self.module, batches, recipe.learning_rates(self.steps), recipe)

    @property
    def samples_seen(self) -> int:
        return self.done * self.recipe.batch_size

    def run(self, on_epoch: Callable[[Progress], None] | None, should_stop: Callable[[], bool] | None) -> None:
        """All steps, in chunks between which the masks are renewed."""
        # A short training gets short chunks, so that its sparsity still rises little by little.
        chunk = max(1, min(self.pruning.every if self.pruning else _CHUNK, self.steps // 10))
        run = runner(self.step, chunk, self.device)
        frozen = self.pruning is None
        reported = 0
        while self.done < self.steps:
            if should_stop is not None and should_stop():
                raise _EndedEarlyError("stopped")
            # What does not fill a chunk comes first, where a captured training runs eagerly anyway.
            count = chunk if self.done else self.steps % chunk or chunk
            frozen = frozen or self._renew_masks(last=self.done + count == self.steps)
            run(count)
            self.done += count
            if self._epoch_of(self.done) > self._epoch_of(reported) or self.done == self.steps:
                self._report(self.done - reported, on_epoch)
                reported = self.done

    def _epoch_of(self, step: int) -> int:
        return step * self.recipe.batch_size // len(self.subset)

    def _report(self, steps: int, on_epoch: Callable[[Progress], None] | None) -> None:
        """Look at the losses of the last `steps` steps, for the first time since then: this waits for the device."""
        loss = float(self.step.loss) / steps
        self.step.loss.zero_()
        if not math.isfinite(loss):
            raise _EndedEarlyError("diverged")
        if on_epoch is not None:
            on_epoch(Progress(self.samples_seen / len(self.subset), self.recipe.epochs, loss))

    def _renew_masks(self, *, last: bool) -> bool:
        """Bring the masks up to the schedule; True once they are final. The last chunk prunes in any case."""
        assert self.pruning is not None
        progress = 1.0 if last else self.done / self.steps
        if progress >= self.pruning.start:
            sparsity = self.pruning.sparsity_at(progress)
            self.masks.renew(self.module.channel_weights(), sparsity, self.pruning.saliency)
        return progress >= self.pruning.end

    def result(self) -> tuple[Graph, Weights]:
        """The network as it ships: BatchNorm's statistics estimated under the final masks, masked channels removed."""
        picked = torch.from_numpy(self.subset[_spread(len(self.subset), STATISTICS_SAMPLES)]).to(self.device)
        estimate_statistics(self.module, self.x.index_select(0, picked))
        trained = weights(self.module)
        if not all_finite(trained):
            raise _EndedEarlyError("diverged")
        return shrink(self.graph, trained, self.masks.keep())


def _for_lack_of_memory(error: Exception) -> bool:
    """On the CPU torch has no class of its own for it."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)


def _spread(available: int, wanted: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """At most `wanted` indices, evenly over `available`: int64."""
    return np.unique(np.linspace(0, available - 1, min(available, wanted)).astype(np.int64))


def _checked_device(device: str) -> torch.device:
    """The torch device, or a TrainingError that says what there is."""
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise TrainingError(f'device = "{device}": no such device', 'use "cpu", "cuda" or "cuda:0"') from error
    if chosen.type not in ("cpu", "cuda"):
        raise TrainingError(f'device = "{device}": not supported', 'use "cpu", "cuda" or "cuda:0"')
    if chosen.type == "cuda" and not (torch.cuda.is_available() and (chosen.index or 0) < torch.cuda.device_count()):
        raise TrainingError(f'device = "{device}": torch {torch.__version__} sees no such CUDA device', 'use device = "cpu"')
    return chosen
