"""TrainingData: what a network is trained and judged on while it is searched for. Never the test split."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]

_upload_lock = threading.Lock()


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Training and validation split, pre-processed.

    x_train, x_val: float32 (N, H, W, C). y_train, y_val: int64 (N,), classes from 0.
    """

    x_train: Float32
    y_train: Int64
    x_val: Float32
    y_val: Int64
    _resident: dict[str, tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for x, y in ((self.x_train, self.y_train), (self.x_val, self.y_val)):
            assert x.dtype == np.float32 and x.ndim == 4, (x.dtype, x.shape)
            assert y.dtype == np.int64 and y.shape == x.shape[:1], (y.dtype, y.shape)

    def on(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """x_train and y_train on `device`, uploaded once and then shared by every training there; not copied on the CPU."""
        key = str(device)
        with _upload_lock:
            if key not in self._resident:
                self._resident[key] = (torch.from_numpy(self.x_train).to(device), torch.from_numpy(self.y_train).to(device))
                if device.type == "cuda":
                    torch.cuda.current_stream(device).synchronize()  # other streams will read it without asking this one
            return self._resident[key]

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_resident": {}}
