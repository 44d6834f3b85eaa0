"""The option --networks, the chunks, and the summary of a whole run.

`pytest` runs the corners and NETWORKS networks; `make conformance` a thousand on two processes, writes build/conformance.json and
puts the table into site/pages/develop/conformance.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from .cases import Case, chunk_cases, chunk_names
from .summary import Record, publish, report

NETWORKS, CHUNK = 48, 24
WHOLE_CHUNK = 50


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--networks", type=int, default=NETWORKS, help="random networks of the search space that conform")
    parser.addoption("--publish", action="store_true", help="write build/conformance.json and the page")


def _networks(config: pytest.Config) -> int:
    # This file is no conftest of the whole suite's command line, so there the option is unknown.
    return int(config.getoption("networks", NETWORKS))


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Summary(config), "conformance-summary")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each chunk is a group, so that one process makes its networks once."""
    if "chunk" in metafunc.fixturenames:
        networks = _networks(metafunc.config)
        names = chunk_names(networks, CHUNK if networks <= NETWORKS else WHOLE_CHUNK)
        chunks = [pytest.param(name, id=name, marks=pytest.mark.xdist_group(name)) for name in names]
        metafunc.parametrize("chunk", chunks, scope="module")


@pytest.fixture(scope="module")
def cases(chunk: str) -> tuple[Case, ...]:
    return chunk_cases(chunk)


@pytest.fixture(scope="module")
def whole(pytestconfig: pytest.Config) -> bool:
    """Whether this is a whole run, as of `make conformance`."""
    return _networks(pytestconfig) > NETWORKS


@pytest.fixture
def record(record_property: Callable[[str, object], None]) -> Callable[[Record], None]:
    """Puts one comparison into the summary. Call it before asserting, so that failures are counted too."""
    return lambda comparison: record_property("conformance", comparison.to_json())


class _Summary:
    """Collects what the tests recorded, in this process or in others."""

    def __init__(self, config: pytest.Config) -> None:
        self.config, self.records, self.start = config, list[Record](), time.monotonic()
        self.failed = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            found = [Record(**value) for key, value in report.user_properties if key == "conformance"]
            self.records += found
            self.failed += bool(report.failed and "tests/conformance/" in report.nodeid)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if not self.config.getoption("publish", False) or not self.records:
            return
        terminalreporter.section("conformance")
        for line in report(self.records):
            terminalreporter.write_line(line)
        if not self.failed:
            publish(self.records, seconds=time.monotonic() - self.start)
