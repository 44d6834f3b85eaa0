from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from microzoo.catalog.card import BuildRecord, Card
from microzoo.catalog.files import writing
from microzoo.catalog.lock import locked
from microzoo.catalog.ratchet import kept_instead
from microzoo.catalog.store import clear_leftovers, damage, entries, read_entry, remove_others, sha256, write_entry
from microzoo.errors import CatalogError, StorageError

FILES = {"model.tflite": b"tflite", "c/model.c": b"int x;"}
BUILD = BuildRecord(
    finished_utc="2026-01-01T00:00:00+00:00",
    seconds=1.0,
    search_seconds=1.0,
    device="cpu",
    machine="m",
    generator_version="0",
    versions={},
    ended_by="evaluations",
)


def make_card(name: str = "accurate", key: str = "0" * 64) -> Card:
    accuracy = {"runtime": "generated C", "split": "test", "value": 0.5, "correct": 1, "n": 2}
    return Card.model_validate(
        {
            "id": f"digits/m4/{name}",
            "siblings": [name],
            "key": key,
            "dataset": {
                "name": "digits",
                "title": "Digits",
                "input_shape": [8, 8, 1],
                "classes": ["0", "1"],
                "checksum": "0" * 64,
                "train": 1,
                "validation": 1,
                "test": 2,
                "licence": "x",
                "licence_url": "",
                "citation": "x",
            },
            "target": {
                "name": "m4",
                "title": "M4",
                "core": "cortex-m4",
                "clock_mhz": 64,
                "runtime": "c",
                "ram_bytes": 1,
                "flash_bytes": 1,
                "reserve_ram_bytes": 0,
                "reserve_flash_bytes": 0,
                "macs_limit": 1,
                "boards": [],
            },
            "architecture": "{}",
            "sparsity": 0.0,
            "input": {"shape": [8, 8, 1], "scale": 1.0, "zero_point": 0},
            "output": {"shape": [2], "scale": 1.0, "zero_point": 0},
            "preprocessing": {"raw_min": 0, "raw_max": 1, "scale": 1, "mean": 0, "std": 1},
            "files": [
                {"path": path, "format": "other", "bytes": len(content), "sha256": sha256(content)}
                for path, content in FILES.items()
            ],
            "figures": {},
            "limits": [],
            "layers": [],
            "seeds": [],
            "validation_int8": {"mean": 0.5, "standard_deviation": None, "n": 1},
            "confusion": [[1, 0], [1, 0]],
            "headline": accuracy,
            "headline_file": "model.tflite",
            "search": {"strategy": "microzoo", "seed": 0, "evaluations": 0, "epochs": 0, "ordinal": 0, "points": []},
        }
    )


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    folder = write_entry(tmp_path, make_card(), BUILD, FILES)
    (entry,) = entries(tmp_path)
    assert (entry.folder, entry.card, entry.build) == (folder, make_card(), BUILD)
    assert damage(entry) == []
    assert sorted(path.name for path in folder.parent.iterdir()) == ["accurate"]


def test_the_same_card_is_the_same_bytes(tmp_path: Path) -> None:
    first = write_entry(tmp_path / "a", make_card(), BUILD, FILES) / "card.json"
    second = write_entry(tmp_path / "b", make_card(), BUILD, FILES) / "card.json"
    assert first.read_bytes() == second.read_bytes()


def test_replacing_leaves_nothing_of_the_old_one(tmp_path: Path) -> None:
    folder = write_entry(tmp_path, make_card(), BUILD, FILES)
    (folder / "stray").write_text("x")
    write_entry(tmp_path, make_card(key="1" * 64), BUILD, FILES)
    assert read_entry(folder).card.key == "1" * 64
    assert not (folder / "stray").exists()


@pytest.mark.parametrize("swapped", [False, True])
def test_a_build_killed_while_writing_loses_nothing(tmp_path: Path, swapped: bool) -> None:
    """Killed with the new entry half-written beside the old one, or between the two renames."""
    folder = write_entry(tmp_path, make_card(), BUILD, FILES)
    staging = folder.parent / ".new-accurate"
    staging.mkdir()
    (staging / "model.tflite").write_bytes(b"half")
    if swapped:
        folder.rename(folder.parent / ".old-accurate")
    clear_leftovers(tmp_path)
    (entry,) = entries(tmp_path)
    assert damage(entry) == []
    assert [path.name for path in folder.parent.iterdir()] == ["accurate"]


@pytest.mark.parametrize(("call", "done", "key"), [(1, False, "0"), (1, True, "0"), (2, False, "0"), (2, True, "1")])
def test_ctrl_c_around_the_two_renames_leaves_a_whole_entry_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int, done: bool, key: str
) -> None:
    """It falls before or after the rename with this number."""
    folder = write_entry(tmp_path, make_card(), BUILD, FILES)
    rename, calls = Path.rename, list[Path]()

    def interrupted(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == call and not done:
            raise KeyboardInterrupt
        moved = rename(self, target)
        if len(calls) == call:
            raise KeyboardInterrupt
        return moved

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_entry(tmp_path, make_card(key="1" * 64), BUILD, FILES)
    (entry,) = entries(tmp_path)
    assert entry.card.key == key * 64 and damage(entry) == []
    assert [path.name for path in folder.parent.iterdir()] == ["accurate"]


def test_damage_is_named(tmp_path: Path) -> None:
    folder = write_entry(tmp_path, make_card(), BUILD, FILES)
    (folder / "model.tflite").write_bytes(b"tflitf")
    (folder / "c/model.c").unlink()
    (folder / "extra").write_bytes(b"")
    found = damage(read_entry(folder))
    assert [text.split(": ", 1)[1][:10] for text in found] == ["SHA-256 is", "missing", "not listed"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda raw: raw.pop("files"), "card.json: files: Field required"),
        (lambda raw: raw.update(schema_version=99), "schema_version = 99, this microzoo reads up to 1; update microzoo"),
        (lambda raw: raw.update(colour="red"), "card.json: colour: Extra inputs are not permitted"),
        (lambda raw: raw.update(id="digits/m4/other"), 'id = "digits/m4/other" but the folder says "digits/m4/accurate"'),
        (lambda raw: raw["headline"].update(value=1.5), "headline.value: Input should be less than or equal to 1"),
    ],
)
def test_a_bad_card_names_entry_and_field(tmp_path: Path, change: object, expected: str) -> None:
    folder = write_entry(tmp_path, make_card(), BUILD, FILES)
    raw = json.loads((folder / "card.json").read_text())
    assert callable(change)
    change(raw)
    (folder / "card.json").write_text(json.dumps(raw))
    with pytest.raises(CatalogError) as caught:
        entries(tmp_path)
    assert expected in str(caught.value)
    assert "accurate" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_half_written_and_cut_off_entries_are_errors_with_remedies(tmp_path: Path) -> None:
    folder = write_entry(tmp_path, make_card(), BUILD, FILES)
    text = (folder / "card.json").read_text()
    (folder / "card.json").write_text(text[: len(text) // 2])
    with pytest.raises(CatalogError, match=r"is not JSON.*restore the file, or delete the folder and build again"):
        entries(tmp_path)
    (folder / "card.json").unlink()
    with pytest.raises(CatalogError, match=r"has no card\.json.*delete the folder and build again"):
        entries(tmp_path)


@pytest.mark.parametrize(
    "text", ['{"sparsity": ' + "9" * 5000 + "}", "[" * 100_000], ids=["a number of 5,000 digits", "brackets"]
)
def test_json_that_python_cannot_hold_is_an_error_of_the_card(tmp_path: Path, text: str) -> None:
    folder = write_entry(tmp_path, make_card(), BUILD, FILES)
    (folder / "card.json").write_text(text)
    with pytest.raises(CatalogError, match=r"card\.json: cannot be read: .*; restore the file"):
        entries(tmp_path)


def test_a_bad_build_record_is_named_with_its_field_and_what_a_terminal_would_obey_is_escaped(tmp_path: Path) -> None:
    folder = write_entry(tmp_path, make_card(), BUILD, FILES)
    raw = json.loads((folder / "build.json").read_text())
    (folder / "build.json").write_text(json.dumps(raw | {"\x1b[2J": 1}))
    with pytest.raises(CatalogError, match=r"build\.json: \\x1b\[2J: Extra inputs .*, found 1; restore the file or delete it"):
        entries(tmp_path)
    (folder / "build.json").write_bytes(b"\xff")
    with pytest.raises(CatalogError, match=r"build\.json: cannot be read: 'utf-8'"):
        entries(tmp_path)
    (folder / "build.json").write_text("{")
    with pytest.raises(CatalogError, match=r"build\.json: Invalid JSON"):
        entries(tmp_path)


def test_all_damaged_entries_are_named_at_once(tmp_path: Path) -> None:
    for name in ("accurate", "small", "tiny"):
        write_entry(tmp_path, make_card(name), BUILD, FILES)
    for name in ("accurate", "tiny"):
        (tmp_path / "digits/m4" / name / "card.json").unlink()
    with pytest.raises(CatalogError) as caught:
        entries(tmp_path)
    assert [line.split(": ")[0] for line in str(caught.value).splitlines()] == [
        str(tmp_path / "digits/m4" / name) for name in ("accurate", "tiny")
    ]


def test_entries_that_the_spec_no_longer_gives_go(tmp_path: Path) -> None:
    for name in ("accurate", "small"):
        write_entry(tmp_path, make_card(name), BUILD, FILES)
    assert remove_others(tmp_path, "digits/m4", ["accurate"]) == ["digits/m4/small"]
    assert [entry.card.id for entry in entries(tmp_path)] == ["digits/m4/accurate"]


def test_an_entry_that_goes_is_whole_or_gone_where_a_build_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("accurate", "small"):
        write_entry(tmp_path, make_card(name), BUILD, FILES)
    rmtree = shutil.rmtree

    def interrupted(path: Path, **options: bool) -> None:
        if path.exists():
            (path / "card.json").unlink()
            raise KeyboardInterrupt
        rmtree(path, **options)

    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", interrupted)
        with pytest.raises(KeyboardInterrupt):
            remove_others(tmp_path, "digits/m4", ["accurate"])
    assert [entry.card.id for entry in entries(tmp_path)] == ["digits/m4/accurate"]
    clear_leftovers(tmp_path)
    assert [path.name for path in (tmp_path / "digits/m4").iterdir()] == ["accurate"]


SECOND_BUILD = """
import sys
from pathlib import Path
from microzoo.catalog.lock import locked
from microzoo.catalog.ratchet import kept_instead
from microzoo.errors import LockedError
try:
    with locked(Path(sys.argv[1])):
        print("got it")
except LockedError as error:
    print(error)
"""


def test_a_second_build_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SECOND_BUILD, str(tmp_path)]
    with locked(tmp_path):
        message = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"in use by process {os.getpid()} on " in message
    assert "wait for it, or choose another folder" in message
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "got it\n"


def test_file_system_errors_say_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        write_entry(tmp_path / "file", make_card(), BUILD, FILES)
    with pytest.raises(StorageError, match="the disk is full; make room"), writing(tmp_path):
        raise OSError(28, "No space left on device", "x")
    with pytest.raises(StorageError, match="cannot be written: Read-only file system; choose another folder"), writing(tmp_path):
        raise OSError(30, "Read-only file system", "x")


def test_only_a_better_model_of_the_same_spec_is_replaced(tmp_path: Path) -> None:
    def with_mean(mean: float, key: str = "0" * 64, n: int = 2) -> Card:
        card = make_card(key=key)
        return card.model_copy(update={"validation_int8": card.validation_int8.model_copy(update={"mean": mean, "n": n})})

    assert kept_instead(tmp_path, [with_mean(0.9)]) is None
    folder = write_entry(tmp_path, with_mean(0.9), BUILD, FILES)
    assert kept_instead(tmp_path, [with_mean(0.89)]) == with_mean(0.9)
    assert kept_instead(tmp_path, [with_mean(0.9)]) is None
    assert kept_instead(tmp_path, [with_mean(0.91)]) is None
    assert kept_instead(tmp_path, [with_mean(0.5, key="1" * 64)]) is None, "the spec changed"
    assert kept_instead(tmp_path, [with_mean(0.5, n=3)]) is None, "more seeds were run"
    assert kept_instead(tmp_path, [with_mean(0.5), make_card("small")]) is None, "an entry is missing"
    (folder / "model.tflite").write_bytes(b"")
    assert kept_instead(tmp_path, [with_mean(0.5)]) is None, "the entry is damaged"
    write_entry(tmp_path, with_mean(0.9), BUILD, FILES)
    (folder / "card.json").write_text("{")
    assert kept_instead(tmp_path, [with_mean(0.5)]) is None, "its card is damaged"
