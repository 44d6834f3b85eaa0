"""Lighthouse's accessibility and best practices; its performance, which no test can hold, is in benchmarks/."""

import json
import subprocess
import sys

import pytest

from ..pages.sites import ROOT  # noqa: TID252  # tests are no package that could be named from its root
from .kinds import MODEL

pytestmark = [pytest.mark.lighthouse, pytest.mark.slow]


@pytest.mark.parametrize("name", ["index.html", MODEL])
def test_lighthouse_gives_95_or_more(site, tmp_path, name):
    report = tmp_path / "report.json"
    command = [sys.executable, ROOT / "benchmarks/lighthouse.py", "--site", site, "--page", name, "--runs", "1", "--json", report]
    command += ["--only", "accessibility,best-practices", "--form", "desktop"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    (found,) = json.loads(report.read_text())
    assert set(found["scores"]) == {"accessibility", "best-practices"}
    assert min(found["scores"].values()) >= 95, found["lost"]
    assert done.returncode == 0, done.stderr
