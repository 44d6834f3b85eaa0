"""Killed anywhere, resumed, the same history: `kill -9` at random moments of a search with real trainings.

    python benchmarks/kill.py [--times 50] [--evaluations 14] [--seed 0]

Each time a search (digits, three rungs, pruning, two workers) begins anew in a folder of its own, is killed with SIGKILL up to a
second (a random time) after it has committed a random number of evaluations, none included, and is run again to its end.
The digest of its history, everything but wall time, must be that of a search that was never killed. Every second time the
workers are killed too, as when a machine loses power; else they find out for themselves. The peer is a whole search: what a kill
costs is printed as a ratio.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _lab import ROOT, setting
from microzoo.search.history import History, count_evaluations

SPEC = """
dataset = "digits"
targets = ["cortex-m0plus-8k"]
[search]
evaluations = {evaluations}
rungs = 3
reduction = 2
epochs = 0.5
random_parents = 2
reference_widths = [1.0]
parallel = 3
"""


def child(folder: Path) -> None:
    """The search of the spec in `folder`, to its end."""
    from microzoo.build.job import problem_of
    from microzoo.build.scratch import store_arrays
    from microzoo.build.training import Trainer
    from microzoo.data.load import load
    from microzoo.search.executor import LocalExecutor
    from microzoo.search.run import search
    from microzoo.search.types import Candidate, Evaluation
    from microzoo.spec.load import load_jobs

    (job,) = load_jobs([folder / "specs"])
    if not (folder / "arrays").is_dir():
        store_arrays(folder / "making", load(job.dataset_name, job.dataset))
        (folder / "making").rename(folder / "arrays")
    executor: LocalExecutor[Candidate, Evaluation]
    trainer = Trainer(job, folder / "arrays", "cpu")
    with History(folder / "history.sqlite", "identity") as history, LocalExecutor(trainer.evaluate, 2) as executor:
        evaluations = job.family.search.evaluations
        search(problem_of(job), history, executor, evaluations=evaluations, on_row=lambda _: None, should_stop=lambda _: False)


def prepare(folder: Path, evaluations: int) -> Path:
    """A folder with the spec."""
    for part in ("targets", "datasets"):
        shutil.copytree(ROOT / "specs" / part, folder / "specs" / part)
    (folder / "specs" / "kill.toml").write_text(SPEC.format(evaluations=evaluations), encoding="utf-8")
    return folder


def start(folder: Path) -> subprocess.Popen[bytes]:
    """The search in a process group of its own."""
    return subprocess.Popen([sys.executable, __file__, "--child", str(folder)], start_new_session=True)


def whole(folder: Path) -> float:
    """Seconds to the end of the search."""
    started = time.monotonic()
    code = start(folder).wait()
    assert code == 0, code
    return time.monotonic() - started


def state(folder: Path) -> tuple[int, str]:
    """Number of evaluations and digest of the history."""
    with History(folder / "history.sqlite", "identity") as history:
        return len(history.rows()), history.digest()


def main() -> None:
    """Prints a line for each kill; exit 1 at the first difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--evaluations", type=int, default=14)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child)
        return
    print(setting())
    draw = random.Random(arguments.seed)
    found, extra = [], 0.0
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        seconds = whole(prepare(root / "whole", arguments.evaluations))
        count, expected = state(root / "whole")
        assert count == arguments.evaluations, count
        print(f"never killed: {count} evaluations, {seconds:.1f} s, digest {expected[:16]}", flush=True)
        for number in range(arguments.times):
            folder = prepare(root / f"kill{number}", arguments.evaluations)
            began, wanted, delay = time.monotonic(), draw.randrange(count), draw.uniform(0.0, 1.0)
            process = start(folder)
            while process.poll() is None and count_evaluations(folder / "history.sqlite") < wanted:
                time.sleep(0.01)
            time.sleep(delay)
            moment = time.monotonic() - began
            if number % 2:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
            process.wait()
            before = state(folder)[0] if (folder / "history.sqlite").exists() else 0
            rest = whole(folder)
            same = state(folder) == (count, expected)
            found.append(before)
            extra += moment + rest - seconds
            verdict = "same history" if same else "DIFFERENT"
            who = "all processes" if number % 2 else "parent alone"
            print(
                f"{number + 1:>3}: {who} killed after {moment:5.2f} s at {before:>2}/{count} evaluations: {verdict}", flush=True
            )
            if not same:
                sys.exit(1)
            shutil.rmtree(folder)
    spent = extra / arguments.times
    print(f"{arguments.times} kills, at 0 to {max(found)} evaluations: the same history every time")
    print(f"a kill and a second start cost {spent:.1f} s on average, {spent / seconds:.2f} of a whole search")


if __name__ == "__main__":
    main()
