from pathlib import Path

import pytest

from .files import residual_model, write_entry, write_full_entry


@pytest.fixture(scope="session")
def model():
    return residual_model()


@pytest.fixture(scope="session")
def entry(tmp_path_factory, model) -> Path:
    """A published entry's files; tests that change them copy the folder."""
    return write_entry(tmp_path_factory.mktemp("zoo") / "entry", model)


@pytest.fixture(scope="session")
def full_entry(tmp_path_factory, model) -> Path:
    """The same model with everything that is published today."""
    return write_full_entry(tmp_path_factory.mktemp("zoo") / "full", model)
