"""Vela's estimates of an exported model: read from its summary, in proportion to the work, named by system."""

import pytest

from microzoo.errors import MeasurementError
from microzoo.export.tflite import tflite
from microzoo.measure import ethos_u
from microzoo.measure.ethos_u import estimate, ethos_figures
from microzoo.spec.models import NpuSpec

from .files import residual_model

U55 = NpuSpec(accelerator="ethos-u55-128", system="Ethos_U55_High_End_Embedded")
if ethos_u.missing():
    pytest.skip(ethos_u.missing() or "", allow_module_level=True)


def test_everything_runs_on_the_npu_and_more_filters_cost_more(entry, tmp_path):
    small = estimate(entry / "model.tflite", U55)
    (tmp_path / "wide.tflite").write_bytes(tflite(residual_model(filters=64)))
    wide = estimate(tmp_path / "wide.tflite", U55)
    assert small.cpu_operators == wide.cpu_operators == 0
    assert wide.cycles > small.cycles > 100
    assert wide.flash_bytes - small.flash_bytes > 9 * 60, "the weights of sixty more depthwise filters at least"
    assert wide.sram_bytes >= 2 * 36 * 64, "two maps of 6 x 6 x 64 are live in the addition"


def test_fewer_multipliers_take_more_cycles(tmp_path):
    (tmp_path / "wide.tflite").write_bytes(tflite(residual_model(filters=64)))
    slow = NpuSpec(accelerator="ethos-u55-32", system="Ethos_U55_High_End_Embedded")
    assert estimate(tmp_path / "wide.tflite", slow).cycles > estimate(tmp_path / "wide.tflite", U55).cycles


def test_figures_are_estimates_with_the_system_named(entry):
    figures = ethos_figures(entry / "model.tflite", U55)
    assert {name: figure.unit for name, figure in figures.items()} == {
        "ethos_sram": "bytes",
        "ethos_flash": "bytes",
        "ethos_cycles": "cycles",
        "ethos_cpu_operators": "count",
    }
    assert {figure.kind for figure in figures.values()} == {"estimated"}
    for part in ("Vela 5", "ethos-u55-128, Ethos_U55_High_End_Embedded, Shared_Sram", "nothing was run"):
        assert part in figures["ethos_cycles"].method
    assert ethos_figures(entry / "model.tflite", U55) == figures


def test_a_damaged_file_is_refused_before_vela_sees_it(tmp_path, entry):
    (tmp_path / "cut.tflite").write_bytes((entry / "model.tflite").read_bytes()[:300])
    with pytest.raises(MeasurementError, match=r"cut\.tflite"):
        estimate(tmp_path / "cut.tflite", U55)


def test_without_vela_values_are_none_with_the_remedy(entry, monkeypatch):
    monkeypatch.setattr(ethos_u, "find_spec", lambda _: None)
    figures = ethos_figures(entry / "model.tflite", U55)
    assert all(figure.value is None and "microzoo[ethos]" in figure.method for figure in figures.values())
