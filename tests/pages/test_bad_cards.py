"""Bad cards end a build with entry and field, and leave the old site; good ones lead from every figure to its line."""

import gzip
import json
import re

import pytest

from microzoo.errors import CatalogError, SiteError
from microzoo.pages.publish import build_site

from .cards import synthetic
from .sites import ROOT, old_site


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
    folder = site / "models/fashion-mnist/cortex-m4-64k/brisk-wren"
    own = [folder / "index.html", site / "assets/microzoo.css", site / "assets/trust.css", site / "assets/copy.js"]
    theme = [*(site / "assets").glob("stylesheets/*.css"), *(site / "assets").glob("javascripts/bundle.*.js")]
    assert sum(len(gzip.compress(path.read_bytes())) for path in own) < 50_000
    assert sum(len(gzip.compress(path.read_bytes())) for path in [*own, *theme]) < 200_000
    assert len(gzip.compress((folder / "card.html").read_bytes())) < 30_000
