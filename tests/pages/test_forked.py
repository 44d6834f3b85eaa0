"""Work in a copy of the process: its result, its error, its death, and no copy where there are threads."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

from microzoo.errors import SiteError
from microzoo.pages.forked import begin, may_fork


def ended(program: str) -> str:
    """What a process of one thread prints. Such a one may fork, this one of the test runner may not."""
    lines = "import os\nfrom microzoo.errors import SiteError\nfrom microzoo.pages.forked import begin, may_fork\n"
    done = subprocess.run([sys.executable, "-c", lines + program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_process_of_one_thread_does_it_in_a_copy_where_there_is_a_second_core():
    apart = sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1
    assert ended("print(may_fork(), begin(lambda: os.getpid())() != os.getpid())") == f"{apart} {apart}"


def test_with_threads_it_is_done_here_when_it_is_asked_for():
    seen = []
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        assert not may_fork()
        result = begin(lambda: seen.append(1) or 7)
        assert seen == [] and result() == 7 and seen == [1]
    finally:
        stop.set()
        thread.join()


def test_an_error_of_ours_arrives_whole():
    program = """
def fail(): raise SiteError("a: b is missing", "restore it")
try: begin(fail)()
except SiteError as error: print(error)
"""
    assert ended(program) == str(SiteError("a: b is missing", "restore it"))


def test_a_copy_that_dies_is_an_error_and_no_hang():
    program = "here = os.getpid()\ndef die(): return os.getpid() == here or os._exit(3)\n"
    program += "try: print(begin(die)())\nexcept RuntimeError as error: print(error)"
    apart = sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1
    assert ended(program) == ("a process that renders a part of the site ended with 3" if apart else "True")
