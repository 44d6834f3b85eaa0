"""zoo fetch and what lies on the disk already: other versions, somebody's own files, links and pipes; and disks that fail."""

import errno
import os
from pathlib import Path

import pytest

from microzoo.catalog.fetch import fetch
from microzoo.catalog.index import INDEX
from microzoo.catalog.source import FolderSource
from microzoo.errors import FetchError, StorageError

from .hosts import ID, MODEL, current, files_of, get


def test_another_version_is_replaced_only_if_asked(host, home, entry):
    folder = get(host, home).folder
    (folder / MODEL).write_bytes(b"mine")
    with pytest.raises(FetchError, match=r"changed files; give --force"):
        get(host, home)
    assert (folder / MODEL).read_bytes() == b"mine"
    get(host, home, force=True)
    assert files_of(folder) == files_of(entry) and [path.name for path in home.iterdir()] == ["digits"]


@pytest.mark.parametrize("name", ["notes.txt", "c/mine.c", "card.json.bak"])
def test_somebodys_own_files_are_never_lost(host, home, name):
    folder = get(host, home).folder
    (folder / name).write_text("mine")
    with pytest.raises(FetchError, match=rf"holds {name}, which is not part of the entry"):
        get(host, home, force=True)
    assert (folder / name).read_text() == "mine"


def test_a_damaged_card_in_its_place_is_the_persons_to_move_away(host, home):
    folder = get(host, home).folder
    (folder / "card.json").write_text("{")
    for force in (False, True):
        with pytest.raises(FetchError, match=rf"card\.json: is no card; move {folder} away or delete it, or choose another --to"):
            get(host, home, force=force)
    assert (folder / MODEL).is_file()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("elsewhere")], ids=["pipe", "folder", "link"])
def test_what_is_no_plain_file_counts_as_changed_and_is_not_waited_for(host, home, entry, make):
    folder = get(host, home).folder
    (folder / MODEL).unlink()
    make(folder / MODEL)
    with pytest.raises(FetchError, match="another version, or changed files"):
        get(host, home)
    get(host, home, force=True)
    assert files_of(folder) == files_of(entry)


def test_a_folder_that_is_no_entry_is_never_replaced(host, home):
    (home / ID).mkdir(parents=True)
    (home / ID / "thesis.tex").write_text("mine")
    with pytest.raises(FetchError, match="holds something that is no entry"):
        get(host, home, force=True)
    assert (home / ID / "thesis.tex").read_text() == "mine" and host.asked == [(INDEX, None)]


def test_links_are_not_followed(host, home, site, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "victim").write_text("kept")
    version = current(site)["version"]
    beside = home / f".fetch-{ID.replace('/', '-')}-{version}"
    home.mkdir()
    beside.symlink_to(elsewhere)
    with pytest.raises(FetchError, match="is a link"):
        get(host, home)
    beside.unlink()
    (beside / "files").mkdir(parents=True)
    (beside / "files" / "c").symlink_to(elsewhere)
    with pytest.raises(FetchError, match="is a link"):
        get(host, home)
    (beside / "files" / "c").unlink()
    (beside / "files" / MODEL).unlink()
    (beside / "files" / MODEL).symlink_to(elsewhere / "victim")
    with pytest.raises(StorageError, match=r"model\.tflite: cannot be written"):
        get(host, home)
    assert [path.name for path in elsewhere.iterdir()] == ["victim"] and (elsewhere / "victim").read_text() == "kept"
    (beside / "files" / MODEL).unlink()
    (home / "digits" / "cortex-m0plus-8k").mkdir(parents=True)
    (home / ID).symlink_to(elsewhere)
    with pytest.raises(FetchError, match="is no folder"):
        get(host, home, force=True)


def test_a_disk_that_is_full_is_not_blamed_on_the_source(site, home, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="the disk is full; make room"):
        fetch(ID, FolderSource(site), home)


def test_a_file_of_the_source_that_cannot_be_read_is_named(site, home, monkeypatch):
    """As on a disk with a bad block, or a folder of somebody else."""
    opened = Path.open

    class Broken:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def __getattr__(self, name):
            return getattr(self.file, name)

        def read(self, _size):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def broken(self, *arguments, **options):
        file = opened(self, *arguments, **options)
        return Broken(file) if self.name == MODEL and self.is_relative_to(site) else file

    monkeypatch.setattr(Path, "open", broken)
    with pytest.raises(FetchError, match=r"model\.tflite: cannot be read: Input/output error"):
        fetch(ID, FolderSource(site), home)
