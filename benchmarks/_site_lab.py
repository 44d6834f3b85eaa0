"""What the benchmarks of the site share with its tests: the zoo of 204 synthetic and the published entries, and a host."""

from __future__ import annotations

import os
import platform
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.browser.serving import serving  # noqa: E402  # tests are no package that is installed
from tests.conftest import NODE_PACKAGES, find_chromium, find_node  # noqa: E402
from tests.pages.sites import big_zoo  # noqa: E402

__all__ = ["NODE_PACKAGES", "ROOT", "big_zoo", "busy", "find_chromium", "find_node", "machine", "median", "serving"]


def machine() -> str:
    """What the figures were measured on."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").is_file() else []
    processor = next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.processor())
    return f"{platform.system()} {platform.machine()}, {processor}, {os.cpu_count()} cores, Python {platform.python_version()}"


def busy() -> str:
    """How many processes wanted a core in the last minute: above the number of cores times mean little."""
    return f"load {os.getloadavg()[0]:.1f}"


def median(values: Sequence[float]) -> float:
    """Of at least one value."""
    return float(statistics.median(values))
