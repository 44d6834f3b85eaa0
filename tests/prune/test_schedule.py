from __future__ import annotations

import itertools

import numpy as np
import pytest

from microzoo.prune.schedule import PruningPlan


def test_cubic_ramp_between_start_and_end():
    plan = PruningPlan(sparsity=0.8, start=0.2, end=0.6)
    assert plan.sparsity_at(0.0) == plan.sparsity_at(0.2) == 0.0
    # Half way: 0.8 * (1 - 0.5**3) = 0.8 * 0.875 = 0.7
    assert plan.sparsity_at(0.4) == pytest.approx(0.7)
    assert plan.sparsity_at(0.6) == plan.sparsity_at(1.0) == 0.8
    ramp = [plan.sparsity_at(float(progress)) for progress in np.linspace(0, 1, 101)]
    assert all(later >= earlier for earlier, later in itertools.pairwise(ramp))


@pytest.mark.parametrize(("sparsity", "start", "end"), [(1.0, 0.1, 0.5), (-0.1, 0.1, 0.5), (0.5, 0.5, 0.5), (0.5, 0.1, 1.1)])
def test_meaningless_plans_are_refused(sparsity, start, end):
    with pytest.raises(AssertionError):
        PruningPlan(sparsity, start, end)
