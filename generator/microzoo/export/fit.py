"""Blocks of bytes in one arena: their sizes and which of them are in use together enter, an offset for each leaves.

Finding the best offsets is NP-hard (dynamic storage allocation). Blocks are placed by first fit in a given order; as long as one
of them ends beyond the bound, it is moved to an earlier place in that order (seeded).
"""

from __future__ import annotations

import random
from collections.abc import Sequence

TRIES = 400
"""Orders tried before the best one so far is taken."""


def arranged(
    sizes: Sequence[int], order: Sequence[int], meets: Sequence[Sequence[int]], bound: int, alignment: int, tries: int = TRIES
) -> list[int]:
    """Offsets of the blocks, multiples of `alignment`, so that all end within `bound` if such are found.

    order: all blocks, in which they are placed first; meets: by block those that are in use at some moment together with it,
    itself or not. The same blocks give the same offsets everywhere.
    """
    order = list(order)
    generator = random.Random(0)  # noqa: S311 - a search order, not a secret
    best = offsets = _first_fit(sizes, order, meets, alignment)
    for _ in range(tries):
        if end(sizes, best) <= bound:
            break
        beyond = [index for index in order if offsets[index] + sizes[index] > bound]
        at = order.index(generator.choice(beyond))
        order.insert(generator.randrange(at) if at else 0, order.pop(at))
        offsets = _first_fit(sizes, order, meets, alignment)
        best = min(best, offsets, key=lambda found: end(sizes, found))
    return best


def end(sizes: Sequence[int], offsets: Sequence[int]) -> int:
    """Bytes of the arena: the end of the last block."""
    return max(offset + size for offset, size in zip(offsets, sizes, strict=True))


def _first_fit(sizes: Sequence[int], order: Sequence[int], meets: Sequence[Sequence[int]], alignment: int) -> list[int]:
    """Each block at the lowest aligned offset where nothing stands that it meets."""
    offsets = [-1] * len(sizes)
    for index in order:
        taken = sorted((offsets[other], offsets[other] + sizes[other]) for other in meets[index] if offsets[other] >= 0)
        offset = 0
        for low, high in taken:
            if offset + sizes[index] <= low:
                break
            offset = max(offset, -(-high // alignment) * alignment)
        offsets[index] = offset
    return offsets
