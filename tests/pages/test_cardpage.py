"""The card line by line: the lines are those of the file, and every anchor stands at its value."""

import html
import json
import re

import pytest

from microzoo.catalog.store import Entry
from microzoo.errors import SiteError
from microzoo.pages.cardpage import card_page, listing

from .cards import synthetic
from .sites import HOSTILE


def lines(shown):
    """(anchor or "", text) of each line of a listing."""
    return [(anchor, html.unescape(text)) for anchor, text in re.findall(r'<li(?: id="([^"]*)")?>(.*)', shown)]


def value(document, anchor):
    for key in anchor.split("."):
        document = document[int(key)] if isinstance(document, list) else document[key]
    return document


def text_of(document):
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def test_the_lines_are_those_of_the_file():
    text = text_of(json.loads(synthetic().card.model_dump_json()))
    assert "\n".join(line for _, line in lines(listing(text, ""))) + "\n" == text


def test_every_anchor_stands_at_its_value_and_every_value_of_an_object_has_one():
    document = json.loads(synthetic().card.model_dump_json())
    found = {anchor: line for anchor, line in lines(listing(text_of(document), "")) if anchor}
    for anchor, line in found.items():
        key, there = anchor.rpartition(".")[2], value(document, anchor)
        shown = line.strip().removesuffix(",")
        if not key.isdigit():
            name, _, shown = shown.partition(": ")
            assert json.loads(name) == key, anchor
        if isinstance(there, dict | list) and there:
            assert shown in ("{", "["), anchor
        else:
            assert json.loads(shown) == there, anchor
    wanted = {f"figures.{name}.value" for name in document["figures"]} | {f"seeds.{index}.epochs" for index in range(3)}
    wanted |= {f"confusion.{index}" for index in range(10)} | {"headline.value", "search.points.7", "files.0.accuracy.0.n"}
    assert wanted <= set(found) and "search.points.7.macs" not in found


def test_a_file_in_one_line_is_laid_out_with_the_same_anchors():
    document = json.loads(synthetic().build.model_dump_json())
    assert listing(json.dumps(document), "build.") == listing(text_of(document), "build.")
    assert 'id="build.versions.torch"' in listing(json.dumps(document), "build.")


@pytest.mark.parametrize("key", ['<script>"', "a b", "a.b", "é", "", 'x" onclick="y', "a\\"])
def test_a_key_that_is_no_plain_name_has_no_anchor_and_hides_nothing(key):
    document = {key: {"inside": [{"deeper": HOSTILE}]}, "plain": {"value": 1}}
    shown = listing(text_of(document), "")
    assert [anchor for anchor, _ in lines(shown) if anchor] == ["plain", "plain.value"]
    assert "<script" not in shown and "<img" not in shown
    assert json.loads("\n".join(line for _, line in lines(shown))) == document


def test_text_that_looks_like_brackets_opens_nothing():
    document = {"a": "{", "b": "[", "c": ["{", "]"], "d": {}, "e": [], "f": 'x": {', "g": {"value": 2}}
    found = dict(lines(listing(text_of(document), "")))
    assert set(found) - {""} == {"a", "b", "c", "d", "e", "f", "g", "g.value"}


@pytest.fixture
def entry(tmp_path):
    made = synthetic()
    return Entry(made.write(tmp_path), made.card, made.build)


def test_the_page_shows_both_files_and_leads_back(entry):
    page = card_page(entry, "../../../../", HOSTILE)
    assert "<script>document" not in page and "onerror=alert(1)>" not in page
    anchors = re.findall(r'id="([^"]+)"', page)
    assert len(anchors) == len(set(anchors)) and {"headline.value", "build.seconds"} <= set(anchors)
    assert re.findall(r'href="(files/[^"]+|index\.html)"', page) == ["index.html", "files/card.json", "files/build.json"]
    (entry.folder / "build.json").unlink()
    assert "files/build.json" not in card_page(Entry(entry.folder, entry.card, None), "../", "t")


@pytest.mark.parametrize("damage", ["{", "[]", "3", None])
def test_a_damaged_file_is_named(entry, damage):
    if damage is None:
        (entry.folder / "card.json").unlink()
    else:
        (entry.folder / "card.json").write_text(damage)
    with pytest.raises(SiteError, match=r"digits/cortex-m0plus-8k/brisk-wren: card\.json: "):
        card_page(entry, "", "t")
