"""The whole path, for real: `zoo build` on digits, and what users do with its result."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from microzoo.catalog.card import Card, Role
from microzoo.catalog.store import damage, entries

from .workshop import FAMILY, Workshop, make_workshop

pytestmark = [pytest.mark.slow, pytest.mark.tflm, pytest.mark.arm]
ID = "digits/cortex-m0plus-8k/accurate"


def card_of(workshop: Workshop) -> Card:
    (entry,) = entries(workshop.folder / "zoo")
    assert damage(entry) == []
    return entry.card


def files_of(folder: Path) -> dict[str, bytes]:
    """All files of a zoo but build.json, which holds the time."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in ("build.json", ".lock"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_build_publishes_a_model_that_fits_with_every_figure(built: Workshop) -> None:
    card = card_of(built)
    assert card.id == ID
    assert all(limit.fits for limit in card.limits)
    assert [limit.name for limit in card.limits] == ["ram", "flash", "latency"]
    assert {file.format for file in card.files} >= {"tflite", "onnx", "c", "header"}
    assert card.headline.split == "test"
    assert card.headline.n == card.dataset.test == 359
    assert card.headline.value > 0.5
    assert sum(map(sum, card.confusion)) == 359
    assert sum(row[index] for index, row in enumerate(card.confusion)) == card.headline.correct
    predicted, planned, static = (card.figures[name].value for name in ("predicted_activations", "activations", "c_static_ram"))
    assert predicted is not None
    assert planned is not None
    assert static is not None
    assert predicted <= planned <= predicted + 15 * len(card.layers), "the .tflite places tensors at multiples of 16"
    assert predicted <= static <= predicted + 3, "the C arena is a multiple of 4"
    assert card.figures["predicted_macs"].value == card.figures["macs"].value
    assert len(card.search.points) == card.search.evaluations == 9
    assert len(card.seeds) == 2
    assert sum(seed.published for seed in card.seeds) == 1
    assert all(figure.method for figure in card.figures.values())


def test_the_card_names_the_baseline_that_the_entry_had_to_beat(built: Workshop) -> None:
    card = card_of(built)
    baseline = card.search.baseline
    assert baseline is not None
    assert baseline.n == card.validation_int8.n == 2
    assert card.validation_int8.mean >= baseline.mean, "the best of the finalists, of which the design is one"
    page = (built.folder / "build/site/models" / ID / "index.html").read_text(encoding="utf-8")
    assert "The baseline is the best reference design" in page


def test_c_tflm_and_the_card_agree_on_every_test_input(built: Workshop) -> None:
    card = card_of(built)
    figure = card.figures["c_tflm_differences"]
    assert (figure.value, figure.kind) == (0, "measured")
    counts = {accuracy.runtime.split()[0]: accuracy.correct for file in card.files for accuracy in file.accuracy}
    assert len(counts) == 5, counts
    assert counts["generated"] == counts["TensorFlow"] == counts["WebAssembly,"], counts


def test_golden_vectors_pass_on_this_machine_and_are_real_inputs(built: Workshop, tmp_path: Path) -> None:
    """What a user does with a download: make in selftest/, and numpy on golden.npz."""
    card = card_of(built)
    assert card.golden is not None
    assert (card.golden.source, card.golden.n, card.preprocessing.raw_type) == ("validation", 10, "uint8")
    assert {file.role for file in card.files} == set(get_args(Role)) - {"features"}, "those are of sound"
    folder = built.folder / "zoo" / ID
    with np.load(folder / "golden.npz") as golden:
        assert sorted(golden["label"].tolist()) == list(range(10)), "each digit once"
        assert golden["raw"].max() <= 16
    zoo = tmp_path / "copy"
    shutil.copytree(folder, zoo)
    done = subprocess.run(["make", "-s"], cwd=zoo / "selftest", capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "PASS: 10 inputs, all outputs as published\n"), done.stderr
    for name in ("golden_differences", "c_wasm_differences", "c_tflm_differences"):
        assert card.figures[name].value == 0
    assert len(list((built.folder / "build/site/models" / ID / "files").glob("*.zip"))) == 3


def test_onnx_file_alone_gives_the_published_accuracy(built: Workshop) -> None:
    """The way a user would: onnxruntime, the card's preprocessing, the test split."""
    import onnxruntime

    from microzoo.data.load import load
    from microzoo.spec.load import load_jobs

    (job,) = load_jobs([built.folder / "specs"])
    card = card_of(built)
    test = load("digits", job.dataset).test
    session = onnxruntime.InferenceSession(built.folder / "zoo" / ID / "model.onnx")
    q = np.clip(np.round(test.x / card.input.scale) + card.input.zero_point, -128, 127).astype(np.int8)
    (logits,) = session.run(None, {session.get_inputs()[0].name: q.transpose(0, 3, 1, 2)})
    correct = int((logits.reshape(len(q), -1).argmax(axis=1) == test.y).sum())
    (published,) = next(file.accuracy for file in card.files if file.path == "model.onnx")
    assert correct == published.correct


def test_verify_finds_no_difference_and_names_a_changed_number(built: Workshop, tmp_path: Path) -> None:
    assert "0 differences" in built.zoo("verify").stdout
    shutil.copytree(built.folder / "zoo", tmp_path / "zoo")
    path = tmp_path / "zoo" / ID / "card.json"
    raw = json.loads(path.read_text(encoding="utf-8"))
    raw["headline"]["correct"] += 1
    raw["figures"]["macs"]["value"] += 1
    path.write_text(json.dumps(raw), encoding="utf-8")
    done = built.zoo("verify", "--out", str(tmp_path / "zoo"), "--json", code=1)
    found = {difference["what"] for difference in json.loads(done.stdout)["differences"] if not difference["excused"]}
    assert found == {"headline", "macs"}


def test_verify_quick_names_a_changed_file(built: Workshop, tmp_path: Path) -> None:
    shutil.copytree(built.folder / "zoo", tmp_path / "zoo")
    path = tmp_path / "zoo" / ID / "model.tflite"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    done = built.zoo("verify", "--quick", "--out", str(tmp_path / "zoo"), code=1)
    assert "SHA-256" in re.sub(r"[\s│]+", " ", done.stdout)


def test_what_is_up_to_date_is_not_built_again(built: Workshop) -> None:
    before = files_of(built.folder / "zoo")
    started = time.monotonic()
    done = built.zoo("build")
    assert "up to date" in done.stdout
    assert "search" not in done.stdout
    assert time.monotonic() - started < 60
    assert files_of(built.folder / "zoo") == before


def test_a_published_zoo_needs_neither_data_nor_history(built: Workshop, tmp_path: Path) -> None:
    """As on a fresh clone: the zoo is there, the work folder and the datasets are not."""
    fresh = make_workshop(tmp_path / "fresh")
    shutil.copytree(built.folder / "zoo", fresh.folder / "zoo")
    assert "up to date" in fresh.zoo("build").stdout
    assert [path.name for path in (fresh.folder / "build/work").iterdir()] == [".lock"]
    assert (fresh.folder / "build/site/index.html").is_file()


def test_dry_run_builds_nothing(workshop: Workshop, built: Workshop) -> None:
    (row,) = json.loads(workshop.zoo("build", "--dry-run", "--json").stdout)
    assert (row["job"], row["action"], row["evaluations"]) == ("digits/cortex-m0plus-8k", "build", "0/9")
    assert not (workshop.folder / "zoo").exists()
    (row,) = json.loads(built.zoo("build", "--dry-run", "--json").stdout)
    assert (row["action"], row["evaluations"]) == ("verify checksums", "9/9")


def wait_for_evaluations(workshop: Workshop, process: subprocess.Popen[bytes], count: int) -> None:
    """Until the history holds `count` rows."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        for path in workshop.folder.glob("build/work/*/*/*/history.sqlite"):
            try:
                with sqlite3.connect(path) as connection:
                    found = connection.execute("select count(*) from evaluations").fetchone()[0]
                connection.close()
            except sqlite3.OperationalError:
                continue
            if found >= count:
                return
        time.sleep(0.02)
    raise AssertionError(f"no {count} evaluations; exit code {process.poll()}")


def test_killed_and_started_again_it_gives_the_same_bytes(built: Workshop, workshop: Workshop) -> None:
    """SIGKILL during the search, Ctrl-C later on, then to the end: every published byte equals that of a build never stopped."""
    # A test runner's workers may ignore SIGINT, and children inherit that.
    program = "import signal, sys; from microzoo.__main__ import main; sys.argv = ['zoo', 'build'];"
    program += "signal.signal(signal.SIGINT, signal.default_int_handler); main()"
    command = [sys.executable, "-c", program]
    process = subprocess.Popen(command, cwd=workshop.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_evaluations(workshop, process, 3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process = subprocess.Popen(
        command, cwd=workshop.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    wait_for_evaluations(workshop, process, 7)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert b"everything finished is kept" in errors
    assert b"Traceback" not in errors
    assert "going on after" in workshop.zoo("build").stdout
    assert files_of(workshop.folder / "zoo") == files_of(built.folder / "zoo")


def test_a_longer_search_goes_on_in_the_same_history(built: Workshop, tmp_path: Path) -> None:
    longer = make_workshop(tmp_path / "longer")
    shutil.copytree(built.folder / "build/work", longer.folder / "build/work")
    longer.spec(FAMILY.replace("evaluations = 9", "evaluations = 10"))
    (row,) = json.loads(longer.zoo("build", "--dry-run", "--json").stdout)
    assert row["evaluations"] == "9/10"


def test_another_seed_is_another_model(built: Workshop) -> None:
    (row,) = json.loads(built.zoo("build", "--seed", "7", "--dry-run", "--json").stdout)
    assert (row["action"], row["evaluations"]) == ("build", "0/9")


def test_a_target_that_nothing_fits_is_one_line(workshop: Workshop) -> None:
    target = workshop.folder / "specs/targets/cortex-m0plus-8k.toml"
    target.write_text(target.read_text(encoding="utf-8").replace("ram_bytes = 8192", "ram_bytes = 200"), encoding="utf-8")
    done = workshop.zoo("build", code=1)
    (line,) = done.stderr.strip().splitlines()
    assert "no candidate fits" in line
    assert "of 200 bytes" in line


def test_a_damaged_history_is_one_line_and_is_kept(built: Workshop, tmp_path: Path) -> None:
    workshop = make_workshop(tmp_path / "damaged")
    shutil.copytree(built.folder / "build/work", workshop.folder / "build/work")
    (path,) = workshop.folder.glob("build/work/*/*/*/history.sqlite")
    for extra in path.parent.glob("history.sqlite-*"):
        extra.unlink()
    path.write_bytes(b"garbage" * 1000)
    done = workshop.zoo("build", code=1)
    assert "is damaged" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert path.read_bytes() == b"garbage" * 1000


def test_a_half_written_entry_is_named_with_its_remedy(built: Workshop, tmp_path: Path) -> None:
    shutil.copytree(built.folder / "zoo", tmp_path / "zoo")
    (tmp_path / "zoo" / ID / "card.json").unlink()
    done = built.zoo("build", "--out", str(tmp_path / "zoo"), code=1)
    assert "half-written" in done.stderr
    assert "delete the folder and build again" in done.stderr


def test_output_that_cannot_be_written_is_one_line(workshop: Workshop) -> None:
    (workshop.folder / "file").write_text("", encoding="utf-8")
    done = workshop.zoo("build", "--out", "file/zoo", code=1)
    assert "cannot be written" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_full_disk_loses_nothing(workshop: Workshop) -> None:
    """A limit on the size of files stands in for a disk without room: writing fails the same way, in the middle of a file."""
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
        "from microzoo.__main__ import main; sys.argv = ['zoo', 'build']; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=workshop.folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 1
    assert "cannot be written: File too large" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["build", "--budget", "soon"], "is not a duration"),
        (["build", "--device", "tpu"], "tpu"),
        (["frobnicate"], "frobnicate"),
        (["schema", "chip"], "chip"),
    ],
)
def test_usage_errors_exit_2(workshop: Workshop, arguments: list[str], expected: str) -> None:
    assert expected in workshop.zoo(*arguments, code=2).stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["build", "specs/nothing.toml"], "no such file or folder"),
        (["show", "digits/cortex-m0plus-8k/acurate"], "no such entry"),
        (["verify", "x"], "no such entry"),
    ],
)
def test_mistakes_exit_1_with_one_line(workshop: Workshop, arguments: list[str], expected: str) -> None:
    done = workshop.zoo(*arguments, code=1)
    assert expected in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_list_and_show_give_what_the_card_says(built: Workshop) -> None:
    card = card_of(built)
    (row,) = json.loads(built.zoo("list", "--json").stdout)
    assert (row["id"], row["test_accuracy"]) == (ID, card.headline.value)
    assert json.loads(built.zoo("show", ID, "--json").stdout) == card.model_dump(mode="json")
    text = built.zoo("show", ID).stdout
    assert "predicted" in text
    assert "measured" in text


def test_output_tells_where_the_site_is(built: Workshop) -> None:
    output = (built.folder / "output.txt").read_text(encoding="utf-8")
    (page,) = re.findall(r"^site: (.*)$", output, flags=re.MULTILINE)
    assert Path(page).is_file()
    assert f"published {ID}" in output
