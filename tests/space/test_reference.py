"""Reference designs: known figures, small and 1-D inputs, scaling to a budget."""

import pytest

from microzoo.cost.predict import predict
from microzoo.cost.resources import Resources
from microzoo.graph.ops import Add, Conv
from microzoo.space.architecture import KERNELS, MAX_BLOCKS, MAX_FILTERS, MAX_LAYERS, Architecture
from microzoo.space.lowering import lower
from microzoo.space.reference import DESIGNS, reference_designs, resnet

SHAPES = [(8, 8, 1), (28, 28, 1), (32, 32, 3), (96, 96, 3), (49, 10, 1), (100, 1, 6), (1, 64, 3), (1, 1, 4)]


def resources(architecture: Architecture, shape: tuple[int, int, int]) -> Resources:
    return predict(lower(architecture, shape, 10), "c", "cortex-m4")[1]


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.name)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_design_is_a_point_of_the_space_at_every_scale(design, shape) -> None:
    for depth in range(1, design.depths + 1):
        for width in (1 / 32, 1.0, 8.0):
            architecture = design.draw(shape, width, depth)
            assert len(architecture.blocks) <= MAX_BLOCKS
            layers = [layer for block in architecture.blocks for layer in block.layers]
            assert all(len(block.layers) <= MAX_LAYERS for block in architecture.blocks)
            assert all(layer.kernel in KERNELS and 1 <= layer.filters <= MAX_FILTERS for layer in layers)
            graph = lower(architecture, shape, 10)
            assert graph.shapes[graph.output] == (10,)


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.name)
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != (1, 1, 4)])
def test_maps_end_small_but_not_as_a_single_pixel(design, shape) -> None:
    graph = lower(design.draw(shape, 1.0, design.depths), shape, 10)
    last = next(graph.shapes[op.output] for op in reversed(graph.ops) if isinstance(op, Conv | Add))
    assert 3 <= max(last[:2]) <= 25


def test_resnet_has_shortcuts_that_are_added() -> None:
    graph = lower(resnet((32, 32, 3), 1.0, 3), (32, 32, 3), 10)
    assert sum(isinstance(op, Add) for op in graph.ops) == 3
    # The first stage keeps 16 filters, so its shortcut is the tensor itself; the other two are widened.
    assert [op.name for op in graph.ops if op.name.endswith(".width")] == ["block5.width", "block7.width"]


@pytest.mark.parametrize(
    ("shape", "ram", "flash", "macs"),
    [
        ((28, 28, 1), 64 << 10, 64 << 10, 5_000_000),
        ((28, 28, 1), 8 << 10, 32 << 10, 2_000_000),
        ((8, 8, 1), 2 << 10, 16 << 10, 1_000_000),
        ((49, 10, 1), 16 << 10, 64 << 10, 3_000_000),
        ((32, 32, 3), 256 << 10, 1 << 20, 50_000_000),
    ],
)
def test_designs_are_scaled_to_the_budget(shape, ram: int, flash: int, macs: int) -> None:
    def usage(architecture: Architecture) -> float:
        need = resources(architecture, shape)
        return max(need.ram_bytes / ram, need.flash_bytes / flash, need.macs / macs)

    designs = reference_designs(shape, 10, lambda architecture: usage(architecture) <= 1)
    assert len(designs) >= 4
    assert len({architecture for _, architecture in designs}) == len(designs)
    for name, architecture in designs:
        widest = max(layer.filters for block in architecture.blocks for layer in block.layers) == MAX_FILTERS
        assert usage(architecture) <= 1
        assert widest or usage(architecture) > 0.75, (name, usage(architecture))


def test_width_is_preferred_to_depth_only_below_half() -> None:
    calls = []

    def fits(architecture: Architecture) -> bool:
        calls.append(architecture)
        return resources(architecture, (28, 28, 1)).flash_bytes <= 20_000

    plain = dict(reference_designs((28, 28, 1), 10, fits))["plain"]
    assert sum(len(block.layers) for block in plain.blocks) == 6  # all layers: at half width 14.6 KB of weights
    assert len(calls) < 200


def test_what_fits_at_no_scale_is_left_out() -> None:
    assert reference_designs((28, 28, 1), 10, lambda _: False) == ()
    only_shallow = reference_designs((28, 28, 1), 10, lambda architecture: len(architecture.blocks) <= 2)
    assert {name for name, _ in only_shallow} == {"plain", "plain-early", "depthwise-separable", "mobilenet", "minimal"}


def test_narrower_designs_follow_the_widest_and_take_about_a_quarter_each() -> None:
    """Widths 1, 1/2, 1/4: all designs at one width after the other; each fits, and multiply-accumulates fall by 3 to 5 times
    where a design is far from the narrowest that there is.
    """
    limit = 5_000_000

    def fits(architecture: Architecture) -> bool:
        needs = resources(architecture, (28, 28, 1))
        return needs.macs <= limit and needs.ram_bytes <= 65536 and needs.flash_bytes <= 65536

    alone = reference_designs((28, 28, 1), 10, fits)
    designs = reference_designs((28, 28, 1), 10, fits, (1.0, 0.5, 0.25))
    assert designs[: len(alone)] == alone
    assert all(fits(architecture) for _, architecture in designs)
    by_name: dict[str, list[int]] = {}
    for name, architecture in designs:
        by_name.setdefault(name, []).append(resources(architecture, (28, 28, 1)).macs)
    for name in ("plain", "plain-early", "resnet"):
        wide, half, quarter = by_name[name]
        assert 3 < wide / half < 5, name
        assert 2.5 < half / quarter < 5, name
