"""The models of the conformance tests, made once a session."""

import pytest

from microzoo.graph.integer import IntegerModel

from .networks import conformance_models


@pytest.fixture(scope="session")
def models() -> dict[str, IntegerModel]:
    """Name -> model: the hand-made corners and sixty random networks."""
    return conformance_models(60)
