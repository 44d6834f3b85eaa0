"""Work done beside other work, in a copy of this process, where that is safe: a build of the site is all processor time.

Safe is a process of one thread on Linux with a second core. Elsewhere the work is done when its result is asked for.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def begin(work: Callable[[], T]) -> Callable[[], T]:
    """Starts `work` and gives what waits for its result, which is called once. The result, or the error, must be picklable.

    What `work` changes in memory is lost where it was forked: it returns what matters, or writes files.
    """
    if not may_fork():
        return work
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(work, theirs), daemon=True)
    process.start()
    theirs.close()

    def result() -> T:
        try:
            failed, found = ours.recv()
        except EOFError:
            process.join()
            raise RuntimeError(f"a process that renders a part of the site ended with {process.exitcode}") from None
        finally:
            ours.close()
        process.join()
        if failed:
            raise found
        done: T = found
        return done

    return result


def may_fork() -> bool:
    """Whether a copy of this process would run beside it and could not wait for a thread that was not copied."""
    if sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2:
        return False
    return threading.active_count() == 1 == len(list(Path("/proc/self/task").iterdir()))


def _send(work: Callable[[], Any], to: Connection) -> None:
    try:
        answer = False, work()
    except Exception as error:  # noqa: BLE001 - the one who waits raises it
        answer = True, error
    to.send(answer)
    to.close()
