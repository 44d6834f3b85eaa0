"""What a job does with the entry that lies where it is about to publish one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from microzoo.build.job import JobBuild, Places
from microzoo.build.key import job_key
from microzoo.build.publish import Draft
from microzoo.build.zoo import build
from microzoo.catalog.store import Entry, damage, read_entry
from microzoo.errors import CatalogError
from microzoo.spec.load import load_jobs

from ..pages.cards import Synthetic, synthetic  # noqa: TID252  # tests are no package with a name

ROOT = Path(__file__).parents[2]


class Notes:
    """A report that keeps what a person should read."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)

    def __getattr__(self, _name: str) -> Any:
        return lambda *_: None


@pytest.fixture
def made() -> Synthetic:
    return synthetic()


def publish(made: Synthetic, zoo: Path) -> tuple[list[str], Entry]:
    """Publishes it as the only draft of its job; gives the notes, and what lies in the zoo then."""
    job = next(job for job in load_jobs([ROOT / "specs/demo.toml"]) if job.place == "digits/cortex-m0plus-8k")
    notes = Notes()
    card = made.card.model_copy(update={"siblings": ("brisk-wren",)})
    current = JobBuild(job, Places(zoo, zoo.parent / "work", "cpu"), None, notes)
    assert current._publish([Draft(card, made.files)], made.build) == [card.id]
    return notes.lines, read_entry(zoo / card.id)


def test_what_was_not_there_is_first_published_now(made: Synthetic, tmp_path: Path) -> None:
    lines, entry = publish(made, tmp_path / "zoo")
    assert lines == []
    assert entry.build is not None and entry.build.first_published_utc == made.build.finished_utc


@pytest.mark.parametrize("name", ["card.json", "build.json"])
def test_a_damaged_entry_is_replaced_with_a_note(made: Synthetic, tmp_path: Path, name: str) -> None:
    """Hours of search stand behind the new one; nothing that the old one says may end that."""
    folder = made.write(tmp_path / "zoo")
    (folder / name).write_text('{"schema_version": 99}', encoding="utf-8")
    lines, entry = publish(made, tmp_path / "zoo")
    assert damage(entry) == []
    (line,) = lines
    assert f"{folder / name}: " in line and line.endswith("replaced, and when it was first published is lost")
    assert entry.build is not None and entry.build.first_published_utc is None, "not known, so not said"


def test_an_entry_that_is_up_to_date_but_damaged_ends_a_build_at_once(made: Synthetic, tmp_path: Path) -> None:
    (job,) = (job for job in load_jobs([ROOT / "specs/demo.toml"]) if job.place == "digits/cortex-m0plus-8k")
    zoo, names = tmp_path / "zoo", ("one", "two")
    for name in names:
        update = {"id": f"{job.place}/{name}", "siblings": names, "key": job_key(job)}
        folder = replace(made, card=made.card.model_copy(update=update)).write(zoo)
        (folder / "model.tflite").unlink()
    places = Places(zoo, tmp_path / "work", "cpu")
    with pytest.raises(CatalogError, match=r"one/model\.tflite: missing \(and 1 more\); restore the file, or build again with"):
        build([job], places, Notes(), seconds=None, force=False, reuse=False, render=lambda: tmp_path)
