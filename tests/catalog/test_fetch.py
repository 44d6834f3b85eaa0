"""zoo fetch from folders and hosts, at once or after interruptions: whole and verified at its place, or nothing there."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from microzoo.catalog.fetch import default_source, fetch, parse
from microzoo.catalog.index import INDEX
from microzoo.catalog.source import FolderSource, WebSource, source_of
from microzoo.catalog.store import damage, read_entry
from microzoo.cli import app
from microzoo.errors import FetchError, LockedError
from microzoo.terminal import ByteCount

from .hosts import (
    ID,
    MODEL,
    PATIENT,
    address_of,
    current,
    cut,
    files_of,
    get,
    hang,
    nothing_is_in_place,
    serving,
    status,
)

# From a host and from a folder


def test_a_fetched_folder_is_the_entry(host, home, entry):
    seen = []
    found = get(host, home, progress=lambda done, of: seen.append((done, of)))
    assert found.folder == home / ID and files_of(found.folder) == files_of(entry)
    assert damage(read_entry(found.folder)) == []
    assert [path.name for path in home.iterdir()] == ["digits"], "nothing stays beside"
    assert seen == sorted(seen) and seen[-1] == (found.bytes, found.bytes)
    assert (found.files, found.bytes) == (len(files_of(entry)), sum(map(len, files_of(entry).values())))
    assert {asked for _, asked in host.asked} == {None}


@pytest.mark.parametrize("form", ["{}", "{}/index.json", "file://{}", "file://{}/index.json"])
def test_from_a_folder(site, home, entry, form):
    source = source_of(form.format(site))
    assert isinstance(source, FolderSource) and files_of(fetch(ID, source, home).folder) == files_of(entry)


@pytest.mark.parametrize("end", ["", "index.json", "index.html"])
def test_the_address_of_the_index_or_the_page_will_do(host, home, end):
    assert fetch(ID, WebSource(host.url.rstrip("/") + ("/" + end if end else ""), PATIENT), home).files > 0


def test_below_a_path_of_the_host(made_site, tmp_path, home):
    shutil.copytree(made_site / "site", tmp_path / "root" / "some" / "where")
    with serving(tmp_path / "root") as host:
        fetch(ID, WebSource(f"{host.url}some/where", PATIENT), home)
    assert all(address.startswith("some/where/") for address, _ in host.asked)


def test_a_version_by_its_digits(host, home, site):
    whole = next(file["sha256"] for file in current(site)["files"] if file["path"] == "card.json")
    for digits in (whole[:6], whole[:12], whole):
        assert get(host, home, f"{ID}@{digits}").version == whole[:12]
    other = whole[:12] + ("0" if whole[12] != "0" else "1") * 52
    with pytest.raises(FetchError, match=rf"no such version in .*; it has {whole[:12]}$"):
        get(host, home, f"{ID}@{other}")


def test_what_is_there_already_is_left(host, home):
    first = get(host, home)
    times = {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")}
    host.asked.clear()
    assert get(host, home).already
    assert [address for address, _ in host.asked] == [INDEX]
    assert {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")} == times


# Interrupted and taken up again


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_answer_is_gone_on_from(host, home, site, entry, ranges):
    """Three of three tries are cut; the next command needs the rest only, where the host knows ranges."""
    host.knows_ranges = ranges
    address = address_of(site)
    size = (entry / MODEL).stat().st_size
    host.odd[address] = [cut(1000), cut(1000), cut(1000)] if not ranges else [cut(1000), status(503), status(503)]
    with pytest.raises(FetchError, match=r"ended after 1,000 of|answers 503"):
        get(host, home)
    assert nothing_is_in_place(home)
    host.asked.clear()
    host.odd.clear()
    assert files_of(get(host, home).folder) == files_of(entry)
    asked = dict(host.asked)
    assert asked[address] == "bytes=1000-" and size > 1000
    done = {path for path, _ in host.asked}
    before = [file["address"] for file in current(site)["files"]]
    assert done == {INDEX, *before[before.index(address) :]}, "what came whole is not asked for again"


def test_one_fetch_goes_on_by_itself(host, home, site, entry):
    address = address_of(site)
    host.odd[address] = [cut(500), status(503)]
    assert files_of(get(host, home).folder) == files_of(entry)
    assert [asked for path, asked in host.asked if path == address] == [None, "bytes=500-", "bytes=500-"]


def test_a_killed_fetch_leaves_nothing_in_place_and_goes_on(host, home, site, entry):
    """SIGKILL in the midst of two files, one after the other; what came before each is not asked for again."""
    program = (
        "import sys; from pathlib import Path; from microzoo.catalog import fetch, source\n"
        "fetch.fetch(sys.argv[1], source.source_of(sys.argv[2]), Path(sys.argv[3]))"
    )
    order = [file["address"] for file in current(site)["files"]]
    begun = [order[3], order[6]]
    for address in begun:
        host.odd[address] = [hang]
        host.hangs.clear()
        child = subprocess.Popen([sys.executable, "-c", program, ID, host.url, str(home)])
        assert host.hangs.wait(60)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        assert nothing_is_in_place(home)
    get(host, home)
    assert files_of(home / ID) == files_of(entry)
    assert [path.name for path in home.iterdir()] == ["digits"]
    asked = [address for address, _ in host.asked]
    assert [asked.count(address) for address in order] == [2 if address in begun else 1 for address in order]


def test_a_kill_between_the_two_renames_loses_nothing(host, home, entry, monkeypatch):
    folder = get(host, home).folder
    (folder / MODEL).write_bytes(b"mine")

    real, calls = os.rename, []

    def stopped(last):
        """os.rename that works once and never again, or that fails once only."""

        def rename(*arguments):
            calls.append(arguments)
            if 1 < len(calls) <= last:
                raise KeyboardInterrupt
            return real(*arguments)

        return rename

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", stopped(2))
        with pytest.raises(KeyboardInterrupt):
            get(host, home, force=True)
        assert (folder / MODEL).read_bytes() == b"mine", "Ctrl-C between the two: the old one came back"
        calls.clear()
        patch.setattr(os, "rename", stopped(99))
        with pytest.raises(KeyboardInterrupt):
            get(host, home, force=True)
    (old,) = home.glob(".fetch-*/old")
    assert (old / MODEL).read_bytes() == b"mine" and not folder.exists()
    host.asked.clear()
    get(host, home)
    assert files_of(folder) == files_of(entry) and [address for address, _ in host.asked] == [INDEX]
    assert [path.name for path in home.iterdir()] == ["digits"]


def test_a_begun_file_is_gone_on_from_in_a_folder_too(site, home, entry):
    version, content = current(site)["version"], (entry / MODEL).read_bytes()
    begun = home / f".fetch-{ID.replace('/', '-')}-{version}" / "files" / MODEL
    begun.parent.mkdir(parents=True)
    begun.write_bytes(content[:999])
    source = FolderSource(site)
    asked, real = [], source.open
    source.open = lambda address, start=0: asked.append((address, start)) or real(address, start)
    assert files_of(fetch(ID, source, home).folder) == files_of(entry)
    assert (address_of(site), 999) in asked


def test_a_damaged_beginning_is_fetched_anew(host, home, site, entry):
    version, size = current(site)["version"], (entry / MODEL).stat().st_size
    begun = home / f".fetch-{ID.replace('/', '-')}-{version}" / "files"
    begun.mkdir(parents=True)
    (begun / MODEL).write_bytes(b"#" * 700)
    (begun / "model.onnx").write_bytes(b"#" * (size + 99_999))
    (begun / "unlisted").write_text("x")
    assert files_of(get(host, home).folder) == files_of(entry)
    assert [asked for path, asked in host.asked if path == address_of(site)] == ["bytes=700-", None]


@pytest.mark.parametrize(
    "answer",
    [
        status(206, Content_Range="bytes 5-9/10", Content_Length="5"),
        status(206, Content_Length="5"),
        status(416),
        status(206, Content_Range="bytes 0-1/junk"),
        status(206, Content_Range=f"bytes 300-400/{'9' * 5000}"),
    ],
)
def test_a_range_that_was_not_asked_for_means_from_the_start(host, home, site, entry, answer):
    address = address_of(site)
    host.odd[address] = [cut(300), answer]
    assert files_of(get(host, home).folder) == files_of(entry)
    assert [asked for path, asked in host.asked if path == address] == [None, "bytes=300-", None]


def test_two_at_once_wait_for_nobody(host, home, site):
    from microzoo.catalog.lock import locked

    with (
        locked(home / f".fetch-{ID.replace('/', '-')}-{current(site)['version']}"),
        pytest.raises(LockedError, match="in use by"),
    ):
        get(host, home)


# What people give


@pytest.mark.parametrize(
    "wanted", ["", "x", "a/b", "../../x", "a/b/c/d", "A/b/c", "a/b/c@", "a/b/c@xyz", "a/b/c@12345", "a/b/c@ABCDEF"]
)
def test_what_is_no_id_is_said_to_be_none(wanted):
    with pytest.raises(FetchError, match=r"is no ID|hexadecimal digits"):
        parse(wanted)


def test_an_unknown_model_names_the_nearest(host, home):
    with pytest.raises(FetchError, match=rf"no such entry in {host.url}; did you mean {ID}\?"):
        get(host, home, ID.replace("wren", "when"))


@pytest.mark.parametrize(
    "given",
    [
        "ftp://x/",
        "http://",
        "http:///x",
        "http://a:b@x/",
        "https://x/?q",
        "https://x/#f",
        "http://é/",
        "http://x/ y",
        "data://x",
        "http://[",
        "file://[::1",
        "://",
    ],
)
def test_what_is_no_address_is_said_to_be_none(given):
    with pytest.raises(FetchError):
        source_of(given)


def test_passwords_are_not_repeated():
    with pytest.raises(FetchError) as caught:
        source_of("https://me:secret@example.org/")
    assert "secret" not in str(caught.value)


def test_without_a_source_the_remedy_is_named():
    with pytest.raises(FetchError, match=r"give --from .* or set MICROZOO_ZOO_URL to it"):
        default_source(None, {})
    assert default_source(None, {"MICROZOO_ZOO_URL": "there"}) == "there"
    assert default_source("here", {"MICROZOO_ZOO_URL": "there"}) == "here"


def test_a_host_that_is_not_there(home):
    with serving(Path()) as host:
        gone = host.url
    with pytest.raises(FetchError, match=r"refused.*; run the same command again"):
        fetch(ID, WebSource(gone, PATIENT), home, patience=PATIENT)
    with pytest.raises(FetchError, match=r"index\.json: no such file"):
        fetch(ID, source_of(str(home / "none")), home)


def test_the_command(host, home, entry, tmp_path):
    """As people call it: no torch, nothing on a stream that is no terminal but the answer."""
    program = "import sys; from microzoo.__main__ import main\ntry: main()\nfinally: print('torch' in sys.modules)"
    command = [sys.executable, "-c", program, "fetch", ID, "--to", str(home), "--json"]
    environment = {**os.environ, "MICROZOO_ZOO_URL": host.url}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    said, _, torch = done.stdout.strip().rpartition("\n")
    assert json.loads(said)["folder"] == str(home / ID) and torch == "False"
    again = CliRunner().invoke(app, ["fetch", ID, "--to", str(home), "--from", host.url])
    assert again.exit_code == 0 and "is there already" in again.stdout
    assert files_of(home / ID) == files_of(entry)
    none = CliRunner().invoke(app, ["fetch", ID, "--to", str(tmp_path), "--from", f"{host.url}nowhere"], env={})
    assert isinstance(none.exception, FetchError) and none.exception.exit_code == 1 and "answers 404" in str(none.exception)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_goes_away_when_it_is_done():
    screen, pipe = Terminal(), io.StringIO()
    for stream in (screen, pipe):
        with ByteCount(stream, "x") as count:
            count(10, 2000)
            count(2000, 2000)
    assert screen.getvalue() == "\rx: 10 of 2,000 bytes\rx: 2,000 of 2,000 bytes\r" + " " * 23 + "\r"
    assert pipe.getvalue() == ""
