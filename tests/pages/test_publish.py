import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import mkdtemp

import pytest

from microzoo.errors import CatalogError, SiteError
from microzoo.pages import links
from microzoo.pages.publish import _recover, build_site

from .cards import DATASETS, TARGETS, synthetic
from .sites import ROOT, old_site


def test_every_page_is_there(site):
    for dataset in DATASETS:
        for target in TARGETS:
            assert (site / "models" / dataset / target / "brisk-wren" / "index.html").is_file()
    for page in ("index", "method", "cards", "datasets/digits", "targets/tiny-2k", "reference/specs", "develop/log"):
        assert (site / f"{page}.html").is_file(), page


def test_links_hold_and_nothing_comes_from_elsewhere(site):
    assert links.problems(site) == []


def test_markup_from_a_card_never_reaches_the_page_as_markup(site):
    html = (site / "models/digits/cortex-m0plus-8k/hostile/index.html").read_text()
    assert "document.title='hacked'</script>" not in html and "onerror=alert(1)>" not in html
    assert html.count("</title>") == html.count("<title>")
    assert "&lt;script&gt;document.title=" in html
    assert 'href="javascript' not in html


def test_the_table_on_the_home_page_is_complete_without_script(site):
    html = (site / "index.html").read_text()
    rows = re.findall(r'<tr data-dataset="[^"]+" data-target="[^"]+"', html)
    assert len(rows) == len(DATASETS) * len(TARGETS) + 1
    assert html.count('class="mz-svg mz-scatter"') == len(DATASETS)
    assert "<!-- zoo:" not in html


def test_downloads_are_the_entrys_files(site):
    made = synthetic("mnist", "tiny-2k", "brisk-wren", seed=0)
    folder = site / "models/mnist/tiny-2k/brisk-wren/files"
    assert {path: (folder / path).read_bytes() for path in made.files} == made.files
    assert json.loads((folder / "card.json").read_text())["id"] == made.card.id


def test_models_are_found_by_the_search_box(site):
    index = json.loads((site / "search" / "search_index.json").read_text())
    assert any("brisk-wren" in document["title"] for document in index["docs"])


def test_a_new_site_takes_the_place_of_the_old_as_a_whole(tmp_path):
    site = old_site(tmp_path)
    (site / "models").mkdir()
    (site / "models" / "gone.html").write_text("an entry that is no more")
    pages = build_site(ROOT, tmp_path / "no-zoo-yet", site)
    assert "has no models yet" in (site / "index.html").read_text()
    assert pages == len(list(site.rglob("*.html"))) and not (site / "models").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["html"]


def test_a_damaged_entry_leaves_the_old_site(tmp_path):
    folder = synthetic().write(tmp_path / "zoo")
    site = old_site(tmp_path)
    (folder / "model.onnx").write_bytes(b"cut")
    with pytest.raises(SiteError, match=r"model\.onnx: has 3 bytes"):
        build_site(ROOT, tmp_path / "zoo", site)
    (folder / "card.json").write_text("{}")
    with pytest.raises(CatalogError, match=r"card\.json"):
        build_site(ROOT, tmp_path / "zoo", site)
    assert (site / "index.html").read_text() == "the old site"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["html", "zoo"]


BUILD = (
    "import sys; from pathlib import Path; from microzoo.pages.publish import build_site; build_site(*map(Path, sys.argv[1:]))"
)


@pytest.mark.parametrize("whole_group", [True, False], ids=["and its child", "alone"])
def test_a_killed_build_leaves_the_old_site_and_the_next_tidies_up(tmp_path, whole_group):
    synthetic().write(tmp_path / "zoo")
    site = old_site(tmp_path)
    command = [sys.executable, "-c", BUILD, ROOT, tmp_path / "zoo", site]
    with subprocess.Popen(command, start_new_session=True) as build:
        # As soon as MkDocs has written something: it is in the middle of its work.
        deadline = time.monotonic() + 60
        while not any(path.is_file() for path in tmp_path.glob(".html-new-*/**/*")):
            assert build.poll() is None and time.monotonic() < deadline
            time.sleep(0.005)
        if whole_group:
            os.killpg(build.pid, signal.SIGKILL)
        else:
            build.kill()
        build.wait()
    assert (site / "index.html").read_text() == "the old site"
    assert len(list(tmp_path.glob(".html-new-*"))) == 1
    build_site(ROOT, tmp_path / "zoo", site)
    assert "brisk-wren" in (site / "index.html").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["html", "zoo"]


def test_a_build_that_was_killed_between_the_two_renames_has_lost_nothing(tmp_path):
    folder = synthetic().write(tmp_path / "zoo")
    old_site(tmp_path).rename(tmp_path / ".html-old")
    (tmp_path / ".html-new-abcd_123").mkdir()
    (folder / "model.onnx").write_bytes(b"cut")
    with pytest.raises(SiteError, match=r"model\.onnx"):
        build_site(ROOT, tmp_path / "zoo", tmp_path / "html")
    assert (tmp_path / "html" / "index.html").read_text() == "the old site"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["html", "zoo"]


@contextmanager
def quick_mkdocs(_configuration, _zoo, destination, *_):
    """In the place of MkDocs: a site of one page, at once."""
    (destination / "index.html").write_text('<!doctype html><html lang="en"><title>new</title>the new site</html>')
    yield lambda: (0, "")


@pytest.mark.parametrize(
    ("call", "done", "left"), [(1, False, "old"), (1, True, "old"), (2, False, "old"), (2, True, "new"), (3, False, "new")]
)
def test_ctrl_c_around_the_two_renames_leaves_a_whole_site_and_nothing_beside_it(tmp_path, monkeypatch, call, done, left):
    """It falls before or after the rename with the number `call`: (1, True) and (2, False) are between the two, 3 is never."""
    site, rename, calls = old_site(tmp_path), Path.rename, []

    def interrupted(self, target):
        calls.append(target)
        if len(calls) == call and not done:
            raise KeyboardInterrupt
        moved = rename(self, target)
        if len(calls) == call:
            raise KeyboardInterrupt
        return moved

    monkeypatch.setattr("microzoo.pages.publish._mkdocs", quick_mkdocs)
    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt) if call < 3 else nullcontext():
        build_site(ROOT, tmp_path / "zoo", site)
    assert f"the {left} site" in (site / "index.html").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["html"]


def test_ctrl_c_before_there_is_anything_to_swap_leaves_nothing(tmp_path, monkeypatch):
    made = iter(("first",))

    def interrupted(**names):
        if next(made, None) is None:
            raise KeyboardInterrupt
        return mkdtemp(**names)

    monkeypatch.setattr("tempfile.mkdtemp", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build_site(ROOT, tmp_path / "zoo", tmp_path / "html")
    assert list(tmp_path.iterdir()) == []


def test_a_broken_link_in_a_written_page_leaves_no_site(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    for name in ("site", "specs"):
        shutil.copytree(ROOT / name, root / name)
    shutil.copy(ROOT / "mkdocs.yml", root)
    page = root / "site" / "pages" / "cards.md"
    page.write_text(page.read_text() + '\n<a href="gone.html">gone</a>\n')
    with pytest.raises(SiteError, match=r'cards\.html: "gone\.html": no such file'):
        build_site(root, tmp_path / "zoo", tmp_path / "html")
    page.write_text(page.read_text() + "\n[gone](missing.md)\n")
    with pytest.raises(SiteError, match=r"missing\.md"):
        build_site(root, tmp_path / "zoo", tmp_path / "html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["root"]


@pytest.mark.parametrize("place", ["", "zoo", "zoo/inside", "site", "specs"])
def test_a_folder_that_holds_something_else_is_never_replaced(tmp_path, place):
    root = tmp_path / "root"
    for name in ("zoo", "site", "specs"):
        (root / name).mkdir(parents=True)
        (root / name / "kept").write_text("kept")
    (root / "mkdocs.yml").write_text("site_name: x")
    (root / "specs" / "index.html").write_text("somebody else's")
    with pytest.raises(SiteError, match="--site"):
        build_site(root, root / "zoo", root / place)
    assert (root / "zoo" / "kept").is_file() and (root / "specs" / "kept").is_file()


@pytest.mark.parametrize("name", ["s[1]", "a"])
def test_what_is_tidied_up_is_of_this_site_alone(tmp_path, name):
    mine = [f".{name}-{kind}-abcd_123" for kind in ("new", "kept")]
    theirs = [".a-new-x-old", ".a-new-x-new-abcd_123", ".s1-new-abcd_123"]
    for each in (f".{name}-old", *mine, *theirs):
        (tmp_path / each).mkdir()
    (tmp_path / name).mkdir()
    _recover(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, *theirs])
