"""The changelog of an entry: what a build changes of the one in its place. Two cards enter, a build record with it leaves."""

from __future__ import annotations

from collections.abc import Iterator

from microzoo.catalog.card import BuildRecord, Card, Change
from microzoo.catalog.store import Entry

_KEY_LETTERS = 12


def continued(before: Entry | None, card: Card, record: BuildRecord) -> BuildRecord:
    """`record` with the changelog of the entry that it replaces, one entry longer where anything that people read has changed.

    before: what lies in its place, None for nothing. The words compare published figures; nothing is judged.
    """
    if before is None:
        return record.model_copy(update={"first_published_utc": record.finished_utc})
    old = before.build
    changes = old.changes if old is not None else ()
    if words := tuple(_differences(before.card, card)):
        changes = (Change(utc=record.finished_utc, generator_version=record.generator_version, words=words), *changes)
    return record.model_copy(
        update={"first_published_utc": old.first_published_utc if old is not None else None, "changes": changes}
    )


def _differences(old: Card, new: Card) -> Iterator[str]:
    if old.key != new.key:
        yield f"spec, dataset or generator: key {old.key[:_KEY_LETTERS]} to {new.key[:_KEY_LETTERS]}"
    before, after = ({file.path: file.sha256 for file in card.files} for card in (old, new))
    if before.get("model.tflite") != after.get("model.tflite"):
        yield "another model: model.tflite has other bytes"
    elif other := sorted(path for path in before.keys() & after.keys() if before[path] != after[path]):
        yield f"the same model; other bytes: {', '.join(other)}"
    if added := sorted(after.keys() - before.keys()):
        yield f"new files: {', '.join(added)}"
    if gone := sorted(before.keys() - after.keys()):
        yield f"files that are gone: {', '.join(gone)}"
    right = [f"{card.headline.correct:,} of {card.headline.n:,}" for card in (old, new)]
    if right[0] != right[1]:
        yield f"test inputs that are right: {right[0]} to {right[1]}"
    needs = {limit.name: limit for limit in old.limits}
    for limit in new.limits:
        earlier = needs.get(limit.name)
        if earlier is not None and (earlier.need, earlier.unit) != (limit.need, limit.unit):
            yield f"{limit.name}: {earlier.need:,.10g} {earlier.unit} to {limit.need:,.10g} {limit.unit}"
    shared = [name for name in new.figures if name in old.figures and old.figures[name].value != new.figures[name].value]
    if shared:
        yield f"other values: {', '.join(shared)}"
