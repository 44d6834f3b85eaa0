from __future__ import annotations

from pathlib import Path

import pytest

from microzoo.errors import SpecError
from microzoo.spec.load import load_jobs, spec_files
from microzoo.spec.models import SearchSpec

ROOT = Path(__file__).parents[2]

TARGET = 'title = "t"\ncore = "cortex-m4"\nclock_mhz = 64\n[budget]\nram_bytes = 65536\nflash_bytes = 65536\nmacs = 1000\n'
DATASET = (ROOT / "specs/datasets/digits.toml").read_text(encoding="utf-8")


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    (tmp_path / "targets").mkdir()
    (tmp_path / "datasets").mkdir()
    (tmp_path / "targets/cortex-m4-64k.toml").write_text(TARGET, encoding="utf-8")
    (tmp_path / "datasets/digits.toml").write_text(DATASET, encoding="utf-8")
    return tmp_path


def family(specs: Path, text: str, name: str = "kws") -> Path:
    path = specs / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(path: Path) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_jobs([path])
    return [str(problem) for problem in caught.value.problems]


def test_shipped_specs_are_valid_and_demo_is_digits_on_two_targets() -> None:
    jobs = load_jobs([ROOT / "specs"])
    demo = [job.target_name for job in jobs if job.family_name == "demo"]
    assert demo == ["tiny-2k", "cortex-m0plus-8k"]
    assert {job.dataset_name for job in jobs if job.family_name == "demo"} == {"digits"}


def test_all_shipped_targets_have_the_documented_budgets() -> None:
    from microzoo.spec.load import load_folder
    from microzoo.spec.models import TargetSpec

    budgets = {
        name: (t.budget.ram_bytes, t.budget.flash_bytes) for name, t in load_folder(ROOT / "specs/targets", TargetSpec).items()
    }
    assert budgets == {
        "tiny-2k": (2 << 10, 16 << 10),
        "cortex-m0plus-8k": (8 << 10, 32 << 10),
        "cortex-m4-64k": (64 << 10, 64 << 10),
        "cortex-m4-256k": (256 << 10, 1 << 20),
        "cortex-m7-320k": (320 << 10, 1 << 20),
        "cortex-m55-u55": (256 << 10, 1 << 20),
    }


def test_two_lines_suffice(specs: Path) -> None:
    (job,) = load_jobs([family(specs, 'dataset = "digits"\ntargets = ["cortex-m4-64k"]\n')])
    assert (job.place, job.family.search.strategy) == ("digits/cortex-m4-64k", "microzoo")


def test_a_strategy_sets_what_the_spec_leaves_out_and_no_more(specs: Path) -> None:
    """The paper's numbers: population 100, tournaments of 25, 2,000 evaluations, 100 random parents, ratios capped at 10."""
    start = 'dataset = "digits"\ntargets = ["cortex-m4-64k"]\n[search]\n'
    (job,) = load_jobs([family(specs, start + 'strategy = "munas"\npopulation = 50\n')])
    search = job.family.search
    assert (search.population, search.tournament, search.evaluations, search.random_parents) == (50, 25, 2000, 100)
    assert (search.space, search.slack, search.error_bound, search.rungs, search.references) == ("munas", 10.0, 0.1, 1, False)
    (job,) = load_jobs([family(specs, start + 'strategy = "random"\n')])
    search = job.family.search
    assert (search.space, search.slack, search.references, search.rungs) == ("munas", 1.0, False, 1)
    (job,) = load_jobs([family(specs, start + 'strategy = "microzoo"\n')])
    assert job.family.search == SearchSpec()


def test_each_rung_trains_longer_by_the_same_factor() -> None:
    search = SearchSpec(epochs=2.0, rungs=3, reduction=4)
    assert [search.rung_epochs(rung) for rung in range(3)] == [2.0, 8.0, 32.0]


def test_every_mistake_is_reported_at_once_with_line_value_and_remedy(specs: Path) -> None:
    path = family(
        specs,
        'dataset = "digit"\ntargets = ["cortex-m4-65k"]\nfoo = 3\n\n[search]\nevalutions = 3\nepochs = -1\nstrategy = "microzo"\n'
        "[prune]\nstart = 0.9\nend = 0.2\n",
    )
    found = problems(path)
    keys = (
        "strategy, space, evaluations, population, tournament, references, reference_widths, random_parents, parallel, slack, "
        "error_bound, rungs, reduction, epochs, inherit, samples"
    )
    target = 'targets[0]: "cortex-m4-65k": no such target; did you mean "cortex-m4-64k"?'
    assert found == [
        f"{path}:3: foo: no such key; allowed: dataset, targets, seed, search, train, prune, quantise, select, budget",
        f'{path}:6: search.evalutions: no such key; did you mean "evaluations"? allowed: {keys}',
        f"{path}:7: search.epochs: -1 should be greater than 0",
        f'{path}:8: search.strategy: "microzo" is not allowed; did you mean "microzoo"? allowed: microzoo, munas, random',
        f"{path}:9: prune: start = 0.9 must be less than end = 0.2",
        f'{path}:1: dataset: "digit": no such dataset; did you mean "digits"? {specs}/datasets has: digits',
        f"{path}:2: {target} {specs}/targets has: cortex-m4-64k",
    ]


def test_mistakes_of_several_files_come_together(specs: Path) -> None:
    family(specs, "targets = 3\n", "a")
    family(specs, "dataset = ", "b")
    (specs / "targets/cortex-m4-64k.toml").write_text(TARGET.replace("macs = 1000", ""), encoding="utf-8")
    family(specs, 'dataset = "digits"\ntargets = ["cortex-m4-64k"]\n', "c")
    found = problems(specs)
    assert any("a.toml: dataset: this key is missing; Name of a file in specs/datasets" in line for line in found)
    assert any("a.toml:1: targets: 3 should be a valid tuple" in line for line in found)
    assert any("b.toml" in line and "is not TOML" in line for line in found)
    assert any("cortex-m4-64k.toml:4: budget: give macs, latency_ms or both" in line for line in found)
    assert len(found) == 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TARGET.replace("ram_bytes = 65536", "ram_bytes = 0"), "budget.ram_bytes: 0 should be greater than or equal to 1"),
        (TARGET.replace("cortex-m4", "cortex-m9"), 'core: "cortex-m9" is not allowed; did you mean "cortex-m'),
        (
            TARGET + '[npu]\naccelerator = "ethos-u55-128"\nsystem = "Ethos_U65_Embedded"\n',
            "system Ethos_U65_Embedded is not one of ethos-u55",
        ),
        (TARGET.replace("macs = 1000", ""), "budget: give macs, latency_ms or both"),
        (TARGET.replace("macs = 1000", "latency_ms = 1e-6"), "latency_ms = 1e-06 leaves no time for a single instruction"),
        (
            'runtime = "tflm"\n' + TARGET.replace("macs = 1000", "latency_ms = 10"),
            'budget.latency_ms: the time of runtime = "tflm" is unknown; give macs, or runtime = "c"',
        ),
        (TARGET + "[reserve]\nram_bytes = 65536\n", "reserve.ram_bytes = 65536 leaves nothing of budget.ram_bytes = 65536"),
        (TARGET.replace('title = "t"\n', ""), "title: this key is missing; One line for people."),
    ],
)
def test_target_mistakes(specs: Path, text: str, expected: str) -> None:
    (specs / "targets/cortex-m4-64k.toml").write_text(text, encoding="utf-8")
    found = problems(family(specs, 'dataset = "digits"\ntargets = ["cortex-m4-64k"]\n'))
    assert len(found) == 1
    assert expected in found[0]


def test_a_source_cannot_leave_its_folder(specs: Path) -> None:
    extra = f'\n[[sources]]\nrole = "archive"\nfile = "../x"\nsha256 = "{"0" * 64}"\n'
    (specs / "datasets/digits.toml").write_text(DATASET + extra, encoding="utf-8")
    found = problems(family(specs, 'dataset = "digits"\ntargets = ["cortex-m4-64k"]\n'))
    assert "sources[0]: file = '../x' must be a plain file name" in found[0]


def test_one_place_belongs_to_one_family(specs: Path) -> None:
    for name in ("a", "b"):
        family(specs, 'dataset = "digits"\ntargets = ["cortex-m4-64k"]\n', name)
    assert "two families cannot share a dataset and a target" in problems(specs)[0]


def test_not_utf8_and_missing_paths(specs: Path) -> None:
    (specs / "bad.toml").write_bytes(b'dataset = "\xff"')
    assert "is not UTF-8: byte 11" in problems(specs)[0]
    with pytest.raises(SpecError, match=r'did you mean "bad\.toml"'):
        spec_files([specs / "bat.toml"])
    (specs / "empty").mkdir()
    with pytest.raises(SpecError, match="holds no spec"):
        spec_files([specs / "empty"])


@pytest.mark.parametrize(
    ("keys", "macs", "instructions"),
    [
        ("macs = 1000", 1000, None),
        ("latency_ms = 10", None, 492_307),
        ("macs = 1000\nlatency_ms = 10", 1000, 492_307),
        ("latency_ms = 1e308", None, 2**63 - 1),
    ],
)
def test_latency_becomes_a_limit_on_instructions(specs: Path, keys: str, macs: int | None, instructions: int | None) -> None:
    """10 ms at 64 MHz are 640,000 cycles; at the 1.3 cycles an instruction that are assumed of an M4, 492,307 instructions."""
    (specs / "targets/cortex-m4-64k.toml").write_text(TARGET.replace("macs = 1000", keys), encoding="utf-8")
    (job,) = load_jobs([family(specs, 'dataset = "digits"\ntargets = ["cortex-m4-64k"]\n')])
    assert (job.target.budget.macs, job.target.instructions_limit) == (macs, instructions)


def test_cycles_an_instruction_are_the_targets_own_where_it_says(specs: Path) -> None:
    text = TARGET.replace("macs = 1000", "latency_ms = 10").replace("[budget]", "cycles_per_instruction = 2\n[budget]")
    (specs / "targets/cortex-m4-64k.toml").write_text(text, encoding="utf-8")
    (job,) = load_jobs([family(specs, 'dataset = "digits"\ntargets = ["cortex-m4-64k"]\n')])
    assert (job.target.assumed_cycles, job.target.instructions_limit) == (2.0, 320_000)
