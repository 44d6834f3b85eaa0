"""Architecture: the immutable genotype that the search moves through, and its JSON form.

The space of µNAS (Liberis, Dudziak, Lane 2021, section 3 and table 1) and, beyond it: 'same' padding as a choice, a
global-average-pool head, dense layers left out, and a parallel branch without layers (an identity shortcut).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

KERNELS = (3, 5, 7)
POOL_SIZES = (2, 4, 6)
MAX_BLOCKS = 10
MAX_LAYERS = 3
MAX_DENSE = 3
MIN_FILTERS, MAX_FILTERS = 1, 128
MIN_UNITS, MAX_UNITS = 10, 256

LayerKind = Literal["conv", "pointwise", "depthwise"]
PoolKind = Literal["avg", "max"]
Padding = Literal["valid", "same"]


@dataclass(frozen=True)
class Layer:
    """One convolution: optional 2x2 max pool before it, then conv, BatchNorm, ReLU.

    kernel is ignored by a pointwise layer and clipped to the map at lowering; filters is ignored by a depthwise one.
    """

    kind: LayerKind
    kernel: int = 3
    filters: int = 16
    stride: int = 1
    padding: Padding = "valid"
    pre_pool: bool = False
    batch_norm: bool = True
    relu: bool = True


@dataclass(frozen=True)
class Block:
    """Layers in a row. A serial block (`parallel=False`) reads the sum of all open branches and starts a new main path; a
    parallel one reads what the last serial block read, and is added to it. A parallel block without layers is a shortcut.
    """

    layers: tuple[Layer, ...]
    parallel: bool = False


@dataclass(frozen=True)
class Pool:
    """The pooling before the head; `size` is clipped to the map."""

    kind: PoolKind
    size: int


@dataclass(frozen=True)
class Architecture:
    """blocks; then `pool` or, where `global_pool`, an average over the whole map; dense layers with ReLU; the classifier."""

    blocks: tuple[Block, ...]
    pool: Pool | None = None
    global_pool: bool = False
    dense: tuple[int, ...] = ()

    def to_json(self) -> str:
        """Canonical JSON: keys sorted, no white space. Equal architectures give equal text."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @staticmethod
    def from_json(text: str) -> Architecture:
        """The inverse of `to_json`. Raises KeyError, TypeError or ValueError on text that it did not write."""
        raw: dict[str, Any] = json.loads(text)
        blocks = tuple(Block(tuple(Layer(**layer) for layer in block["layers"]), block["parallel"]) for block in raw["blocks"])
        pool = None if raw["pool"] is None else Pool(**raw["pool"])
        return Architecture(blocks, pool, raw["global_pool"], tuple(raw["dense"]))

    def digest(self) -> str:
        """First 16 hex digits of the SHA-256 of `to_json`: the same in every process."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]
