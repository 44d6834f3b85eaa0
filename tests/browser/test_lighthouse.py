"""Lighthouse's accessibility and best practices; its performance, which no test can hold, is in benchmarks/."""

import json
import subprocess
import sys

import pytest

from ..pages.sites import ROOT  # noqa: TID252  # tests are no package that could be named from its root
from .kinds import MODEL

pytestmark = [pytest.mark.lighthouse, pytest.mark.slow]


def test_lighthouse_gives_95_or_more(site, tmp_path):
    """Both pages at once: most of a run is waiting for the page to be quiet."""
    running = {}
    for number, name in enumerate(("index.html", MODEL)):
        report = tmp_path / f"{number}.json"
        command = [sys.executable, ROOT / "benchmarks/lighthouse.py", "--site", site, "--page", name, "--runs", "1"]
        command += ["--json", report, "--only", "accessibility,best-practices", "--form", "desktop"]
        running[report] = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        said = {report: process.communicate(timeout=300)[1] for report, process in running.items()}
    finally:
        for process in running.values():
            process.kill()
    for report, process in running.items():
        assert process.returncode == 0, said[report]
        (found,) = json.loads(report.read_text())
        assert set(found["scores"]) == {"accessibility", "best-practices"}
        assert min(found["scores"].values()) >= 95, found["lost"]
