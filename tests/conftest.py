"""What every test shares: tools that may be missing, and the rule that CI skips nothing that can be installed.

A test says by a marker what it needs (`arm`, `browser`, `axe`, `lighthouse`, `tflm`, `cuda`); where that is missing it is
skipped with the reason.
With CI=true a skip is a failure, except of a test marked `cuda`: apt, PyPI and npm can provide everything else.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

# Two pytest processes share two cores: a numerical library that starts a thread per core only makes both wait.
os.environ.setdefault("OMP_NUM_THREADS", "1")

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NODE_PACKAGES = Path(__file__).parents[1] / "tools" / "web" / "node_modules"
MAY_BE_SKIPPED_IN_CI = frozenset({"cuda"})


@functools.cache
def find_chromium() -> Path | None:
    """The first of BROWSERS on PATH that runs; Ubuntu's chromium-browser may be a stub that only asks for a snap."""
    for name in BROWSERS:
        found = shutil.which(name)
        if found and subprocess.run([found, "--version"], capture_output=True, check=False, timeout=60).returncode == 0:
            return Path(found)
    return None


@functools.cache
def find_node() -> Path | None:
    """A Node.js that is new enough for what is tested with it: the one of the virtual environment, or else that on PATH."""
    for folder in (str(Path(sys.executable).parent), None):
        found = shutil.which("node", path=folder)
        if found is None:
            continue
        version = subprocess.run([found, "--version"], capture_output=True, check=False, text=True, timeout=60).stdout
        if version.startswith("v") and int(version[1:].split(".")[0]) >= 22:
            return Path(found)
    return None


def _lacks_arm() -> str | None:
    compiler = shutil.which("arm-none-eabi-gcc")
    if compiler is None:
        return "arm-none-eabi-gcc is not installed (Debian: gcc-arm-none-eabi)"
    # The compiler prints a path for a file that it finds, and the bare name for one that it does not.
    where = subprocess.run([compiler, "-print-file-name=nosys.specs"], capture_output=True, check=True, text=True, timeout=60)
    return None if Path(where.stdout.strip()).is_absolute() else "newlib is not installed (Debian: libnewlib-arm-none-eabi)"


def _lacks_browser() -> str | None:
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed"
    return None if find_chromium() else "no Chromium that runs (Debian: chromium)"


def _lacks_axe() -> str | None:
    return _lacks_browser() or _lacks_package("axe-core")


def _lacks_lighthouse() -> str | None:
    return _lacks_browser() or _lacks_package("lighthouse") or (None if find_node() else "no Node.js 22 or newer")


def _lacks_package(name: str) -> str | None:
    return None if (NODE_PACKAGES / name / "package.json").is_file() else f"npm's {name} is not installed (sh tools/web.sh)"


def _lacks_tflm() -> str | None:
    return None if importlib.util.find_spec("tflite_micro") else "the tflite-micro wheel is not installed (x86-64 Linux only)"


def _lacks_cuda() -> str | None:
    try:
        ctypes.CDLL("libcuda.so.1")  # what torch would load; asking first saves the seconds of importing torch
    except OSError:
        return "no CUDA driver"
    import torch

    return None if torch.cuda.is_available() else "no CUDA device"


LACKS: dict[str, Callable[[], str | None]] = {
    marker: functools.cache(lacks)
    for marker, lacks in (
        ("arm", _lacks_arm),
        ("browser", _lacks_browser),
        ("axe", _lacks_axe),
        ("lighthouse", _lacks_lighthouse),
        ("tflm", _lacks_tflm),
        ("cuda", _lacks_cuda),
    )
}


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The browser of the tests marked `browser`."""
    found = find_chromium()
    assert found is not None, "a test that uses this fixture carries @pytest.mark.browser, and is skipped without a browser"
    return found


@pytest.fixture(autouse=True)
def _one_torch_thread() -> None:
    """Keeps torch to one thread once some test has imported it; never imports it."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips a test whose tool is missing, before its fixtures are made."""
    for marker in item.iter_markers():
        if marker.name in LACKS and (reason := LACKS[marker.name]()):
            pytest.skip(reason)


def _fail_if_skipped(report: pytest.TestReport | pytest.CollectReport, markers: frozenset[str]) -> None:
    """With CI=true turns a skip into a failure that gives the skip's reason."""
    expected = hasattr(report, "wasxfail") or markers & MAY_BE_SKIPPED_IN_CI
    if os.environ.get("CI") != "true" or not report.skipped or expected:
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid}: skipped, which is a failure in CI. {reason}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Applies the rule on skips to tests."""
    report = yield
    _fail_if_skipped(report, frozenset(marker.name for marker in item.iter_markers()))
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Applies the rule on skips to whole modules, such as pytest.importorskip at their top."""
    report = yield
    _fail_if_skipped(report, frozenset(marker.name for marker in collector.iter_markers()))
    return report
