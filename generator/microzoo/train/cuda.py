"""Running training steps: one call a step on the CPU, one replayed graph for many steps on CUDA.

A network for a microcontroller is so small that launching its kernels one by one costs more than running them. A CUDA graph
launches many steps at once, and candidates on parallel streams, a thread each, fill the device.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import torch

Step = Callable[[], None]
Runner = Callable[[int], None]
"""Runs that many steps; on CUDA it returns before they are done."""

_WARM_UP = 3
_capture_lock = threading.Lock()


def runner(step: Step, chunk: int, device: torch.device) -> Runner:
    """The fastest way to run `step` on `device`, given that most calls will ask for `chunk` steps."""
    return CapturedSteps(step, chunk) if device.type == "cuda" else EagerSteps(step)


class EagerSteps:
    """Step after step."""

    def __init__(self, step: Step) -> None:
        self.step = step

    def __call__(self, count: int) -> None:
        """Run `count` steps."""
        for _ in range(count):
            self.step()


class CapturedSteps:
    """`chunk` steps captured once on the current stream, then replayed on it.

    The first steps run eagerly: libraries allocate and choose their kernels then, which a capture must not see. They are training
    steps like any other. So does a call for another number of steps than `chunk`.
    """

    def __init__(self, step: Step, chunk: int) -> None:
        self.eager = EagerSteps(step)
        self.chunk = chunk
        self.graph: torch.cuda.CUDAGraph | None = None
        self.done = 0

    def __call__(self, count: int) -> None:
        """Run `count` steps on the current stream, which must not be the device's default one."""
        if count != self.chunk or self.done < _WARM_UP:
            self.eager(count)
        else:
            if self.graph is None:
                self.graph = self._capture()
            self.graph.replay()
        self.done += count

    def _capture(self) -> torch.cuda.CUDAGraph:
        """Record `chunk` steps without running them. One capture at a time; other threads go on running theirs."""
        graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.current_stream()
        with _capture_lock, torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            self.eager(self.chunk)
        return graph


def own_stream(device: torch.device) -> torch.cuda.Stream | None:
    """The stream a training runs on: the caller's, or a new one where that is the default stream. None on the CPU."""
    if device.type != "cuda":
        return None
    current = torch.cuda.current_stream(device)
    if current != torch.cuda.default_stream(device):
        return current
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
