"""Executors: where trainings run. Results come back in the order of submission, whatever finishes first.

So the history depends on the seed and on how many candidates are in flight (`[search] parallel`), never on timing.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor as Pool
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from microzoo.errors import TrainingError

T = TypeVar("T")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Executor(Protocol[T, R_co]):
    """Takes tasks (candidates), yields results (evaluations).

    `next` blocks and gives results strictly in the order of `submit`. What runs is deterministic
    in its task. Leaving the context abandons what is in flight and leaves no process behind.
    """

    @property
    def in_flight(self) -> int:
        """Tasks submitted and not yet returned by `next`."""
        ...

    def submit(self, task: T) -> None:
        """Queues a task. Never blocks for its result."""
        ...

    def next(self) -> tuple[T, R_co]:
        """The oldest task in flight with its result. Raises TrainingError where the machinery failed."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


class LocalExecutor(Generic[T, R]):
    """Processes on this machine (one thread each) or, for one CUDA device, threads with a stream each."""

    def __init__(self, work: Callable[[T], R], workers: int, *, threads: bool = False) -> None:
        """work: what is done with a task, picklable where processes are used; workers: how many run at the same time."""
        self._work = work
        self._queue: deque[tuple[T, Future[R]]] = deque()
        self._pool: Pool
        if threads:
            self._pool = ThreadPoolExecutor(workers)
        else:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(os.getpid(),))

    @property
    def in_flight(self) -> int:
        """Tasks submitted and not yet returned."""
        return len(self._queue)

    def submit(self, task: T) -> None:
        """Queues a task."""
        try:
            self._queue.append((task, self._pool.submit(self._work, task)))
        except BrokenProcessPool as error:
            raise _worker_died() from error

    def next(self) -> tuple[T, R]:
        """The oldest task in flight with its result."""
        task, future = self._queue[0]
        try:
            result = future.result()
        except BrokenProcessPool as error:
            raise _worker_died() from error
        self._queue.popleft()
        return task, result

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        processes = list(getattr(self._pool, "_processes", None) or {}).copy()
        self._pool.shutdown(wait=isinstance(self._pool, ThreadPoolExecutor), cancel_futures=True)
        for process in processes:
            _terminate(process)


def _worker_died() -> TrainingError:
    return TrainingError(
        "a worker process died during training, perhaps for lack of memory",
        "run the same command again: everything finished is kept; fewer workers need less memory",
    )


def _terminate(process: int) -> None:
    try:
        os.kill(process, signal.SIGTERM)
    except ProcessLookupError:
        return


def _start_worker(parent: int) -> None:
    """Ctrl-C is the parent's business; a worker whose parent is gone ends itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)
