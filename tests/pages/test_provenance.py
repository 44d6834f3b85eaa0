"""Origin, licence and citation, and the changelog on the page."""

import tomllib

import pytest

from microzoo.catalog.card import Change
from microzoo.catalog.store import Entry
from microzoo.pages.provenance import bibtex, provenance, toml
from microzoo.pages.site import render
from microzoo.spec.models import FamilySpec

from .cards import synthetic
from .sites import ROOT


def test_a_spec_is_written_as_toml_that_says_the_same():
    family = FamilySpec.model_validate({"dataset": "digits", "targets": ["tiny-2k"], "seed": 7, "search": {"rungs": 3}})
    spec = family.model_dump(mode="json", exclude={"dataset", "targets", "budget"})
    again = tomllib.loads(toml(spec) + "\n") | {"dataset": "digits", "targets": ["tiny-2k"]}
    assert "dataset" not in toml(spec) and again != {"dataset": "digits", "targets": ["tiny-2k"]}
    back = tomllib.loads('dataset = "digits"\ntargets = ["tiny-2k"]\n' + toml(spec))
    assert FamilySpec.model_validate(back) == family


def test_odd_keys_and_texts_survive_toml():
    spec = {"a b": 'say "x" \\ y', "none": None, "t": {"list": [1.5, True, "é"], "in": {"k": 1}}}
    assert tomllib.loads(toml(spec)) == {"a b": 'say "x" \\ y', "t": {"list": [1.5, True, "é"], "in": {"k": 1}}}


def test_bibtex_has_balanced_braces_whatever_the_title():
    made = synthetic()
    dataset = made.card.dataset.model_copy(update={"title": r"100% {of} R&D_\ #1 ~^$"})
    written = bibtex(made.card.model_copy(update={"dataset": dataset}), made.build)
    assert written.startswith("@misc{microzoo-digits-cortex-m0plus-8k-brisk-wren,\n") and written.endswith("\n}")
    bare = written.replace(r"\{", "").replace(r"\}", "")
    assert bare.count("{") == bare.count("}")
    assert r"100\% \{of\} R\&D\_\textbackslash{} \#1 \~{}\^{}\$" in written
    assert "year = {2026}" in written and made.card.files[0].sha256 in written
    assert "year" not in bibtex(made.card, None)


def test_the_cost_is_that_of_the_record():
    made = synthetic()
    words = [row["words"] for row in provenance(made.card, made.build)["cost"]]
    assert words == [
        "120 candidates trained",
        "240 epochs in all",
        "4.0 min of wall time in its last run",
        "then 60 epochs for 3 full trainings of this architecture",
    ]
    longer = made.build.model_copy(update={"training_seconds": 7980.0})
    assert provenance(made.card, longer)["cost"][2]["words"] == "2.2 h of training, added up over all runs and workers"
    assert len(provenance(made.card, None)["cost"]) == 3


def test_epochs_keep_their_digits():
    made = synthetic("digits", "tiny-2k", "only")
    search = made.card.search.model_copy(update={"epochs": 264.229})
    words = [row["words"] for row in provenance(made.card.model_copy(update={"search": search}), made.build)["cost"]]
    assert "264.23 epochs in all" in words


def test_a_licence_that_the_card_does_not_state_leads_nowhere():
    made = synthetic()
    assert (provenance(made.card, None)["licence"], provenance(made.card, None)["licence_at"]) == ("Apache-2.0", "")
    stated = provenance(made.card.model_copy(update={"model_licence": "MIT"}), None)
    assert (stated["licence"], stated["licence_at"], stated["licence_page"]) == ("MIT", "model_licence", None)


@pytest.fixture
def page(tmp_path):
    def rendered(card_changes, build_changes):
        made = synthetic()
        card, build = made.card.model_copy(update=card_changes), made.build.model_copy(update=build_changes)
        entry = Entry(type(made)(card, build, made.files).write(tmp_path), card, build)
        pages = render([entry], {}, {}, ROOT / "site" / "templates").pages
        return next(page.html for page in pages if page.path.startswith("models/"))

    return rendered


def test_the_page_shows_spec_processor_and_changes_with_their_lines(page):
    change = Change(utc="2026-12-01T10:00:00+00:00", generator_version="0.2.0", words=("ram: 1 bytes to 2 bytes", "<b>"))
    html = page(
        {"spec": {"seed": 0, "search": {"rungs": 3}}, "model_licence": "Apache-2.0"},
        {"processor": "A Processor, 2 cores", "changes": (change,), "first_published_utc": "2026-11-01T00:00:00+00:00"},
    )
    assert "seed = 0\n\n[search]\nrungs = 3" in html
    assert "A Processor, 2 cores" in html and 'href="card.html#model_licence"' in html
    assert '<a class="mz-at" href="card.html#build.changes.0">2026-12-01</a>' in html
    assert "<li>ram: 1 bytes to 2 bytes</li>" in html and "<li>&lt;b&gt;</li>" in html
    assert 'First published <a class="mz-at" href="card.html#build.first_published_utc">2026-11-01</a>.' in html


def test_an_older_entry_says_what_it_did_not_record(page):
    html = page({}, {})
    assert "built before cards recorded their spec" in html and "kept no list of changes" in html
