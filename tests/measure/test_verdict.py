import pytest

from microzoo.catalog.card import Figure
from microzoo.errors import MeasurementError
from microzoo.measure.verdict import TFLM_CODE_BYTES, limits
from microzoo.spec.models import TargetBudget, TargetReserve, TargetSpec


def target(runtime="c"):
    return TargetSpec(
        title="part",
        core="cortex-m4",
        clock_mhz=80.0,
        runtime=runtime,
        budget=TargetBudget(ram_bytes=8192, flash_bytes=65536, macs=1000),
        reserve=TargetReserve(ram_bytes=192, flash_bytes=536),
    )


def figure(value, kind="measured", unit="bytes"):
    return Figure(value=value, unit=unit, kind=kind, method="how")


FIGURES = {
    "macs": figure(1000, unit="macs"),
    "c_ram": figure(8000, "estimated"),
    "c_flash": figure(65001),
    "arena_total": figure(9000),
    "arena_total_32bit": figure(7000, "estimated"),
    "tflite_bytes": figure(20000),
    "predicted_ram": figure(7900, "predicted"),
    "predicted_flash": figure(64000, "predicted"),
}


def test_runtime_c_to_the_byte():
    ram, flash, compute = limits(target(), FIGURES)
    assert (ram.name, ram.need, ram.have, ram.kind, ram.fits) == ("ram", 8000, 8000, "estimated", True)
    assert (flash.name, flash.need, flash.have, flash.kind, flash.fits) == ("flash", 65001, 65000, "measured", False)
    assert (compute.name, compute.need, compute.have, compute.unit, compute.fits) == ("compute", 1000, 1000, "macs", True)


def test_what_the_front_end_of_sound_takes_is_added_and_the_deeper_stack_counts():
    heard = FIGURES | {
        "c_stack": figure(200, "estimated"),
        "c_features_ram": figure(2700),
        "c_features_flash": figure(2600),
        "c_features_stack": figure(164, "estimated"),
        "predicted_features_ram": figure(2720, "predicted"),
        "predicted_features_flash": figure(2700, "predicted"),
    }
    ram, flash, _ = limits(target(), heard)
    assert (ram.need, ram.kind, flash.need, flash.kind) == (10700, "estimated", 67601, "measured")
    ram, _, _ = limits(target(), heard | {"c_features_stack": figure(264, "estimated")})
    assert ram.need == 10700 + 64
    absent = heard | {name: figure(None) for name in ("c_features_ram", "c_features_flash", "c_features_stack")}
    ram, flash, _ = limits(target(), absent)
    assert (ram.need, ram.kind, flash.need, flash.kind) == (10720, "predicted", 67701, "predicted")
    ram, flash, _ = limits(target("tflm"), heard)
    assert (ram.need, flash.need) == (9700, 20000 + TFLM_CODE_BYTES + 2600)


def test_without_a_compiler_the_prediction_stands_in_and_says_so():
    absent = FIGURES | {"c_ram": figure(None, "estimated"), "c_flash": figure(None)}
    ram, flash, _ = limits(target(), absent)
    assert (ram.need, ram.kind, flash.need, flash.kind) == (7900, "predicted", 64000, "predicted")
    assert flash.method.startswith("predicted_flash")
    with pytest.raises(MeasurementError, match="c_flash, predicted_flash all have no value"):
        limits(target(), {name: value for name, value in absent.items() if name != "predicted_flash"})


def test_runtime_tflm_adds_its_own_code():
    ram, flash, _ = limits(target("tflm"), FIGURES)
    assert (ram.need, ram.kind) == (7000, "estimated")
    assert (flash.need, flash.kind, flash.fits) == (20000 + TFLM_CODE_BYTES, "estimated", False)
    ram, _, _ = limits(target("tflm"), FIGURES | {"arena_total_32bit": figure(None, "estimated")})
    assert (ram.need, ram.kind) == (9000, "measured") and "upper bound" in ram.method


def test_a_limit_on_time_is_judged_by_the_emulated_instructions_else_by_the_predicted():
    """1,600,000 instructions of 2 cycles at 64 MHz take 50 ms."""
    timed = target().model_copy(
        update={
            "budget": TargetBudget(ram_bytes=8192, flash_bytes=65536, latency_ms=50),
            "clock_mhz": 64.0,
            "cycles_per_instruction": 2.0,
        }
    )
    counted = {"instructions": figure(1_600_000, "emulated", "instructions")}
    predicted = {"predicted_instructions": figure(1_600_001, "predicted", "instructions")}
    *_, found = limits(timed, FIGURES | counted | predicted)
    assert (found.name, found.need, found.have, found.unit, found.kind, found.fits) == (
        "latency",
        50.0,
        50.0,
        "ms",
        "estimated",
        True,
    )
    assert "2 cycles each on average assumed, at 64 MHz" in found.method
    *_, found = limits(timed, FIGURES | {"instructions": figure(None, "emulated", "instructions")} | predicted)
    assert (found.kind, found.fits) == ("predicted", False)
    with pytest.raises(MeasurementError, match="instructions, predicted_instructions all have no value"):
        limits(timed, FIGURES)
