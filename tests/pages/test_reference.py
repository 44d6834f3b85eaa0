from microzoo.pages.reference import schema_pages
from microzoo.spec.dataset import Source
from microzoo.spec.models import FamilySpec, TargetSpec


def tables(kind):
    return {table.header: table for page in schema_pages() if page.kind == kind for table in page.tables}


def test_every_key_has_a_meaning_and_a_type():
    rows = [row for page in schema_pages() for table in page.tables for row in table.rows]
    assert len(rows) > 50
    assert [row.key for row in rows if not row.meaning or not row.type] == []


def test_all_keys_of_a_family_are_there():
    found = tables("family")
    plain = {row.key for row in found[""].rows}
    assert plain | {header.strip("[]") for header in found if header} == set(FamilySpec.model_fields)
    rows = {row.key: row for row in found["[search]"].rows}
    assert (rows["evaluations"].type, rows["evaluations"].default) == ("integer ≥ 1", "200")
    assert {row.key: row for row in found[""].rows}["dataset"].required


def test_optional_keys_and_arrays_of_tables():
    budget = {row.key: row for row in tables("target")["[budget]"].rows}
    assert (budget["macs"].type, budget["macs"].default, budget["macs"].required) == ("integer ≥ 1", "", False)
    assert {row.key for row in tables("dataset")["[[sources]]"].rows} == set(Source.model_fields)
    core = next(row for row in tables("target")[""].rows if row.key == "core")
    assert core.type.startswith('one of "cortex-m0", ')
    assert {row.key for row in tables("target")[""].rows} < set(TargetSpec.model_fields)


def test_a_table_that_may_be_left_out_has_its_keys():
    npu = {row.key: row for row in tables("target")["[npu]"].rows}
    assert set(npu) == {"accelerator", "system", "memory"}
    assert npu["accelerator"].required and npu["memory"].default == '"Shared_Sram"'
