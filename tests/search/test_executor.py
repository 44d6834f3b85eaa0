from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import pytest

from microzoo.errors import TrainingError
from microzoo.search.executor import LocalExecutor, stop_requested

WORKERS = """
import os
import time
from pathlib import Path

def double(task, *, deadly=(), once=None):
    if task in deadly:
        os._exit(9)
    if once is not None and not Path(once).exists():
        Path(once).touch()
        os._exit(9)
    return 2 * task

def fail(task):
    raise {"memory": MemoryError, "device": RuntimeError, "disk": OSError}[task](f"no {task} left\\nC++ stack:\\n#0 malloc")

def nap(seconds):
    time.sleep(seconds)
    return os.getpid()
"""


@pytest.fixture
def workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """The module above, importable here and in the worker processes."""
    (tmp_path / "zoo_workers.py").write_text(WORKERS, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "zoo_workers", raising=False)
    return __import__("zoo_workers")


@pytest.mark.parametrize("threads", [True, False])
def test_results_come_in_the_order_of_submission(threads: bool) -> None:
    with LocalExecutor(math.sqrt, 2, threads=threads) as executor:
        for value in range(20):
            executor.submit(value)
        assert executor.in_flight == 20
        assert [executor.next() for _ in range(20)] == [(value, math.sqrt(value)) for value in range(20)]
        assert executor.in_flight == 0


def test_a_task_that_kills_its_worker_twice_is_an_error_with_a_remedy() -> None:
    with LocalExecutor(os._exit, 1) as executor:
        executor.submit(3)
        with pytest.raises(TrainingError, match=r"a worker process died during training, twice.*run the same command again"):
            executor.next()


def test_a_task_that_kills_its_worker_once_is_tried_again(workers, tmp_path: Path) -> None:
    with LocalExecutor(partial(workers.double, once=str(tmp_path / "died")), 1) as executor:
        executor.submit(4)
        executor.submit(5)
        assert [executor.next(), executor.next()] == [(4, 8), (5, 10)]


def test_a_deadly_task_gets_the_callers_result_and_the_others_their_own(workers) -> None:
    deaths: list[int] = []

    def on_death(task: int) -> int:
        deaths.append(task)
        return -1

    with LocalExecutor(partial(workers.double, deadly=(2, 4)), 2, on_death=on_death) as executor:
        for task in range(3):
            executor.submit(task)
        results = [executor.next()]
        for task in range(3, 6):  # into a pool that is whole, broken or about to break
            executor.submit(task)
            results.append(executor.next())
        while executor.in_flight:
            results.append(executor.next())
    assert results == [(0, 0), (1, 2), (2, -1), (3, 6), (4, -1), (5, 10)]
    assert deaths == [2, 4]


def test_where_no_worker_lives_the_task_is_not_to_blame(workers, monkeypatch: pytest.MonkeyPatch) -> None:
    blamed: list[int] = []
    monkeypatch.setattr("microzoo.search.executor._start_worker", os._exit)  # its argument is the exit code
    with LocalExecutor(workers.double, 1, on_death=lambda task: blamed.append(task) or 0) as executor:
        executor.submit(1)
        with pytest.raises(TrainingError, match="a worker process died"):
            executor.next()
    assert blamed == []


@pytest.mark.parametrize("threads", [True, False])
@pytest.mark.parametrize(
    ("task", "kind"),
    [("memory", "MemoryError"), ("device", "RuntimeError"), ("disk", "OSError")],
    ids=["memory", "device", "disk"],
)
def test_errors_of_the_machine_are_one_line_with_a_remedy(workers, task: str, kind: str, threads: bool) -> None:
    with LocalExecutor(workers.fail, 1, threads=threads) as executor:
        executor.submit(task)
        with pytest.raises(TrainingError, match="run the same command again") as caught:
            executor.next()
    assert str(caught.value).startswith(f"a worker failed during training: {kind}: no {task} left; ")
    assert "\n" not in str(caught.value)


def test_a_worker_that_cannot_be_started_is_an_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    with LocalExecutor(math.sqrt, 1, threads=True) as executor:
        monkeypatch.setattr(ThreadPoolExecutor, "submit", refuse)
        with pytest.raises(TrainingError, match=r"no worker could be started: BlockingIOError: .*; use fewer workers"):
            executor.submit(1)
        assert executor.in_flight == 0


def test_a_pool_that_breaks_while_it_starts_a_worker_is_mended(workers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pipes are closed by then: seen under load as `OSError: handle is closed`."""
    with LocalExecutor(workers.double, 1) as executor:
        whole, refused = executor._pool.submit, []

        def submit(*arguments: object) -> object:
            if refused:
                return whole(*arguments)
            refused.append(arguments)
            executor._pool._broken = "a child died"
            raise OSError("handle is closed")

        monkeypatch.setattr(executor._pool, "submit", submit)
        executor.submit(3)
        assert refused
        assert executor.next() == (3, 6)


def test_a_mistake_of_ours_keeps_its_own_class() -> None:
    with LocalExecutor(math.sqrt, 1, threads=True) as executor:
        executor.submit(-1.0)
        with pytest.raises(ValueError, match="math domain error"):
            executor.next()


def test_leaving_ends_processes_at_once(workers) -> None:
    started = time.monotonic()
    with LocalExecutor(workers.nap, 1) as executor:
        executor.submit(0.0)
        _, process = executor.next()
        executor.submit(30.0)
    assert time.monotonic() - started < 15
    while _alive(process):
        assert time.monotonic() - started < 20
        time.sleep(0.05)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_leaving_asks_threads_to_stop_and_no_other_executors_ones() -> None:
    begun = threading.Barrier(3)
    free = threading.Event()

    def train(_: int) -> str:
        begun.wait(10)
        while not stop_requested() and not free.wait(0.01):
            pass
        return "stopped" if stop_requested() else "trained"

    assert not stop_requested()
    with LocalExecutor(train, 1, threads=True) as other:
        other.submit(0)
        with LocalExecutor(train, 1, threads=True) as executor:
            executor.submit(0)
            executor.submit(1)
            begun.wait(10)
            future = executor._queue[0][1]
        assert future.result(0) == "stopped"
        free.set()
        assert other.next() == (0, "trained")
    assert other.stopped.is_set()


INTERRUPTED = """
import os, signal, sys, time
from microzoo.search.executor import LocalExecutor

def main():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a test runner's workers may ignore it, and children inherit that
    with LocalExecutor(time.sleep, 2) as executor:
        try:
            executor.submit(30)
            executor.submit(30)
            print("ready", flush=True)
            executor.next()
        except KeyboardInterrupt:
            print("interrupted", flush=True)

if __name__ == "__main__":
    main()
"""


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="no signal masks on this system")
@pytest.mark.parametrize("wait", [0.0, 0.1])
def test_ctrl_c_while_workers_start_prints_no_traceback(tmp_path: Path, wait: float) -> None:
    program = tmp_path / "program.py"
    program.write_text(INTERRUPTED, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, str(program)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(wait)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the parent and to its children, which still import
    output, errors = process.communicate(timeout=20)
    assert output == "interrupted\n"
    assert errors == ""
    assert process.returncode == 0


def test_a_broken_pool_keeps_what_was_finished(workers) -> None:
    with LocalExecutor(partial(workers.double, deadly=(1,)), 1, on_death=lambda _: -1) as executor:
        executor.submit(0)
        executor.submit(1)
        broken = executor._queue[1][1]
        assert isinstance(broken.exception(20), BrokenProcessPool)
        executor.submit(2)
        assert [executor.next() for _ in range(3)] == [(0, 0), (1, -1), (2, 4)]
