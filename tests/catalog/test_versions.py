"""Versions over a row of sites, each made from the one before: what was published stays, byte for byte."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from microzoo.catalog.fetch import fetch
from microzoo.catalog.former import carry_over
from microzoo.catalog.index import INDEX
from microzoo.catalog.source import FolderSource, source_of
from microzoo.catalog.store import damage, read_entry
from microzoo.catalog.versions import former_versions
from microzoo.cli import app
from microzoo.errors import FetchError, SiteError

from ..pages.cards import synthetic  # noqa: TID252
from .hosts import serving, write_site

ID = "digits/cortex-m0plus-8k/brisk-wren"
VERSIONS = f"models/{ID}/versions"


def better(seed):
    """The same entry with other files and figures."""
    return synthetic(seed=seed)


def next_site(zoo, previous, site, most=None):
    kept = site.with_name(f"{site.name}-kept")
    carry_over(source_of(str(previous)), kept, {}, most)
    return write_site(zoo, site, former_versions(kept), kept, most)


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def row(tmp_path):
    """Three sites in a row, each with another version of the entry, made from the one before."""
    better(0).write(tmp_path / "zoo")
    write_site(tmp_path / "zoo", tmp_path / "site0")
    for number in (1, 2):
        better(number).write(tmp_path / "zoo")
        next_site(tmp_path / "zoo", tmp_path / f"site{number - 1}", tmp_path / f"site{number}")
    return tmp_path


def listed(site, entry_id=ID):
    return json.loads((site / f"models/{entry_id}/versions" / INDEX).read_text())


def test_every_version_stays_where_it_was(row):
    names = [listed(row / f"site{number}")["current"] for number in range(3)]
    assert len(set(names)) == 3
    assert [each["version"] for each in listed(row / "site2")["versions"]] == names[::-1]
    for number, name in enumerate(names):
        first = files_of(row / f"site{number}" / VERSIONS / name)
        assert first and all(files_of(row / f"site{later}" / VERSIONS / name) == first for later in range(number, 3))


def test_every_version_can_be_fetched(row):
    for number in range(3):
        name = listed(row / f"site{number}")["current"]
        found = fetch(f"{ID}@{name[:8]}", FolderSource(row / "site2"), row / f"home{number}")
        assert found.version == name
        entry = read_entry(found.folder)
        assert damage(entry) == [] and entry.card.headline.correct == better(number).card.headline.correct


def test_what_did_not_change_is_not_written_again(row):
    """Even where another generator would make another bundle, and the build record is of a later build."""
    zoo = row / "zoo"
    before = files_of(row / "site2" / VERSIONS)
    build = zoo / ID / "build.json"
    build.write_text(build.read_text().replace("2026", "2027"))
    made = next_site(zoo, row / "site2", row / "site3")
    assert not made.files and not [address for address in made.made if address.endswith(".zip")]
    assert files_of(row / "site3" / VERSIONS) == before


def test_a_version_that_comes_back_is_current_again(row):
    better(0).write(row / "zoo")
    next_site(row / "zoo", row / "site2", row / "site3")
    order = [each["version"] for each in listed(row / "site3")["versions"]]
    first, second, third = (listed(row / f"site{number}")["current"] for number in range(3))
    assert order == [first, third, second] and listed(row / "site3")["current"] == first


def test_a_model_that_was_withdrawn_can_be_had_by_version(row):
    shutil.rmtree(row / "zoo" / ID)
    other = synthetic("mnist", "tiny-2k", "calm-otter")
    other.write(row / "zoo")
    next_site(row / "zoo", row / "site2", row / "site3")
    next_site(row / "zoo", row / "site3", row / "site4")
    index = json.loads((row / "site4" / INDEX).read_text())
    assert [each["id"] for each in index["entries"]] == [other.card.id]
    assert index["withdrawn"] == [{"id": ID, "versions": f"{VERSIONS}/{INDEX}"}]
    assert listed(row / "site4")["current"] is None
    newest = listed(row / "site2")["current"]
    with pytest.raises(FetchError, match=rf"was withdrawn from .*; ask for a version: {ID}@{newest}"):
        fetch(ID, FolderSource(row / "site4"), row / "home")
    assert fetch(f"{ID}@{newest}", FolderSource(row / "site4"), row / "home").version == newest


def test_only_so_many_stay_as_are_asked_for(row):
    better(3).write(row / "zoo")
    next_site(row / "zoo", row / "site2", row / "site3", most=1)
    names = [each["version"] for each in listed(row / "site3")["versions"]]
    assert names[1:] == [listed(row / "site2")["current"]] and len(names) == 2
    assert {path.name for path in (row / "site3" / VERSIONS).iterdir()} == {*names, INDEX}
    next_site(row / "zoo", row / "site3", row / "site4", most=0)
    assert [each["version"] for each in listed(row / "site4")["versions"]] == names[:1]


def test_what_is_at_hand_is_not_fetched(row):
    zoo = row / "zoo"
    known = {file.sha256: zoo / ID / file.path for file in read_entry(zoo / ID).card.files}
    with serving(row / "site2") as host:
        count = carry_over(source_of(host.url), row / "kept", known)
    assert count == 3 and files_of(row / "kept" / VERSIONS) == files_of(row / "site2" / VERSIONS)
    newest = listed(row / "site2")["current"]
    asked = [address for address, _ in host.asked if newest in address]
    assert {address.rpartition("/")[2].rpartition(".")[2] for address in asked} == {"json", "zip"}
    assert len({address for address, _ in host.asked}) == len(host.asked)


@pytest.mark.parametrize("damage_it", ["missing", "changed", "no index", "an empty list"])
def test_a_former_site_that_is_not_whole_ends_the_build(row, damage_it):
    site = row / "site2"
    oldest = listed(row / "site0")["current"]
    model = site / VERSIONS / oldest / "model.tflite"
    if damage_it == "missing":
        model.unlink()
    elif damage_it == "changed":
        model.write_bytes(bytes(model.stat().st_size))
    elif damage_it == "no index":
        (site / INDEX).unlink()
    else:
        (site / VERSIONS / INDEX).write_text("{}")
    with pytest.raises(FetchError, match=r"model\.tflite|index\.json"):
        carry_over(source_of(str(site)), row / "kept", {})


def test_a_former_site_puts_nothing_over_pages(row):
    path = row / "site2" / VERSIONS / INDEX
    told = json.loads(path.read_text())
    told["versions"][0]["files"][1]["address"] = "index.html"
    path.write_text(json.dumps(told))
    with pytest.raises(FetchError, match=r"index\.html is not below"):
        carry_over(source_of(str(row / "site2")), row / "kept", {})
    assert not (row / "kept" / "index.html").exists()


def test_a_bundle_is_no_file_of_its_version(row):
    """In one folder: it would be put over the file that every fetch compares."""
    path = row / "site2" / VERSIONS / INDEX
    told = json.loads(path.read_text())
    told["versions"][0]["bundle"] |= {"path": "model.tflite", "address": told["versions"][0]["files"][0]["address"]}
    path.write_text(json.dumps(told))
    with pytest.raises(FetchError, match=r'"model\.tflite" is there twice'):
        carry_over(source_of(str(row / "site2")), row / "kept", {})


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--previous", ""], "--previous: is empty"), (["--versions", "3"], "--versions 3: of which site?")],
)
def test_a_variable_that_was_not_set_never_loses_the_versions(row, options, words):
    """`--previous "$ADDRESS"` without an address: a site without the versions would be published over them."""
    project = Path(__file__).parents[2]
    arguments = ["site", "--out", str(row / "zoo"), "--specs", str(project / "specs"), "--site", str(row / "new"), *options]
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, SiteError) and words in str(done.exception)
    assert not (row / "new").exists()
