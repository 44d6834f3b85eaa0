"""The gate: what does not fit the target is never trained."""

from __future__ import annotations

from dataclasses import dataclass

from microzoo.cost.resources import Resources


@dataclass(frozen=True)
class Limits:
    """What a candidate may need at most; after the application's reserve. macs, instructions: None where nothing limits them."""

    ram_bytes: int
    flash_bytes: int
    macs: int | None
    instructions: int | None = None

    def fits(self, resources: Resources) -> bool:
        """Whether every figure is within its limit."""
        return all(need <= have for need, have, _ in self._pairs(resources))

    def violation(self, resources: Resources) -> float:
        """The greatest of need / limit: at most 1 where everything fits."""
        return max([need / have for need, have, _ in self._pairs(resources)])

    def describe(self, resources: Resources) -> str:
        """Need against limit in words, for errors."""
        return ", ".join(words.format(need, have) for need, have, words in self._pairs(resources))

    def _pairs(self, resources: Resources) -> list[tuple[int, int, str]]:
        """(need, limit, words for both) of each limit that there is."""
        pairs = [
            (resources.ram_bytes, self.ram_bytes, "RAM {} of {} bytes"),
            (resources.flash_bytes, self.flash_bytes, "flash {} of {} bytes"),
        ]
        if self.macs is not None:
            pairs.append((resources.macs, self.macs, "{} of {} MACs"))
        if self.instructions is not None:
            pairs.append((resources.instructions, self.instructions, "{} of {} instructions"))
        return pairs
