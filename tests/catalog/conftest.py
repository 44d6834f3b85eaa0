"""A published site of one entry for the tests of fetching, and a host that serves it."""

import shutil

import pytest

from ..pages.cards import synthetic  # noqa: TID252
from .hosts import ID, serving, write_site


@pytest.fixture(scope="module")
def made_site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fetch")
    synthetic().write(folder / "zoo")
    write_site(folder / "zoo", folder / "site")
    return folder


@pytest.fixture
def site(made_site, tmp_path):
    return shutil.copytree(made_site / "site", tmp_path / "site")


@pytest.fixture
def entry(made_site):
    return made_site / "zoo" / ID


@pytest.fixture
def host(site):
    with serving(site) as host:
        yield host


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"
