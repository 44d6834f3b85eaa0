"""Offsets in an arena, judged by all orders of a few blocks and by a check of every pair."""

import random
from itertools import combinations, permutations

import pytest

from microzoo.export.fit import arranged, end


def problem(seed):
    """Sizes of five blocks, their spans of steps, and the most bytes in use at one step."""
    generator = random.Random(seed)
    sizes = [generator.randint(1, 9) for _ in range(5)]
    spans = [sorted((generator.randrange(6), generator.randrange(6))) for _ in range(5)]
    live = [sum(size for size, (first, last) in zip(sizes, spans, strict=True) if first <= step <= last) for step in range(6)]
    return sizes, [[other for other in range(5) if met(spans[one], spans[other])] for one in range(5)], max(live)


def met(one, other):
    return one[0] <= other[1] and other[0] <= one[1]


def bottom_up(sizes, order, meets):
    """First fit spelled out: the lowest byte from which a block touches none that it meets."""
    offsets = {}
    for index in order:
        placed = [other for other in meets[index] if other in offsets]
        at = 0
        while any(at < offsets[other] + sizes[other] and offsets[other] < at + sizes[index] for other in placed):
            at += 1
        offsets[index] = at
    return max(offset + sizes[index] for index, offset in offsets.items())


@pytest.mark.parametrize("alignment", [1, 4])
@pytest.mark.parametrize("seed", range(40))
def test_blocks_in_use_together_lie_apart_and_no_order_is_better(seed, alignment):
    sizes, meets, bound = problem(seed)
    order = sorted(range(5), key=lambda index: -sizes[index])
    offsets = arranged(sizes, order, meets, bound, alignment)
    assert all(offset >= 0 and offset % alignment == 0 for offset in offsets)
    for one, other in combinations(range(5), 2):
        apart = offsets[one] + sizes[one] <= offsets[other] or offsets[other] + sizes[other] <= offsets[one]
        assert apart or other not in meets[one]
    if alignment == 1:
        assert end(sizes, offsets) == min(bottom_up(sizes, each, meets) for each in permutations(range(5)))


def test_the_worst_order_is_left_for_one_within_the_bound():
    tried = 0
    for seed in range(40):
        sizes, meets, bound = problem(seed)
        ends = {order: bottom_up(sizes, order, meets) for order in permutations(range(5))}
        order = max(ends, key=ends.__getitem__)
        if ends[order] > bound == min(ends.values()):
            tried += 1
            assert end(sizes, arranged(sizes, order, meets, bound, 1, tries=0)) == ends[order], seed
            assert end(sizes, arranged(sizes, order, meets, bound, 1)) == bound, seed
    assert tried >= 20
