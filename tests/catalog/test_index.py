"""index.json and the lists of versions: what is written is what the schema says, and nothing else is read."""

import copy
import hashlib
import json
import random

import jsonschema
import pytest

from microzoo.catalog.index import INDEX, MOST_BYTES, SCHEMAS, read_index, read_versions, schema
from microzoo.catalog.store import damage, entries, read_entry
from microzoo.catalog.versions import list_address, version_of
from microzoo.errors import CatalogError, FetchError

from ..pages.cards import published, synthetic  # noqa: TID252
from .hosts import write_site


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zoo")
    for made in (synthetic(), synthetic("mnist", "tiny-2k", "calm-otter"), published()):
        made.write(folder)
    return folder


@pytest.fixture(scope="module")
def site(zoo, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    write_site(zoo, folder)
    return folder


@pytest.fixture
def index(site):
    return json.loads((site / INDEX).read_text())


def test_every_entry_and_every_file_is_listed_as_it_is(zoo, site, index):
    found = {entry.card.id: entry for entry in entries(zoo)}
    assert [each["id"] for each in index["entries"]] == sorted(found)
    for each in index["entries"]:
        entry, current = found[each["id"]], each["current"]
        card = entry.card
        on_disk = {path.relative_to(entry.folder).as_posix() for path in entry.folder.rglob("*") if path.is_file()}
        assert {file["path"] for file in current["files"]} == on_disk
        for file in (*current["files"], current["bundle"]):
            content = (site / file["address"]).read_bytes()
            assert (len(content), hashlib.sha256(content).hexdigest()) == (file["bytes"], file["sha256"])
        assert current["accuracy"]["correct"] == card.headline.correct and current["date"] == entry.build.finished_utc
        assert [limit["need"] for limit in current["limits"]] == [limit.need for limit in card.limits]
        assert current["figures"]["macs"] == {"value": card.figures["macs"].value, "unit": "macs", "kind": "measured"}
        assert current["version"] == hashlib.sha256((entry.folder / "card.json").read_bytes()).hexdigest()[:12]
        assert each["page"] == f"models/{card.id}/index.html"


def test_a_version_folder_is_an_entry(site, index, tmp_path):
    """Copied under its ID it passes every check of checksums."""
    import shutil

    for each in index["entries"]:
        current = each["current"]
        folder = shutil.copytree(site / f"models/{each['id']}/versions/{current['version']}", tmp_path / each["id"])
        (folder / current["bundle"]["path"]).unlink()
        assert damage(read_entry(folder)) == []


def test_what_is_written_is_what_the_schemas_say(site, index):
    for kind, address in SCHEMAS.items():
        said = json.loads((site / address).read_bytes())
        assert said == json.loads(schema(kind))
        jsonschema.Draft202012Validator.check_schema(said)
    check = jsonschema.Draft202012Validator(json.loads(schema("index")))
    check.validate(index)
    versions = jsonschema.Draft202012Validator(json.loads(schema("versions")))
    for each in index["entries"]:
        versions.validate(json.loads((site / each["versions"]).read_bytes()))
    assert list(check.iter_errors(index | {"entries": [{}]})) and list(versions.iter_errors({}))


def test_the_page_explains_every_field():
    from ..pages.sites import ROOT  # noqa: TID252

    page = (ROOT / "site/pages/take.md").read_text()
    definitions = json.loads(schema("index"))
    names = set(definitions["properties"])
    for name in ("IndexEntry", "Version", "File", "Need", "HeadlineAccuracy", "ValidationAccuracy", "HeadlineFigure"):
        names |= set(definitions["$defs"][name]["properties"])
    missing = [name for name in sorted(names) if f"`{name}`" not in page and f"`{name}[]`" not in page]
    assert not missing


def test_it_is_read_back(site, index):
    read = read_index((site / INDEX).read_bytes(), "here")
    assert read.model_dump(mode="json") == index
    listed = read_versions((site / read.entries[0].versions).read_bytes(), "here")
    assert listed.current == listed.versions[0].version == read.entries[0].current.version


def test_fields_of_tomorrow_are_passed_over(index):
    index["news"] = index["entries"][0]["current"]["files"][0]["colour"] = 1
    assert read_index(json.dumps(index).encode(), "here").entries[0].id == index["entries"][0]["id"]


def changed(index, **changes):
    made = copy.deepcopy(index)
    entry = made["entries"][0]
    for path, value in changes.items():
        *steps, last = (int(step) if step.isdigit() else step for step in path.split("__"))
        place = entry
        for step in steps:
            place = place[step]
        place[last] = value
    return json.dumps(made).encode()


@pytest.mark.parametrize("path", ["../../x", "/etc/passwd", "c:/x", "a\\b", "a//b", ".ssh/x", "con", "a b", "http://x/y", "x\n"])
@pytest.mark.parametrize(
    "field", ["current__files__0__path", "current__files__0__address", "current__bundle__address", "versions", "page"]
)
def test_paths_and_addresses_that_leave_are_refused(index, field, path):
    with pytest.raises(FetchError, match=r"^here: entries\.0\."):
        read_index(changed(index, **{field: path}), "here")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": "../x/y"}, "is not dataset/target/name"),
        ({"current__files__1__bytes": 2 << 30}, "less than or equal to"),
        ({"current__files__1__bytes": -1}, "greater than or equal to 0"),
        ({"current__files__1__bytes": "12"}, "valid integer"),
        ({"current__files__1__bytes": True}, "valid integer"),
        ({"current__files__1__sha256": "0"}, "match pattern"),
        ({"current__files__1__path": "CARD.json"}, '"CARD.json" is there twice'),
        ({"current__files__1__path": "card.json/x"}, "is there twice, or is another file's folder"),
        ({"current__files__0__path": "other.json"}, "has no card.json"),
        ({"current__files__0__sha256": "0" * 64}, "has no card.json whose SHA-256 starts with the version"),
        ({"current__files": []}, "at least 1"),
        ({"current__version": "../../../../x"}, "match pattern"),
        ({"current__files__1__path": "a/\x1b]0;owned\x07\n/b"}, r'has the part "\x1b]0;owned\x07\n"'),
        ({"current__figures": {"\x1b[2J": 1}}, r"figures.\x1b[2J"),
    ],
)
def test_what_is_wrong_in_an_index_is_named(index, changes, words):
    with pytest.raises(FetchError) as caught:
        read_index(changed(index, **changes), "here")
    assert words in str(caught.value) and str(caught.value).isprintable()


def test_many_files_of_the_greatest_size_are_too_much(index):
    one = index["entries"][0]["current"]["files"][1]
    many = [one | {"path": f"x{at}", "address": f"x{at}", "bytes": MOST_BYTES} for at in range(5)]
    index["entries"][0]["current"]["files"] += many
    with pytest.raises(FetchError, match="bytes in all"):
        read_index(json.dumps(index).encode(), "here")


def test_ids_twice_are_refused(index):
    twice = index | {"entries": [*index["entries"], index["entries"][0]]}
    with pytest.raises(FetchError, match="is there twice"):
        read_index(json.dumps(twice).encode(), "here")
    gone = index | {"withdrawn": [{"id": index["entries"][0]["id"], "versions": "x"}]}
    with pytest.raises(FetchError, match="is there twice"):
        read_index(json.dumps(gone).encode(), "here")


def test_a_newer_index_asks_for_a_newer_program():
    newer = b'{"schema_version": 2, "entries": "quite another thing"}'
    with pytest.raises(FetchError, match=r"^here: schema_version = 2, this microzoo reads up to 1; update microzoo$"):
        read_index(newer, "here")


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"{", b"[]", b"null", b"\xff\xfe", b'{"schema_version": 1.5}', b"[" * 100_000]
)
def test_what_is_no_index_is_said_to_be_none(content):
    with pytest.raises(FetchError, match=r"^here: .*; give the address of a site that zoo site rendered$"):
        read_index(content, "here")


def test_random_damage_is_refused_or_harmless(index):
    """An index with one value replaced is refused in one line, or read without a path that leaves."""
    rng = random.Random(11)
    values = [None, -1, 1e300, "", "../x", "/x", [], {}, True, "a" * 10_000, "\ud800", 2**70, {"path": "../x"}]

    def places(value, path=()):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
            yield (*path, key)
            yield from places(inner, (*path, key))

    every = list(places(index))
    refused, said = 0, []
    for _ in range(400):
        *steps, last = rng.choice(every)
        damaged = copy.deepcopy(index)
        place = damaged
        for step in steps:
            place = place[step]
        place[last] = rng.choice(values)
        try:
            read = read_index(json.dumps(damaged).encode(), "here")
        except FetchError as error:
            refused += 1
            said.append(str(error))
            continue
        for entry in read.entries:
            assert ".." not in entry.id + entry.versions + "".join(file.path + file.address for file in entry.current.files)
    assert refused > 200 and max(map(len, said)) < 1000 and not any("\n" in words for words in said)


def test_an_entry_whose_file_no_site_may_list_is_named(tmp_path):
    made = synthetic()
    odd = made.card.files[0].model_copy(
        update={"path": "two words.tflite", "bytes": 1, "sha256": hashlib.sha256(b"x").hexdigest()}
    )
    card = made.card.model_copy(update={"files": (odd,)})
    type(made)(card, made.build, {"two words.tflite": b"x"}).write(tmp_path / "zoo")
    with pytest.raises(CatalogError, match=r"brisk-wren/card\.json: .*two words"):
        write_site(tmp_path / "zoo", tmp_path / "site")


def test_addresses():
    assert list_address("a/b/c") == "models/a/b/c/versions/index.json"
    assert version_of(b"") == "e3b0c44298fc"
