from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from microzoo.build import training
from microzoo.data.arrays import Part


def test_threads_that_start_together_load_the_arrays_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[Path] = []

    def load(folder: Path) -> tuple[Part, Part]:
        loaded.append(folder)
        time.sleep(0.2)
        part = Part(np.zeros((4, 2, 2, 1), np.float32), np.zeros(4, np.int64))
        return part, part

    monkeypatch.setattr(training, "load_arrays", load)
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.append(training._training_data(Path("arrays")))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    training._loaded_training_data.cache_clear()
    training._loaded_parts.cache_clear()
    assert loaded == [Path("arrays")]
    assert len(results) == 4
    assert len({id(result) for result in results}) == 1
