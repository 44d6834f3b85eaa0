from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional
from torch.optim.sgd import sgd

from microzoo.train.augment import Augmentation, Batches
from microzoo.train.module import GraphModule
from microzoo.train.recipe import Recipe
from microzoo.train.step import TrainingStep


def test_ten_steps_equal_torchs_own_optimiser(every_operator):
    recipe = Recipe(batch_size=8, momentum=0.9, weight_decay=0.01, label_smoothing=0.1, clip=0.5)
    rates = recipe.learning_rates(10)
    generator = np.random.default_rng(0)
    x = torch.from_numpy(generator.standard_normal((40, 9, 8, 2)).astype(np.float32))
    y = torch.from_numpy(generator.integers(0, 3, 40))
    order = generator.integers(0, 40, (10, 8))

    ours = GraphModule(every_operator, np.random.default_rng(1)).train()
    step = TrainingStep(ours, Batches(x, y, order, Augmentation(), generator), rates, recipe)
    for _ in range(10):
        step()

    theirs = GraphModule(every_operator, np.random.default_rng(1)).train()
    groups = [([p for p in theirs.parameters() if (p.ndim > 1) == heavy], 0.01 if heavy else 0.0) for heavy in (True, False)]
    buffers: list[list[torch.Tensor | None]] = [[None] * len(parameters) for parameters, _ in groups]
    clipped = 0
    total = 0.0
    for index in range(10):
        theirs.zero_grad()
        loss = functional.cross_entropy(theirs(x[order[index]]), y[order[index]], label_smoothing=0.1)
        loss.backward()
        clipped += float(torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)) > 0.5
        with torch.no_grad():
            for (parameters, decay), buffer in zip(groups, buffers, strict=True):
                # The function behind torch.optim.SGD; the class would import torch's compiler, which takes seconds.
                sgd(
                    parameters,
                    [p.grad for p in parameters],
                    buffer,
                    foreach=False,
                    weight_decay=decay,
                    momentum=0.9,
                    lr=float(rates[index]),
                    dampening=0.0,
                    nesterov=True,
                    maximize=False,
                )
        total += loss.item()

    assert clipped > 0, "the test should clip at least once"
    for mine, reference in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(float(step.loss), total, rtol=1e-5)


def test_parameters_are_views_of_one_tensor(every_operator):
    module = GraphModule(every_operator, np.random.default_rng(1))
    before = [parameter.detach().clone() for parameter in module.parameters()]
    recipe = Recipe(batch_size=2)
    x, y = torch.zeros(2, 9, 8, 2), torch.zeros(2, dtype=torch.int64)
    batches = Batches(x, y, np.array([[0, 1]]), Augmentation(), np.random.default_rng(0))
    step = TrainingStep(module, batches, recipe.learning_rates(1), recipe)
    for parameter, value in zip(module.parameters(), before, strict=True):
        assert torch.equal(parameter, value)
    step.flat.zero_()
    assert all(not parameter.detach().any() for parameter in module.parameters())
