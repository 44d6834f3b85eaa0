from pathlib import Path

import pytest

from ..pages.sites import site_of  # noqa: TID252  # tests are no package that could be named from its root


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return site_of(tmp_path_factory.getbasetemp())
