"""What a spec may say of targets and of families (a dataset x targets, and how hard to search), as frozen pydantic models."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from microzoo.spec.base import Count, Model, Name, Positive, Share
from microzoo.spec.cores import DEFAULT_CPI, Core, instructions_within

Runtime = Literal["c", "tflm"]


class TargetBudget(Model):
    """What the chip has. The model, its runtime and the application share it."""

    ram_bytes: Count
    """RAM of the MCU class in bytes."""
    flash_bytes: Count
    """Flash of the MCU class in bytes."""
    macs: Count | None = None
    """Most multiply-accumulates an inference may take. Give this, latency_ms or both."""
    latency_ms: Positive | None = None
    """Longest time of one inference of the generated C in milliseconds, estimated: its instructions at the clock and the
    cycles_per_instruction of this target. Give this, macs or both; with runtime c only."""

    @model_validator(mode="after")
    def _some_compute_limit(self) -> Self:
        if self.macs is None and self.latency_ms is None:
            raise ValueError("give macs, latency_ms or both")
        return self


class TargetReserve(Model):
    """What the application keeps for itself: never available to the model."""

    ram_bytes: Annotated[int, Field(ge=0)] = 0
    """RAM in bytes for the application: stack, buffers, drivers."""
    flash_bytes: Annotated[int, Field(ge=0)] = 0
    """Flash in bytes for the application's own code."""


class NpuSpec(Model):
    """An Arm Ethos-U beside the core, and the system that Arm's compiler Vela is told to compile and estimate for."""

    accelerator: Literal["ethos-u55-32", "ethos-u55-64", "ethos-u55-128", "ethos-u55-256", "ethos-u65-256", "ethos-u65-512"]
    """The NPU and its multiply-accumulates a cycle."""
    system: Literal["Ethos_U55_Deep_Embedded", "Ethos_U55_High_End_Embedded", "Ethos_U65_Embedded", "Ethos_U65_Mid_End"]
    """System configuration of Vela: the NPU's clock, and bandwidth and latency of the memories."""
    memory: Literal["Sram_Only", "Shared_Sram"] = "Shared_Sram"
    """Memory mode of Vela. Shared_Sram: weights in flash, activations in SRAM; Sram_Only: both in SRAM."""

    @model_validator(mode="after")
    def _one_generation(self) -> Self:
        if self.accelerator[6:9] != self.system[6:9].lower():
            raise ValueError(f"system {self.system} is not one of {self.accelerator[:9]}")
        return self


class TargetSpec(Model):
    """An MCU class with hard budgets. Its name is the file's."""

    title: str
    """One line for people."""
    core: Core
    """Arm core; decides the compiler's flags, and so code size."""
    clock_mhz: Positive
    """Clock in MHz, used for estimated times."""
    cycles_per_instruction: Positive | None = None
    """Cycles that an instruction takes on average, used to turn instructions into a time: an assumption, not a measurement. Not
    given: the core's, see the method page. Time a model on your board and give what you find."""
    runtime: Runtime = "c"
    """c: our generated C with its kernel library. tflm: TensorFlow Lite Micro, whose code alone takes 48 KB of flash."""
    budget: TargetBudget
    """What the chip has."""
    reserve: TargetReserve = TargetReserve()
    """What the application keeps."""
    boards: tuple[str, ...] = ()
    """Boards or parts of this class, for people."""
    npu: NpuSpec | None = None
    """The NPU, where it has one. Its figures stand beside those of the core alone; it needs ethos-u-vela."""

    @model_validator(mode="after")
    def _something_left(self) -> Self:
        for what in ("ram_bytes", "flash_bytes"):
            total, kept = getattr(self.budget, what), getattr(self.reserve, what)
            if kept >= total:
                raise ValueError(f"reserve.{what} = {kept} leaves nothing of budget.{what} = {total}")
        if self.budget.latency_ms is not None and self.runtime != "c":
            raise ValueError(f'budget.latency_ms: the time of runtime = "{self.runtime}" is unknown; give macs, or runtime = "c"')
        if self.instructions_limit is not None and self.instructions_limit < 1:
            raise ValueError(f"budget.latency_ms = {self.budget.latency_ms:g} leaves no time for a single instruction")
        return self

    @property
    def ram_limit_bytes(self) -> int:
        """RAM left for model and runtime."""
        return self.budget.ram_bytes - self.reserve.ram_bytes

    @property
    def flash_limit_bytes(self) -> int:
        """Flash left for model and runtime."""
        return self.budget.flash_bytes - self.reserve.flash_bytes

    @property
    def assumed_cycles(self) -> float:
        """Cycles an instruction: what the target says, else what is assumed of its core."""
        return DEFAULT_CPI[self.core] if self.cycles_per_instruction is None else self.cycles_per_instruction

    @property
    def instructions_limit(self) -> int | None:
        """Most instructions an inference of the generated C may take, None without budget.latency_ms."""
        latency = self.budget.latency_ms
        return None if latency is None else instructions_within(latency, self.clock_mhz, self.assumed_cycles)


STRATEGIES: dict[str, dict[str, bool | int | float | str]] = {
    "microzoo": {},
    "munas": {
        "space": "munas",
        "evaluations": 2000,
        "population": 100,
        "tournament": 25,
        "references": False,
        "random_parents": 100,
        "slack": 10.0,
        "error_bound": 0.1,
        "rungs": 1,
        "epochs": 20.0,
    },
    "random": {"space": "munas", "references": False, "rungs": 1, "epochs": 20.0},
}
"""What a strategy sets where the spec says nothing; the defaults of SearchSpec are those of `microzoo`."""


class SearchSpec(Model):
    """Constrained aging evolution."""

    strategy: Literal["microzoo", "munas", "random"] = "microzoo"
    """microzoo: ours. munas: as published (Liberis, Dudziak, Lane 2021), with its space, soft limits, 100 random parents,
    tournaments of 25, 2,000 evaluations, and one training of 20 epochs a candidate. random: no evolution, random architectures
    that fit, in µNAS' space. The last two are baselines. With prune.enabled = false they run without pruning. Other keys override
    what the strategy sets."""
    space: Literal["microzoo", "munas"] = "microzoo"
    """microzoo: µNAS' space and same padding, an average over the whole map, shortcuts, no dense layer needed. munas: as
    published."""
    evaluations: Count = 200
    """Trainings in all, unless the time budget ends first."""
    population: Count = 30
    """How many of the newest evaluated candidates may become parents; the oldest leaves."""
    tournament: Count = 8
    """How many are drawn from the population to choose one parent."""
    references: bool = True
    """Whether scaled hand-made reference designs are part of the first generation."""
    reference_widths: Annotated[tuple[Annotated[float, Field(gt=0.0, le=1.0)], ...], Field(min_length=1)] = (1.0, 0.5, 0.25)
    """Widths of the reference designs, as shares of the greatest that fits: the first generation holds small networks too."""
    random_parents: Annotated[int, Field(ge=0)] = 10
    """Random candidates in the first generation."""
    parallel: Count = 4
    """Candidates in flight at once. Part of the search's identity: another number is another history."""
    slack: Annotated[float, Field(ge=1.0)] = 1.0
    """Candidates that need more than this many times a limit are not trained. 1: whatever does not fit. munas sets 10, where the
    ratios of its tournaments are capped, so that what fits hardly at all is not told apart."""
    error_bound: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    """Error that counts as 1 in a tournament, as a limit does for a resource. Not given: the best error in the population. munas
    sets 0.1."""
    rungs: Annotated[int, Field(ge=1, le=8)] = 2
    """Lengths of training. Every candidate starts at the shortest; of what finished at one, 1 / reduction goes on to the next."""
    reduction: Annotated[int, Field(ge=2)] = 3
    """Factor between the epochs of two rungs."""
    epochs: Positive = 2.0
    """Epochs of a candidate's first training: the lowest rung."""
    inherit: bool = False
    """Whether a child's first training starts from its parent's weights where their shapes allow. Longer trainings, and those of
    the finalists, always start anew."""
    samples: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Share of the training split that candidates are trained on."""

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_strategy(cls, given: object) -> object:
        if not isinstance(given, dict) or not isinstance(given.get("strategy"), str):
            return given
        return STRATEGIES.get(given["strategy"], {}) | given

    def rung_epochs(self, rung: int) -> float:
        """Epochs of a training at `rung`."""
        return self.epochs * float(self.reduction**rung)


class TrainSpec(Model):
    """The full training of the finalists."""

    epochs: Positive = 20.0
    """Passes over the training split."""
    batch_size: Annotated[int, Field(ge=2)] = 64
    """Inputs a step."""
    learning_rate: Positive = 0.2
    """Peak learning rate."""
    weight_decay: Annotated[float, Field(ge=0.0)] = 5e-4
    """L2 penalty."""
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Label smoothing."""
    seeds: Count = 5
    """Full trainings of each finalist; finalists are ranked by their mean, which the card gives with its standard deviation."""


class PruneSpec(Model):
    """Structured pruning with feedback, during every training."""

    enabled: bool = True
    """Whether candidates carry a sparsity at all."""
    max_sparsity: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.8
    """Greatest share of prunable channels that a candidate may lose."""
    saliency: Literal["relative", "l2"] = "relative"
    """What makes a channel worth keeping: the L2 norm of its weights, or that norm relative to its layer's mean."""
    start: Share = 0.2
    """Where in the training pruning starts."""
    end: Share = 0.7
    """Where in the training the final sparsity is reached."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start >= self.end:
            raise ValueError(f"start = {self.start} must be less than end = {self.end}")
        return self


class QuantiseSpec(Model):
    """From trained floats to int8. Every calibration is tried; what follows only while int8 is below float on validation. Of all
    that was tried, the best on validation is kept, of equal ones the simpler.
    """

    calibration_samples: Count = 512
    """Training inputs that calibration looks at."""
    methods: Annotated[tuple[Literal["minmax", "percentile", "mse"], ...], Field(min_length=1)] = ("minmax", "percentile", "mse")
    """Calibrations: the smallest and largest value seen; all but the outermost 0.01 % of values; the range of least mean squared
    error."""
    equalise: bool = True
    """Whether channels of consecutive layers are scaled to like ranges."""
    bias_correction: bool = True
    """Whether biases are moved by what rounding does to the mean of each channel."""
    finetune: Share = 0.1
    """Length of quantisation-aware fine-tuning as a share of the full training's epochs; tried where int8 is more than 0.3 points
    below float on validation. 0: never."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.methods)) < len(self.methods):
            raise ValueError(f"methods = {list(self.methods)} names one twice")
        return self


class SelectSpec(Model):
    """Which candidates become entries."""

    finalists: Count = 4
    """Candidates of the front that are trained in full."""
    winners: Annotated[int, Field(ge=1, le=3)] = 1
    """Entries to publish: 1 = the most accurate; 2 adds the smallest; 3 adds one between."""


class BudgetSpec(Model):
    """Where to stop."""

    minutes: Positive | None = None
    """Wall time of one dataset x target in minutes, final training included. Ended by time, a build cannot be repeated to the
    byte."""


class FamilySpec(Model):
    """A dataset x targets, and how hard to search. Its name is the file's."""

    dataset: Name
    """Name of a file in specs/datasets."""
    targets: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Names of files in specs/targets."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of everything random."""
    search: SearchSpec = SearchSpec()
    """The search."""
    train: TrainSpec = TrainSpec()
    """The full training."""
    prune: PruneSpec = PruneSpec()
    """Pruning."""
    quantise: QuantiseSpec = QuantiseSpec()
    """Quantisation."""
    select: SelectSpec = SelectSpec()
    """Selection."""
    budget: BudgetSpec = BudgetSpec()
    """Time."""
