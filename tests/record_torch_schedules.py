"""Record the rates of torch's schedules, for test_schedules.py.

Run it in an environment that has torch (2.13 was used); the tests themselves do not need it::

    python tests/record_torch_schedules.py
"""

from pathlib import Path

import numpy as np

STEPS, RATE, STEPS_PER_EPOCH = 60, 0.3, 6


def objectives():
    """Return a sequence that falls, waits, creeps, rises and falls again."""
    falling = np.concatenate([np.linspace(9, 5, 12), np.full(8, 5.0), 5 - 1e-5 * np.arange(10)])
    return np.concatenate([falling, np.linspace(5, 6, 10), np.linspace(4, 1, 5), np.full(15, 1.0)])


def main():
    import torch
    from torch.optim import lr_scheduler as torch_schedules

    epochs = STEPS // STEPS_PER_EPOCH
    schedules = {
        "exponential": (lambda o: torch_schedules.ExponentialLR(o, 0.8), epochs),
        "step": (lambda o: torch_schedules.StepLR(o, 4, 0.5), epochs),
        "milestones": (lambda o: torch_schedules.MultiStepLR(o, [2, 3, 7], 0.5), epochs),
        "linear": (lambda o: torch_schedules.PolynomialLR(o, STEPS, 1.0), STEPS),
        "polynomial": (lambda o: torch_schedules.PolynomialLR(o, STEPS, 2.5), STEPS),
        "cosine": (lambda o: torch_schedules.CosineAnnealingLR(o, STEPS), STEPS),
        "cosine_min": (lambda o: torch_schedules.CosineAnnealingLR(o, STEPS, 0.02), STEPS),
        "one_cycle": (lambda o: torch_schedules.OneCycleLR(o, RATE, total_steps=STEPS), STEPS),
        "one_cycle_early": (
            lambda o: torch_schedules.OneCycleLR(
                o, RATE, total_steps=STEPS, pct_start=0.1, div_factor=5, final_div_factor=20
            ),
            STEPS,
        ),
        "warmup": (
            lambda o: torch_schedules.SequentialLR(
                o,
                [
                    torch_schedules.LinearLR(o, start_factor=1 / 8, total_iters=7),
                    torch_schedules.CosineAnnealingLR(o, STEPS - 8),
                ],
                milestones=[8],
            ),
            STEPS,
        ),
    }
    recorded = {"objectives": objectives()}
    for name, (make, length) in schedules.items():
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=RATE)
        schedule, rates = make(optimizer), []
        for _ in range(length):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        recorded[name] = np.array(rates, dtype=float)
    for name, options in {
        "plateau": {"patience": 3, "eps": 0},
        "plateau_coarse": {"patience": 2, "factor": 0.5, "threshold": 0.1, "min_lr": 0.05},
    }.items():
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=RATE)
        schedule, rates = torch_schedules.ReduceLROnPlateau(optimizer, **options), []
        for objective in recorded["objectives"]:
            schedule.step(objective)
            rates.append(optimizer.param_groups[0]["lr"])
        recorded[name] = np.array(rates, dtype=float)
    np.savez_compressed(Path(__file__).with_name("torch_schedules.npz"), **recorded)


if __name__ == "__main__":
    main()
