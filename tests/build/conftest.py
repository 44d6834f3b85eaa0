"""One small real build, shared by the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from .workshop import Workshop, make_workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return make_workshop(tmp_path / "workshop")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """After `zoo build`. Tests must leave it as it is; copy what they change."""
    workshop = make_workshop(tmp_path_factory.mktemp("built") / "workshop")
    done = workshop.zoo("build")
    (workshop.folder / "output.txt").write_text(done.stdout, encoding="utf-8")
    return workshop
