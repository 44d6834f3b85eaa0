"""The bundle: everything of an entry, the same bytes each time, checksums that hold, and a self test that says PASS."""

import hashlib
import io
import json
import shutil
import subprocess
import zipfile

import pytest

from microzoo.catalog.bundle import bundle
from microzoo.catalog.layouts import archives

from ..pages.cards import published, synthetic  # noqa: TID252

VERSION = "0123456789ab"


@pytest.fixture(scope="module")
def made():
    return published()


@pytest.fixture(scope="module")
def unpacked(made, tmp_path_factory):
    place = tmp_path_factory.mktemp("bundle")
    archive = bundle(made.card, VERSION, made.files | {"card.json": b"{}"}, "free")
    with zipfile.ZipFile(io.BytesIO(archive.content)) as packed:
        assert packed.testzip() is None
        packed.extractall(place)
    (top,) = place.iterdir()
    assert archive.name == f"{top.name}.zip" == f"{made.card.id.replace('/', '_')}-{VERSION}.zip"
    return top


def test_the_same_entry_gives_the_same_bytes(made, monkeypatch):
    first = bundle(made.card, VERSION, made.files, "free")
    monkeypatch.setattr("sys.platform", "win32")
    again = bundle(made.card, VERSION, dict(reversed(made.files.items())), "free")
    assert first.content == again.content and first.sha256 == hashlib.sha256(first.content).hexdigest()
    with zipfile.ZipFile(io.BytesIO(first.content)) as packed:
        assert {item.compress_type for item in packed.infolist()} == {zipfile.ZIP_STORED}
        assert {item.date_time for item in packed.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_everything_is_in_it(made, unpacked):
    for path, content in made.files.items():
        assert (unpacked / path).read_bytes() == content
    assert (unpacked / "card.json").is_file() and (unpacked / "LICENSE").read_text() == "free"
    assert made.card.dataset.licence_url in (unpacked / "DATA-LICENSE.txt").read_text()
    assert made.card.dataset.citation in (unpacked / "DATA-LICENSE.txt").read_text()
    readme = (unpacked / "README.md").read_text()
    assert VERSION in readme and f"{made.card.headline.correct:,} of {made.card.headline.n:,}" in readme
    for file in made.card.files:
        assert f"`{file.path}` | {file.bytes:,} |" in readme


def test_the_layouts_in_it_are_those_of_the_archives(made, unpacked):
    offered = archives(made.card, made.files)
    assert len(offered) == 3
    for archive in offered:
        layout = archive.name.partition("-")[0]
        with zipfile.ZipFile(io.BytesIO(archive.content)) as packed:
            names = packed.namelist()
            assert all((unpacked / layout / name).read_bytes() == packed.read(name) for name in names)
        there = {path.relative_to(unpacked / layout).as_posix() for path in (unpacked / layout).rglob("*") if path.is_file()}
        assert there == set(names)


def test_its_checksums_hold_and_cover_everything(unpacked, tmp_path):
    done = subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=unpacked, capture_output=True, text=True, check=True)
    files = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    assert {line.removesuffix(": OK") for line in done.stdout.splitlines()} == files - {"SHA256SUMS"}
    copy = shutil.copytree(unpacked, tmp_path / "copy")
    (copy / "model.tflite").write_bytes(b"other")
    assert subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=copy, capture_output=True, check=False).returncode == 1


def test_its_self_test_says_pass(unpacked, tmp_path):
    copy = shutil.copytree(unpacked, tmp_path / "copy")
    done = subprocess.run(["make", "-C", copy / "selftest"], capture_output=True, text=True, check=True, timeout=60)
    assert "PASS" in done.stdout


def test_an_older_entry_has_its_files_and_no_layouts():
    older = synthetic()
    archive = bundle(older.card, VERSION, older.files, "free")
    with zipfile.ZipFile(io.BytesIO(archive.content)) as packed:
        names = {name.split("/", 1)[1] for name in packed.namelist()}
        readme = packed.read(f"{archive.name.removesuffix('.zip')}/README.md").decode()
    assert names == {*older.files, "README.md", "LICENSE", "DATA-LICENSE.txt", "SHA256SUMS"}
    assert "Arduino" not in readme and "PASS" not in readme and "see `LICENSE`" in readme
    without = bundle(older.card, VERSION, older.files, "")
    with zipfile.ZipFile(io.BytesIO(without.content)) as packed:
        names = {name.split("/", 1)[1] for name in packed.namelist()}
        readme = packed.read(f"{archive.name.removesuffix('.zip')}/README.md").decode()
    assert "LICENSE" not in names and "`LICENSE`" not in readme and "DATA-LICENSE.txt" in names


def test_words_of_a_card_stay_on_their_line():
    older = synthetic()
    data = older.card.dataset.model_copy(update={"title": "a\n# b", "licence": "x\r\ny", "citation": "c\n\nd"})
    archive = bundle(older.card.model_copy(update={"dataset": data}), VERSION, older.files, "free")
    with zipfile.ZipFile(io.BytesIO(archive.content)) as packed:
        texts = [packed.read(name).decode() for name in packed.namelist() if name.endswith((".md", ".txt"))]
    assert all("\n# b" not in text and "\r" not in text for text in texts)
    assert json.dumps("classifies a # b,")[1:-1] in texts[0] + texts[1]
