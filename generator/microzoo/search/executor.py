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
from collections.abc import Callable, Iterator
from concurrent.futures import Executor as Pool
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from microzoo.errors import TrainingError

T = TypeVar("T")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

POLL_SECONDS = 0.02

_thread = threading.local()


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
    """Processes on this machine (one thread each) or, for one CUDA device, threads with a stream each.

    A task whose process dies, perhaps for lack of memory, is tried once more, alone. Leaving the context ends processes at once;
    threads cannot be ended, so `stopped` is set, which `work` finds out by `stop_requested`.
    """

    def __init__(
        self, work: Callable[[T], R], workers: int, *, threads: bool = False, on_death: Callable[[T], R] | None = None
    ) -> None:
        """work: what is done with a task, picklable where processes are used; workers: how many run at the same time.

        on_death: gives, in this process, the result of a task that killed its worker twice; None: `next` raises TrainingError.
        """
        self.stopped = threading.Event()
        self._work, self._workers, self._threads, self._on_death = work, workers, threads, on_death
        self._queue: deque[tuple[T, Future[R]]] = deque()
        self._pool = self._new_pool()

    @property
    def in_flight(self) -> int:
        """Tasks submitted and not yet returned."""
        return len(self._queue)

    def submit(self, task: T) -> None:
        """Queues a task. Raises TrainingError where no worker can be started."""
        self._queue.append((task, self._start(task)))

    def next(self) -> tuple[T, R]:
        """The oldest task in flight with its result.

        Raises TrainingError where its worker ran out of memory, met an error of the system or of the device, or died twice.
        """
        task, future = self._queue[0]
        try:
            result = _result(future)
        except BrokenProcessPool:
            result = self._second_try(task)
        self._queue.popleft()
        return task, result

    def _new_pool(self) -> Pool:
        if self._threads:
            return ThreadPoolExecutor(self._workers, initializer=_start_thread, initargs=(self.stopped,))
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self._workers, mp_context=context, initializer=_start_worker, initargs=(os.getpid(),))

    def _start(self, task: T) -> Future[R]:
        """The task's result to come. In a pool that broke a moment ago it is a broken one, which `next` then mends."""
        try:
            with _interrupts_held_back():
                return self._pool.submit(self._work, task)
        except (OSError, RuntimeError) as error:
            # BrokenProcessPool is a RuntimeError. A pool that breaks while it starts a process meets closed pipes: an OSError.
            if not isinstance(error, BrokenProcessPool) and not getattr(self._pool, "_broken", False):
                raise TrainingError(f"no worker could be started: {_in_one_line(error)}", "use fewer workers") from error
            broken: Future[R] = Future()
            broken.set_exception(error if isinstance(error, BrokenProcessPool) else BrokenProcessPool(str(error)))
            return broken

    def _second_try(self, task: T) -> R:
        """The result of the oldest task, tried alone in a new pool; then whatever else broke is started again."""
        self._replace_pool()
        try:
            result = _result(self._start(task))
        except BrokenProcessPool as error:
            self._replace_pool()
            if self._on_death is None or not self._workers_start():
                raise TrainingError(
                    "a worker process died during training, twice, perhaps for lack of memory",
                    "run the same command again: everything finished is kept; fewer workers need less memory",
                ) from error
            result = self._on_death(task)
        for index, (other, future) in enumerate(self._queue):
            if index > 0 and _is_broken(future):
                self._queue[index] = (other, self._start(other))
        return result

    def _replace_pool(self) -> None:
        self._close_pool()
        self._pool = self._new_pool()

    def _close_pool(self) -> None:
        """Ends the processes, then waits for the pool's own thread.

        Waiting alone can last for ever: a process that `submit` starts while the pool finds itself broken is waited for, but not
        ended. Not waiting leaves that thread to the interpreter's exit, where it may meet closed pipes.
        """
        with _interrupts_held_back():
            for process in list((getattr(self._pool, "_processes", None) or {}).values()):
                process.terminate()
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _workers_start(self) -> bool:
        """Whether a worker lives at all. If not, it was not the task that killed it."""
        try:
            with _interrupts_held_back():
                future = self._pool.submit(os.getpid)
            return _result(future) > 0
        except (BrokenProcessPool, OSError):
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stopped.set()
        self._close_pool()


def stop_requested() -> bool:
    """Whether the executor on whose thread this is called is being left. Always False elsewhere, in worker processes too."""
    stopped: threading.Event | None = getattr(_thread, "stopped", None)
    return stopped is not None and stopped.is_set()


def _result(future: Future[R]) -> R:
    """What the work gave. BrokenProcessPool passes; other errors of the machinery become a TrainingError.

    Waits by looking again and again: while it waits inside the future, a Ctrl-C that comes to another thread is not noticed.
    """
    while not _is_done(future):
        time.sleep(POLL_SECONDS)
    try:
        return future.result()
    except BrokenProcessPool:
        raise
    except (RuntimeError, MemoryError, OSError) as error:
        raise TrainingError(
            f"a worker failed during training: {_in_one_line(error)}",
            "run the same command again: everything finished is kept; fewer workers need less memory",
        ) from error


def _is_done(future: Future[R]) -> bool:
    with _interrupts_held_back():
        return future.done()


def _is_broken(future: Future[R]) -> bool:
    return future.done() and isinstance(future.exception(), BrokenProcessPool)


def _in_one_line(error: BaseException) -> str:
    """Kind and first line: torch's messages go on with a C++ stack."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].strip()}" if lines else type(error).__name__


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Ctrl-C waits until the block is left. A KeyboardInterrupt within the pool's own code could leave its locks taken.

    A process that starts within the block inherits a blocked signal, and so prints no traceback while it imports;
    `_start_worker` then decides what Ctrl-C means there. Blocking alone is not enough here: the signal may come to another
    thread, and Python raises in the main one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handler = signal.getsignal(signal.SIGINT)
    replaced = handler is signal.default_int_handler
    if replaced:
        signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        with _interrupts_blocked():
            yield
    finally:
        if replaced:
            signal.signal(signal.SIGINT, handler)
    if came:
        raise KeyboardInterrupt


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """What processes inherit that are started here; nothing where the system has no signal masks."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # starting that process would unblock the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_thread(stopped: threading.Event) -> None:
    _thread.stopped = stopped


def _start_worker(parent: int) -> None:
    """Ctrl-C is the parent's business; a worker whose parent is gone ends itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)
