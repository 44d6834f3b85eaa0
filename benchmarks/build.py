"""What a build costs: wall time, memory of all its processes, the share of training. Also the start of the command.

Run: python benchmarks/build.py [SPEC [TIME]]      (default specs/demo.toml without a time budget; writes to a temporary folder)
Ratios, each against a peer in the same run: the build against its own trainings (the peer is a search loop that costs nothing),
and `zoo --help` against an empty Python program.
"""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from importlib.metadata import version
from pathlib import Path

REPETITIONS = 7
SAMPLE_SECONDS = 0.1


def main() -> None:
    spec = Path(sys.argv[1] if len(sys.argv) > 1 else "specs/demo.toml").resolve()
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
    print(f"{machine}, Python {platform.python_version()}, torch {version('torch')}")
    start_up()
    budget = ["--budget", sys.argv[2]] if len(sys.argv) > 2 else []
    with tempfile.TemporaryDirectory() as folder:
        whole_build(spec, Path(folder), budget)


def start_up() -> None:
    """`zoo --help` and an empty program in turn, medians."""
    ours, empty = [], []
    for _ in range(REPETITIONS):
        ours.append(seconds([sys.executable, "-m", "microzoo", "--help"]))
        empty.append(seconds([sys.executable, "-c", "pass"]))
    a, b = statistics.median(ours), statistics.median(empty)
    print(f"zoo --help     {a:6.3f} s   empty Python {b:6.3f} s   ratio {a / b:5.1f}   (median of {REPETITIONS})")


def seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def whole_build(spec: Path, folder: Path, budget: list[str]) -> None:
    """One build of `spec` from nothing."""
    command = [sys.executable, "-m", "microzoo", "build", str(spec), "--json", *budget]
    for option in ("out", "work", "site"):
        command += [f"--{option}", str(folder / option)]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak = [0]
    watcher = threading.Thread(target=watch, args=(process.pid, peak, process))
    watcher.start()
    output, _ = process.communicate()
    watcher.join()
    wall = time.perf_counter() - started
    assert process.returncode == 0, process.returncode
    searched, epochs, count = trainings(folder / "work")
    workers = min(4, os.cpu_count() or 1)
    memory = f"peak memory of all processes {peak[0] / 2**20:,.0f} MiB (Pss)"
    print(f"build          {wall:6.1f} s   {count} candidates, {epochs:.0f} epochs, {memory}")
    ratio = f"build / search training {wall * workers / searched:5.2f}"
    print(f"search         {searched / workers:6.1f} s of training on {workers} cores   {ratio}")
    for entry in json.loads(output)["entries"]:
        card = json.loads((folder / "out" / entry / "card.json").read_text(encoding="utf-8"))
        limits = card["limits"]
        needs = ", ".join(f"{limit['name']} {limit['need']:,.0f}/{limit['have']:,.0f} {limit['unit']}" for limit in limits)
        print(f"{entry}: {card['headline']['value']:.2%} int8 test accuracy; {needs}")


def trainings(work: Path) -> tuple[float, float, int]:
    """Seconds, epochs and number of the search's evaluations, from the histories."""
    rows: list[tuple[float, float]] = []
    for path in work.glob("*/*/*/history.sqlite"):
        with sqlite3.connect(path) as connection:
            rows += connection.execute("select seconds, epochs from evaluations").fetchall()
        connection.close()
    return sum(row[0] for row in rows), sum(row[1] for row in rows), len(rows)


def watch(root: int, peak: list[int], process: subprocess.Popen[str]) -> None:
    """Keeps the greatest sum of proportional set sizes of a process and all below it. Linux only."""
    while process.poll() is None:
        peak[0] = max(peak[0], sum(pss(pid) for pid in family(root)))
        time.sleep(SAMPLE_SECONDS)


def family(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        children.setdefault(parent, []).append(int(status.parent.name))
    found, todo = [root], [root]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def pss(pid: int) -> int:
    """Bytes, shared pages shared out among those that use them; 0 for a process that is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), 0)


if __name__ == "__main__":
    main()
