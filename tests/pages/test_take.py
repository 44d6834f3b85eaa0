"""The section on downloads, the commands that it shows, and sites that keep the versions of the one before."""

import html
import json
import re
from pathlib import Path

import pytest

from microzoo.catalog.fetch import fetch
from microzoo.catalog.source import source_of
from microzoo.catalog.store import read_entry
from microzoo.catalog.versions import former_versions
from microzoo.errors import FetchError
from microzoo.pages.publish import Earlier, build_site
from microzoo.pages.site import Taking, render
from microzoo.pages.take import PLACEHOLDER

from .cards import published, synthetic
from .sites import ROOT

TEMPLATES = ROOT / "site" / "templates"
ID = "digits/cortex-m0plus-8k/brisk-wren"


def rendered(zoo: Path, **taking):
    entry = read_entry(zoo / ID)
    return render([entry], {}, {}, TEMPLATES, taking=Taking(**taking))


def page_of(made):
    return next(page.html for page in made.pages if page.path == f"models/{ID}/index.html")


@pytest.fixture
def zoo(tmp_path):
    synthetic().write(tmp_path / "zoo")
    return tmp_path / "zoo"


def commands(page):
    """The text of each command, as a click on copy takes it."""
    blocks = re.findall(r'<pre class="mz-code"><code id="take-\w+">(.*?)</code>', page, re.DOTALL)
    return [html.unescape(re.sub(r"<[^>]+>", "", block)) for block in blocks]


def test_the_commands_are_for_what_the_site_has(zoo):
    made = rendered(zoo, address="https://example.org/zoo")
    index = json.loads(made.archives["index.json"])
    current = index["entries"][0]["current"]
    everything, alone, by_zoo = commands(page_of(made))
    tflite = next(file for file in current["files"] if file["path"] == "model.tflite")
    for command, file in ((everything, current["bundle"]), (alone, tflite)):
        name = file["path"]
        assert command == (
            f"curl -fLO 'https://example.org/zoo/{file['address']}' && \\\necho '{file['sha256']}  {name}' | sha256sum -c"
        )
        assert file["address"] in {**made.files, **made.archives}
    assert by_zoo == f"zoo fetch {ID}@{current['version']} --from 'https://example.org/zoo/'"
    assert "mz-take-note" not in page_of(made) and PLACEHOLDER not in page_of(made)


def test_without_an_address_there_is_a_placeholder_that_says_so(zoo):
    page = page_of(rendered(zoo))
    assert all(PLACEHOLDER in command for command in commands(page))
    assert f"in place of <code>{PLACEHOLDER}</code>" in page
    assert page.count('class="mz-base" data-root="../../../../"') == 3


def test_the_zip_of_everything_is_offered_with_its_sum(zoo):
    made = rendered(zoo)
    bundle = json.loads(made.archives["index.json"])["entries"][0]["current"]["bundle"]
    page = page_of(made)
    assert f'href="../../../../{bundle["address"]}" download="{bundle["path"]}"' in page and bundle["sha256"] in page
    assert len(made.archives[bundle["address"]]) == bundle["bytes"] and f"{bundle['bytes']:,} B" in page
    card = read_entry(zoo / ID).folder / "card.json"
    assert f"{card.stat().st_size:,}" in page and "Earlier versions" not in page


def test_the_page_says_layouts_only_where_there_are_some(zoo, tmp_path):
    made = published()
    entry = read_entry(made.write(tmp_path / "other"))
    page = next(page for page in render([entry], {}, {}, TEMPLATES).pages if page.path.startswith("models/")).html
    assert "Arduino, PlatformIO and Zephyr layouts" in page
    assert "Zephyr layouts" not in page_of(rendered(zoo))


def test_an_address_cannot_end_the_quotes(zoo):
    page = page_of(rendered(zoo, address="https://example.org/it's/$(x)/<b>"))
    assert "<b>" not in page
    for command in commands(page):
        assert command.count("'") % 2 == 0 and "it's" not in command


def test_a_site_keeps_the_versions_of_the_one_before(zoo, tmp_path):
    """Through MkDocs, into the very folder of the former site; links to the earlier version hold, or no site would be made."""
    site = tmp_path / "html"
    build_site(ROOT, zoo, site)
    first = json.loads((site / "index.json").read_text())["entries"][0]["current"]
    before = {path: path.read_bytes() for path in (site / first["bundle"]["address"]).parent.rglob("*") if path.is_file()}
    synthetic(seed=1).write(zoo)
    build_site(ROOT, zoo, site, earlier=Earlier(source_of(str(site))))
    page = (site / f"models/{ID}/index.html").read_text()
    assert "Earlier versions" in page and f"{ID}@{first['version']}" in page
    assert before and {path: path.read_bytes() for path in before} == before
    found = fetch(f"{ID}@{first['version']}", source_of(str(site)), tmp_path / "home")
    assert read_entry(found.folder).card == synthetic().card
    newest = json.loads((site / "index.json").read_text())["entries"][0]["current"]
    assert newest["version"] != first["version"] and newest["bundle"]["path"] in page
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "html", "zoo"], "nothing stays beside"
    assert set(former_versions(site)) == {ID}


def test_a_former_site_that_is_not_there_leaves_the_old_site(zoo, tmp_path):
    site = tmp_path / "html"
    (site / "assets").mkdir(parents=True)
    (site / "assets" / "microzoo.css").touch()
    with pytest.raises(FetchError, match=r"index\.json: no such file"):
        build_site(ROOT, zoo, site, earlier=Earlier(source_of(str(tmp_path / "none"))))
    assert [path.name for path in site.iterdir()] == ["assets"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["html", "zoo"]
