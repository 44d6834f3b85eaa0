import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from microzoo.errors import CatalogError, SiteError
from microzoo.pages import links
from microzoo.pages.publish import _recover, build_site

from .cards import DATASETS, TARGETS, synthetic
from .sites import ROOT


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


def old_site(folder):
    site = folder / "html"
    (site / "assets").mkdir(parents=True)
    (site / "assets" / "microzoo.css").touch()
    (site / "index.html").write_text("the old site")
    return site


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


def without(path):
    def change(card):
        *parents, last = path.split(".")
        for key in parents:
            card = card[int(key)] if isinstance(card, list) else card[key]
        del card[last]

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("headline"), "headline: Field required"),
        (without("dataset.licence"), "dataset.licence: Field required"),
        (without("layers.2.live_bytes"), "layers.2.live_bytes: Field required"),
        (without("figures.macs.kind"), "figures.macs.kind: Field required"),
        (lambda card: card.update(schema_version=2), "schema_version = 2, this microzoo reads up to 1"),
        (lambda card: card.update(colour="green"), "colour: Extra inputs are not permitted"),
        (lambda card: card["headline"].update(value=1.5), "headline.value: Input should be less than or equal to 1"),
        (lambda card: card.update(id="digits/cortex-m0plus-8k/<b>"), 'id = "digits/cortex-m0plus-8k/<b>" but the folder says'),
    ],
)
def test_a_card_that_is_not_as_it_should_be_is_named_with_its_field(tmp_path, change, words):
    folder = synthetic().write(tmp_path / "zoo")
    site = old_site(tmp_path)
    card = json.loads((folder / "card.json").read_text())
    change(card)
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(CatalogError, match=r"digits/cortex-m0plus-8k/brisk-wren/card\.json: ") as caught:
        build_site(ROOT, tmp_path / "zoo", site)
    assert words in str(caught.value)
    assert (site / "index.html").read_text() == "the old site"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["html", "zoo"]


@pytest.mark.parametrize("name", ["card.json", "model.tflite", "c/model.h"])
def test_a_missing_file_is_named_with_its_entry(tmp_path, name):
    folder = synthetic().write(tmp_path / "zoo")
    (folder / name).unlink()
    with pytest.raises((CatalogError, SiteError)) as caught:
        build_site(ROOT, tmp_path / "zoo", old_site(tmp_path))
    assert "digits/cortex-m0plus-8k/brisk-wren" in str(caught.value) and name in str(caught.value)


def test_what_only_the_page_notices_is_named_through_mkdocs(tmp_path):
    made = synthetic()
    figures = {name: each for name, each in made.card.figures.items() if name != "predicted_flash"}
    type(made)(made.card.model_copy(update={"figures": figures}), made.build, made.files).write(tmp_path / "zoo")
    site = old_site(tmp_path)
    with pytest.raises(SiteError, match=r"brisk-wren/card\.json: figures\.predicted_flash is missing"):
        build_site(ROOT, tmp_path / "zoo", site)
    assert (site / "index.html").read_text() == "the old site"


def test_every_figure_of_a_model_page_leads_to_its_line(site):
    """The link check of the build holds every such anchor against the page of the card; here, that they are the right ones."""
    folder = site / "models/digits/cortex-m4-64k/brisk-wren"
    html, card = (folder / "index.html").read_text(), json.loads((folder / "files" / "card.json").read_text())
    found = dict(re.findall(r'<a class="mz-at" href="card\.html#([^"]+)">([^<]+)</a>', html))
    for name, figure in card["figures"].items():
        shown = "not available" if figure["value"] is None else f"{figure['value']:,}"
        assert found[f"figures.{name}.value"].startswith(shown), name
    for index, row in enumerate(card["layers"]):
        assert found[f"layers.{index}"] == str(index + 1) and f'id="layer-{index + 1}"' in html, row
    wanted = {"headline.value", "validation_int8.mean", "search.epochs", "search.ordinal", "dataset.train", "sparsity", "seeds"}
    wanted |= {f"limits.{index}.{end}" for index in range(3) for end in ("need", "have")}
    wanted |= {f"seeds.{index}.validation_accuracy_int8" for index in range(3)} | {f"confusion.{index}" for index in range(10)}
    assert wanted <= set(found)


def test_a_model_page_is_light(site):
    """Its own bytes, compressed as hosts send them; what the theme adds is the same on every page and measured in the browser."""
    import gzip

    folder = site / "models/fashion-mnist/cortex-m4-64k/brisk-wren"
    own = [folder / "index.html", site / "assets/microzoo.css", site / "assets/trust.css", site / "assets/copy.js"]
    theme = [*(site / "assets").glob("stylesheets/*.css"), *(site / "assets").glob("javascripts/bundle.*.js")]
    assert sum(len(gzip.compress(path.read_bytes())) for path in own) < 50_000
    assert sum(len(gzip.compress(path.read_bytes())) for path in [*own, *theme]) < 200_000
    assert len(gzip.compress((folder / "card.html").read_bytes())) < 30_000


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
