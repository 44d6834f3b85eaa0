"""The changelog of an entry, from one synthetic entry and copies of it with single changes."""

import pytest

from microzoo.catalog.card import BuildRecord, Figure
from microzoo.catalog.changes import continued
from microzoo.catalog.store import read_entry, write_entry

from ..pages.cards import synthetic  # noqa: TID252  # tests are no package that could be named from its root


@pytest.fixture
def made():
    return synthetic()


def later(record, utc="2026-12-01T00:00:00+00:00"):
    return record.model_copy(update={"finished_utc": utc, "generator_version": "0.2.0"})


def published(made, tmp_path, record=None):
    """The entry as it lies in a zoo."""
    return read_entry(write_entry(tmp_path, made.card, record or continued(None, made.card, made.build), made.files))


def test_a_new_entry_says_when_it_came(made):
    record = continued(None, made.card, made.build)
    assert (record.first_published_utc, record.changes) == (made.build.finished_utc, ())


def test_a_build_that_gives_the_same_again_changes_nothing(made, tmp_path):
    record = continued(published(made, tmp_path), made.card, later(made.build))
    assert (record.first_published_utc, record.changes) == (made.build.finished_utc, ())


def test_what_people_read_is_named_with_both_values(made, tmp_path):
    card, files = made.card, made.card.files
    ram = card.limits[0].model_copy(update={"need": 1000.0})
    other = files[1].model_copy(update={"sha256": "0" * 64})
    arena = Figure(value=4096, unit="bytes", kind="measured", method="by hand")
    changed = card.model_copy(
        update={
            "key": "f" * 64,
            "limits": (ram, *card.limits[1:]),
            "files": (files[0], other, *files[2:-1], files[-1].model_copy(update={"path": "golden.npz"})),
            "headline": card.headline.model_copy(update={"correct": card.headline.correct + 1}),
            "figures": card.figures | {"arena_total": arena},
        }
    )
    record = continued(published(made, tmp_path), changed, later(made.build))
    (change,) = record.changes
    assert (change.utc, change.generator_version) == ("2026-12-01T00:00:00+00:00", "0.2.0")
    assert change.words == (
        f"spec, dataset or generator: key {card.key[:12]} to {12 * 'f'}",
        "the same model; other bytes: model.onnx",
        "new files: golden.npz",
        "files that are gone: c/microzoo_nn.h",
        f"test inputs that are right: {card.headline.correct} of 360 to {card.headline.correct + 1} of 360",
        f"ram: {card.limits[0].need:,.0f} bytes to 1,000 bytes",
        "other values: arena_total",
    )


def test_another_model_is_called_one_and_the_latest_change_stands_first(made, tmp_path):
    first = made.card.files[0]
    card = made.card.model_copy(update={"files": (first.model_copy(update={"sha256": "1" * 64}), *made.card.files[1:])})
    once = continued(published(made, tmp_path), card, later(made.build))
    entry = published(made, tmp_path, record=once)
    twice = continued(entry, card, later(made.build, "2026-12-24T00:00:00+00:00"))
    assert [change.utc[:10] for change in twice.changes] == ["2026-12-24", "2026-12-01"]
    assert twice.changes[0].words == ("another model: model.tflite has other bytes",)
    assert twice.first_published_utc == made.build.finished_utc


def test_an_entry_from_before_the_changelog_does_not_claim_a_first_day(made, tmp_path):
    entry = published(made, tmp_path, record=made.build)
    assert continued(entry, made.card, later(made.build)).first_published_utc is None
    assert BuildRecord.model_validate_json(later(made.build).model_dump_json()).changes == ()
