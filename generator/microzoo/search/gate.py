"""The gate: what does not fit the target is never trained."""

from __future__ import annotations

from dataclasses import dataclass

from microzoo.cost.resources import Resources


@dataclass(frozen=True)
class Limits:
    """What a candidate may need at most; after the application's reserve."""

    ram_bytes: int
    flash_bytes: int
    macs: int

    def fits(self, resources: Resources) -> bool:
        """Whether every figure is within its limit."""
        return resources.ram_bytes <= self.ram_bytes and resources.flash_bytes <= self.flash_bytes and resources.macs <= self.macs

    def violation(self, resources: Resources) -> float:
        """The greatest of need / limit: at most 1 where everything fits."""
        return max(resources.ram_bytes / self.ram_bytes, resources.flash_bytes / self.flash_bytes, resources.macs / self.macs)

    def describe(self, resources: Resources) -> str:
        """Need against limit in words, for errors."""
        return (
            f"RAM {resources.ram_bytes} of {self.ram_bytes} bytes, flash {resources.flash_bytes} of {self.flash_bytes} bytes, "
            f"{resources.macs} of {self.macs} MACs"
        )
