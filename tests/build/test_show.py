from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sqlite3
import xml.etree.ElementTree as ET
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from microzoo.build.job import limits_of
from microzoo.build.key import search_identity
from microzoo.build.scratch import history_path
from microzoo.build.show import SearchState, as_json, draw, picture_of, summary, survey
from microzoo.cost.resources import Resources
from microzoo.errors import HistoryError, SpecError
from microzoo.search.history import History
from microzoo.search.types import Candidate, Evaluation, Row
from microzoo.space.architecture import Architecture, Block, Layer
from microzoo.spec.load import Job, load_jobs
from microzoo.tables import FRONT_ROWS

from .workshop import ROOT, Workshop

FAMILY = """
dataset = "digits"
targets = ["cortex-m0plus-8k"]
[search]
evaluations = 10
epochs = 2
rungs = 2
reduction = 3
"""
DESIGN = Architecture((Block((Layer("conv"),)),)).to_json()


def row(
    ordinal: int,
    accuracy: float,
    share: float,
    *,
    promoted_from: int | None = None,
    failure: str | None = None,
    flash_share: float | None = None,
    limits: tuple[int, int, int] = (4000, 20_000, 100_000),
) -> Row:
    """share: of what the target allows, of RAM and MACs; flash_share: of flash, where it differs."""
    ram, flash, instructions = (
        round(limit * part) for limit, part in zip(limits, (share, flash_share or share, share), strict=True)
    )
    rung = 0 if promoted_from is None else 1
    candidate = Candidate(ordinal, DESIGN, "digest", 0.25, None, "random", rung, promoted_from)
    return Row(
        candidate,
        Evaluation(
            accuracy, Resources(ram, flash, ram, flash, instructions // 4, instructions, ram, flash), 2.0 * 3**rung, 1.0, failure
        ),
    )


def job_of(workshop: Workshop) -> Job:
    return load_jobs([workshop.folder / "specs" / "demo.toml"])[0]


def write(workshop: Workshop, rows: list[Row], *, identity: str | None = None, about: str = "") -> Path:
    job = job_of(workshop)
    path = history_path(workshop.folder / "build/work", job, identity or search_identity(job))
    with History(path, identity or search_identity(job), {"about": about}) as history:
        for each in rows:
            history.append(each)
    return path


def fabricated(job: Job) -> list[Row]:
    """Eight trainings at rung 0 (one failed, one too large), three of which rose: errors 0.4, 0.3, 0.2 became 0.2, 0.12, 0.12."""
    limits = limits_of(job)
    assert limits.instructions is not None
    allowed = limits.ram_bytes, limits.flash_bytes, limits.instructions
    return [
        row(0, 0.6, 0.2, limits=allowed),
        row(1, 0.7, 0.5, limits=allowed),
        row(2, 0.8, 0.8, limits=allowed),
        row(3, 0.0, 0.3, failure="diverged", limits=allowed),
        row(4, 0.8, 0.2, promoted_from=0, limits=allowed),
        row(5, 0.88, 0.5, promoted_from=1, limits=allowed),
        row(6, 0.88, 0.8, promoted_from=2, limits=allowed),
        row(7, 0.99, 1.5, limits=allowed),
        row(8, 0.5, 0.1, limits=allowed),
    ]


@pytest.fixture
def searched(workshop: Workshop) -> Workshop:
    workshop.spec(FAMILY)
    write(workshop, fabricated(job_of(workshop)), about="demo on this machine")
    return workshop


def state_of(workshop: Workshop, seed: int | None = None) -> SearchState:
    (state,) = survey([workshop.folder / "specs" / "demo.toml"], workshop.folder / "build/work", seed=seed)
    return state


def test_a_small_history_by_hand(searched: Workshop) -> None:
    """Ratios 0.2/0.4 = 0.5, 0.12/0.3 = 0.4, 0.12/0.2 = 0.6: their median 0.5 halves the error of what stayed at rung 0."""
    state = state_of(searched)
    assert (state.trainings_done, state.trainings_planned, state.failures, state.misfits) == (9, 10, 1, 1)
    assert state.epochs_spent == 6 * 2 + 3 * 6
    assert state.about == "demo on this machine"
    assert [(rung.trainings, rung.failures, rung.promotions, rung.best_accuracy) for rung in state.rungs] == [
        (6, 1, 3, 0.8),
        (3, 0, 0, 0.88),
    ]
    assert state.rungs[0].error_ratio == pytest.approx(0.5)
    assert state.rungs[1].error_ratio is None
    assert [rung.epochs for rung in state.rungs] == [2.0, 6.0]
    assert (state.best_accuracy, state.best_rung) == (0.88, 1)
    # 5 beats 6, equal accuracy in less; 7 does not fit; 8 is expected at 1 - 0.5 * 0.5.
    assert [(member.ordinal, member.rung) for member in state.front] == [(5, 1), (4, 1), (8, 0)]
    assert [member.expected_error for member in state.front] == pytest.approx([0.12, 0.2, 0.25])
    assert [candidate.on_front for candidate in state.candidates] == [True, True, False, True]
    assert [training.spent_epochs for training in state.trainings] == [2, 4, 6, 8, 14, 20, 26, 28, 30]


def test_json_round_trips_and_names_units(searched: Workshop) -> None:
    state = state_of(searched)
    (shown,) = json.loads(json.dumps(as_json([state])))
    assert shown == json.loads(json.dumps(asdict(state)))
    assert {"ram_bytes", "flash_bytes", "macs", "expected_error", "sparsity", "origin"} <= set(shown["front"][0])
    assert shown["epochs_spent"] == 30.0 and shown["trainings"][3]["failure"] == "diverged"


def test_only_what_a_build_looks_at_counts(searched: Workshop) -> None:
    searched.spec(FAMILY.replace("evaluations = 10", "evaluations = 4"))
    state = state_of(searched)
    assert (state.trainings_done, state.trainings_left_out) == (4, 5)
    assert "5 more in the history, beyond [search] evaluations" in summary(state)


def test_no_history_says_what_begins_one(workshop: Workshop) -> None:
    state = state_of(workshop)
    work, spec = workshop.folder / "build/work", workshop.folder / "specs/demo.toml"
    assert state.problem == f"no search yet in {work}; zoo build {spec} --work {work} begins one"
    assert not state.found and not state.damaged
    assert str(state_of(workshop, seed=3).problem).endswith(f"--work {work} --seed 3 begins one")


def test_a_seed_of_the_command_line_is_another_history(searched: Workshop) -> None:
    assert state_of(searched).found
    other = state_of(searched, seed=7)
    assert not other.found
    assert [(Path(each.path).is_file(), each.trainings) for each in other.other_histories] == [(True, 9)]


def test_histories_of_other_specs_are_mentioned(searched: Workshop) -> None:
    path = write(searched, [row(0, 0.5, 0.1)], identity="f" * 64)
    assert [(each.path, each.trainings) for each in state_of(searched).other_histories] == [(str(path), 1)]
    searched.spec(FAMILY.replace("epochs = 2", "epochs = 3"))
    changed = state_of(searched)
    assert changed.problem is not None and len(changed.other_histories) == 2


def test_a_running_search_is_read_and_not_disturbed(workshop: Workshop) -> None:
    workshop.spec(FAMILY)
    job = job_of(workshop)
    path = history_path(workshop.folder / "build/work", job, search_identity(job))
    rows = fabricated(job)
    with History(path, search_identity(job)) as history:
        assert state_of(workshop).trainings_done == 0, "begun, nothing finished"
        for number, each in enumerate(rows, start=1):
            history.append(each)
            before = history.digest()
            assert state_of(workshop).trainings_done == number
            assert history.digest() == before
        # A training is being written: the reader sees what was committed, and neither waits for the other.
        writer = sqlite3.connect(path, isolation_level=None)
        writer.execute("begin immediate")
        writer.execute("delete from evaluations")
        assert state_of(workshop).trainings_done == len(rows)
        writer.execute("rollback")
        writer.close()


def test_a_search_that_was_killed_is_read(workshop: Workshop, tmp_path: Path) -> None:
    """As SIGKILL leaves it: rows in the write-ahead log only, no index of it."""
    workshop.spec(FAMILY)
    job = job_of(workshop)
    work = workshop.folder / "build/work"
    path = history_path(work, job, search_identity(job))
    with History(tmp_path / "running.sqlite", search_identity(job)) as history:
        for each in fabricated(job):
            history.append(each)
        path.parent.mkdir(parents=True)
        shutil.copy(tmp_path / "running.sqlite", path)
        shutil.copy(tmp_path / "running.sqlite-wal", f"{path}-wal")
    content = hashlib.sha256(path.read_bytes()).digest()
    assert state_of(workshop).trainings_done == 9
    assert hashlib.sha256(path.read_bytes()).digest() == content


def test_a_damaged_history_is_one_line_and_does_not_hide_the_others(searched: Workshop) -> None:
    searched.spec(FAMILY.replace('["cortex-m0plus-8k"]', '["tiny-2k", "cortex-m0plus-8k"]'))
    first, second = load_jobs([searched.folder / "specs"])
    path = history_path(searched.folder / "build/work", first, search_identity(first))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a database" * 100)
    states = survey([searched.folder / "specs"], searched.folder / "build/work")
    assert [state.job for state in states] == [first.place, second.place]
    assert states[0].damaged and re.search(r"is damaged.*delete it", str(states[0].problem))
    assert states[1].found
    done = searched.zoo("search", "show", code=1)
    assert "is damaged" in done.stdout and "9 of 10 trainings" in done.stdout


def test_nothing_that_fits_has_no_front_and_no_best(workshop: Workshop) -> None:
    workshop.spec(FAMILY)
    write(workshop, [row(0, 0.9, 50.0), row(1, 0.0, 0.1, failure="diverged")])
    state = state_of(workshop)
    assert (state.front, state.best_accuracy, state.best_rung) == ((), None, None)
    ET.fromstring(picture_of(state))
    done = workshop.zoo("search", "show")
    assert "nothing on the front yet" in done.stdout and "1 do not fit" in done.stdout


def test_the_picture_stands_alone(searched: Workshop, tmp_path: Path) -> None:
    state = state_of(searched)
    assert draw([state], tmp_path / "deep" / "one.svg") == [tmp_path / "deep" / "one.svg"]
    text = (tmp_path / "deep" / "one.svg").read_text(encoding="utf-8")
    root = ET.fromstring(text.encode())
    space = "{http://www.w3.org/2000/svg}"
    assert root.tag == f"{space}svg" and root.get("role") == "img" and root.get("aria-label") == "Search: digits/cortex-m0plus-8k"
    assert "prefers-color-scheme: dark" in text
    words = [node.text or "" for node in root.iter(f"{space}text")]
    assert any("9 of 10 trainings" in each for each in words) and "demo on this machine" in words
    titles = [node.text or "" for node in root.iter(f"{space}title")]
    assert sum("expected, trained at rung" in each for each in titles) == 2 * len(state.candidates)
    used = {name for node in root.iter() for name in (node.get("class") or "").split()}
    styled = set(re.findall(r"\.(mz-[\w-]+)", text.split("</style>")[0]))
    assert used - styled - {"mz-middle", "mz-tick", "mz-on-front"} == set(), "every mark has its rule in the document"


def test_several_jobs_give_a_file_each(searched: Workshop, tmp_path: Path) -> None:
    searched.spec(FAMILY.replace('["cortex-m0plus-8k"]', '["tiny-2k", "cortex-m0plus-8k"]'))
    states = survey([searched.folder / "specs"], searched.folder / "build/work")
    assert draw(states, tmp_path / "s.svg") == [tmp_path / "s-digits-cortex-m0plus-8k.svg"]
    assert sorted(file.name for file in tmp_path.glob("*.svg")) == ["s-digits-cortex-m0plus-8k.svg"]
    with pytest.raises(HistoryError, match=r"s\.svg: no search to draw; digits/tiny-2k: no search yet") as caught:
        draw(states[:1], tmp_path / "s.svg")
    assert "\n" not in str(caught.value)


def test_the_command(searched: Workshop) -> None:
    """Without arguments every spec; plain text where it is piped; no torch."""
    done = searched.zoo("search", "show", "--svg", "search.svg")
    assert "\x1b" not in done.stdout
    assert "9 of 10 trainings, 30 epochs, 1 failed, 1 do not fit, best 88.00% validation at rung 1" in done.stdout
    rows = [line.split() for line in done.stdout.splitlines() if line.strip().startswith(("5 ", "4 ", "8 "))]
    assert [(line[0], line[3], line[4]) for line in rows] == [
        ("5", "88.00%", "12.00%"),
        ("4", "80.00%", "20.00%"),
        ("8", "50.00%", "25.00%"),
    ]
    assert "front: 3 candidates" in done.stdout and "picture: search.svg" in done.stdout
    (shown,) = json.loads(searched.zoo("search", "show", "specs/demo.toml", "--json", "--svg", "search.svg").stdout)
    assert shown["job"] == "digits/cortex-m0plus-8k" and len(shown["trainings"]) == 9
    none = searched.zoo("search", "show", "--work", "elsewhere")
    assert (
        "digits/cortex-m0plus-8k: no search yet in elsewhere; zoo build specs/demo.toml --work elsewhere begins one"
        in none.stdout
    )
    assert "no such file" in searched.zoo("search", "show", "specs/dmeo.toml", code=1).stderr
    nothing = searched.zoo("search", "show", "--work", "elsewhere", "--svg", "x.svg", code=1)
    assert nothing.stderr.startswith("zoo: x.svg: no search to draw;") and nothing.stderr.count("\n") == 1


def test_the_default_work_folder_needs_no_option(workshop: Workshop) -> None:
    assert "no search yet in build/work; zoo build specs/demo.toml begins one" in workshop.zoo("search", "show").stdout


def test_a_terminal_without_unicode_gets_ascii(searched: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "●" in searched.zoo("search", "show").stdout
    monkeypatch.setitem(os.environ, "PYTHONIOENCODING", "ascii")
    done = searched.zoo("search", "show")
    assert done.stdout.isascii() and "(o front, . beaten)" in done.stdout


def test_a_mistake_in_a_spec_is_the_usual_error(workshop: Workshop) -> None:
    workshop.spec("dataset = 3")
    with pytest.raises(SpecError):
        survey([workshop.folder / "specs"], workshop.folder / "build/work")


def test_the_specs_of_the_project_can_be_shown() -> None:
    states = survey([ROOT / "specs"], ROOT / "build/none")
    assert len(states) >= 3 and not any(state.found for state in states)


def test_a_long_front_is_cut_unless_all_is_asked_for(workshop: Workshop) -> None:
    """25 candidates, each larger and better than the one before: all are on the front."""
    workshop.spec(FAMILY.replace("evaluations = 10", "evaluations = 30"))
    write(workshop, [row(index, 0.5 + index / 100, 0.1 + index / 100) for index in range(25)])
    short, whole = workshop.zoo("search", "show").stdout, workshop.zoo("search", "show", "--all").stdout
    assert f"front: 25 candidates, the {FRONT_ROWS} most accurate (--all: every one)" in short
    assert (short.count(" random "), whole.count(" random ")) == (FRONT_ROWS, 25)
    assert f"not only the {FRONT_ROWS} best" in " ".join(workshop.zoo("search", "show", "--help").stdout.split())


def test_a_limit_of_one_instruction_is_refused_in_words(workshop: Workshop) -> None:
    """What no network keeps is still a limit to be compared with: need / limit has a value, see `Limits.violation`."""
    workshop.spec(FAMILY)
    job = job_of(workshop)
    budget = job.target.budget.model_copy(update={"latency_ms": 5e-5})
    limits = limits_of(replace(job, target=job.target.model_copy(update={"budget": budget})))
    assert limits.instructions == 1
    assert limits.violation(row(0, 0.5, 1.0).evaluation.resources) == 100_000
