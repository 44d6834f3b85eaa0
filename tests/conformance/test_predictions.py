"""What is predicted of a network from its graph alone, against the files that are made of it: bytes of activations, of the
.tflite and of the linked flash, and the instructions of an emulated core. `make conformance` does it for a thousand networks.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from microzoo.build.predictions import FILE_SHARE, FLASH_BYTES, FLASH_SHARE, INSTRUCTIONS_SHARE, predicted_arena
from microzoo.cost.predict import predict
from microzoo.cost.tflite_size import tflite_bytes
from microzoo.export.c import c_sources
from microzoo.export.tflite import tflite
from microzoo.measure.activations import planned_bytes
from microzoo.measure.emulate import BoardTooSmallError, emulate
from microzoo.measure.footprint import c_arena_figure, measure_footprint
from microzoo.measure.tflite_file import parse_tflite
from microzoo.spec.cores import Core

from . import summary
from .cases import Case
from .summary import Record

CORES: tuple[Core, ...] = ("cortex-m4", "cortex-m0plus", "cortex-m55", "cortex-m3", "cortex-m7", "cortex-m33")
FEW, MANY = 4, 12
"""Networks of each chunk that are compiled and emulated: in `make test`, and where there are many chunks."""
CORNER_FLASH, CORNER_FLASH_BYTES, CORNER_INSTRUCTIONS = 0.05, 100, 0.1
"""For corners, which no search proposes: multipliers of 1/2 and more take a longer way, a zero point of 0 a shorter one on an
M55, and in an image of 3 KB a hundred bytes are more than 2 %."""
Recorder = Callable[[Record], None]


def test_activations_and_file_sizes_are_predicted_to_the_byte(cases: tuple[Case, ...], tmp_path: Path, record: Recorder) -> None:
    activations, files = [], []
    for case in cases:
        graph, content = case.model.graph, tflite(case.model)
        placed = planned_bytes(parse_tflite(content))
        assert placed is not None
        activations.append(abs(predicted_arena(graph, "tflm")[0] - -(-placed // 16) * 16))
        folder = _sources(case, tmp_path)
        declared = c_arena_figure(folder)["c_arena"].value
        assert declared is not None
        activations.append(abs(predicted_arena(graph, "c")[0] - int(declared)))
        files.append(abs(tflite_bytes(graph, []) - len(content)))
        assert files[-1] <= FILE_SHARE * len(content), case.name
    record(Record(summary.ACTIVATIONS, len(cases), len(activations), sum(map(bool, activations)), max(activations)))
    record(Record(summary.FILE, len(cases), len(files), 0, max(files)))
    assert not any(activations)


@pytest.mark.arm
def test_flash_and_instructions_are_predicted_within_what_a_build_allows(
    cases: tuple[Case, ...], tmp_path: Path, record: Recorder, whole: bool
) -> None:
    corner = not cases[0].name.startswith("network ")
    share, least, late_share = (
        (CORNER_FLASH, CORNER_FLASH_BYTES, CORNER_INSTRUCTIONS) if corner else (FLASH_SHARE, FLASH_BYTES, INSTRUCTIONS_SHARE)
    )
    some = cases[:: max(1, len(cases) // (MANY if whole else FEW))]
    flash, instructions, beyond = [], [], {}
    for index, case in enumerate(some):
        core, folder = CORES[index % len(CORES)], _sources(case, tmp_path)
        needs, linked = predict(case.model.graph, "c", core)[1], measure_footprint(folder, core).flash_bytes
        flash.append(abs(needs.flash_bytes - linked))
        if flash[-1] > max(share * linked, least):
            beyond[case.name, core, "flash"] = needs.flash_bytes, linked
        try:
            counted = max(emulate(folder, core, case.inputs[2:]).instructions)
        except BoardTooSmallError:
            continue
        instructions.append(abs(needs.instructions - counted) / counted)
        if instructions[-1] > late_share:
            beyond[case.name, core, "instructions"] = needs.instructions, counted
    record(
        Record(
            summary.CORNER_FLASH if corner else summary.FLASH,
            len(flash),
            len(flash),
            sum(key[2] == "flash" for key in beyond),
            max(flash),
        )
    )
    worst = {"most that a prediction of instructions is off by, in millionths": round(1e6 * max(instructions))}
    late = sum(key[2] == "instructions" for key in beyond)
    record(
        Record(
            summary.CORNER_INSTRUCTIONS if corner else summary.INSTRUCTIONS,
            len(instructions),
            len(instructions),
            late,
            notes=worst,
        )
    )
    assert beyond == {}
    assert len(instructions) > len(some) // 2, "most networks fit the boards"


def _sources(case: Case, tmp_path: Path) -> Path:
    """The generated C of a case in a folder of its own."""
    folder = tmp_path / case.name.replace(" ", "-")
    folder.mkdir()
    for name, text in c_sources(case.model).items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder
