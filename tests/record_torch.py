"""Record the steps of torch's rules and the rates of its schedules, which the tests compare with.

Run it in an environment that has torch (2.13 was used); the tests themselves do not need it::

    python tests/record_torch.py
"""

from pathlib import Path

import numpy as np

STEPS, PARAMETERS, DECAY = 200, 5, 0.1
RATE, EPOCHS, STEPS_PER_EPOCH = 0.3, 10, 6

TESTS = Path(__file__).parent


# ---- step rules ---------------------------------------------------------------------------------

def gradient_stream():
    """Return gradients of scales 1e-3 to 1e3, the last coordinate's zero at first and at times."""
    generator = np.random.default_rng(0)
    gradients = generator.normal(0.3, 1.0, (STEPS, PARAMETERS)) * [1e-3, 0.1, 1.0, 1e3, 1.0]
    gradients[:10, -1] = 0.0
    gradients[::3, -1] = 0.0
    return gradients


def rules(torch):
    """Return a torch optimizer and its options by the name of the sequence."""
    return {
        "sgd": (torch.optim.SGD, {}),
        "momentum": (torch.optim.SGD, {"momentum": 0.9}),
        "nesterov": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
        "dampening": (torch.optim.SGD, {"momentum": 0.8, "dampening": 0.3}),
        "adagrad": (torch.optim.Adagrad, {}),
        "rmsprop": (torch.optim.RMSprop, {}),
        "rmsprop_momentum": (torch.optim.RMSprop, {"alpha": 0.9, "momentum": 0.9}),
        "rmsprop_centered": (torch.optim.RMSprop, {"centered": True}),
        "rmsprop_both": (torch.optim.RMSprop, {"centered": True, "momentum": 0.5}),
        "adam": (torch.optim.Adam, {}),
        "adam_betas": (torch.optim.Adam, {"betas": (0.5, 0.9), "eps": 1e-3}),
        "amsgrad": (torch.optim.Adam, {"amsgrad": True, "betas": (0.9, 0.9)}),
        "adadelta": (torch.optim.Adadelta, {}),
        "adadelta_rho": (torch.optim.Adadelta, {"rho": 0.6, "eps": 1e-3}),
        "adamw": (torch.optim.AdamW, {}),
        "adamw_amsgrad": (torch.optim.AdamW, {"weight_decay": 0.3, "amsgrad": True}),
        "adamax": (torch.optim.Adamax, {}),
        "adamax_betas": (torch.optim.Adamax, {"betas": (0.5, 0.9), "eps": 1e-3}),
        "nadam": (torch.optim.NAdam, {}),
        "nadam_decay": (torch.optim.NAdam, {"betas": (0.8, 0.9), "momentum_decay": 0.1}),
        "radam": (torch.optim.RAdam, {}),
        "radam_betas": (torch.optim.RAdam, {"betas": (0.5, 0.9), "eps": 1e-3}),
        "radam_short": (torch.optim.RAdam, {"betas": (0.5, 0.6)}),
        "rprop": (torch.optim.Rprop, {}),
        "rprop_etas": (torch.optim.Rprop, {"etas": (0.3, 1.5), "step_sizes": (0.01, 0.1)}),
        # Weight decay that torch adds to the gradient: here it is the objective's l2.
        "decayed_momentum": (torch.optim.SGD, {"momentum": 0.9, "weight_decay": DECAY}),
        "decayed_adagrad": (torch.optim.Adagrad, {"weight_decay": DECAY}),
        "decayed_rmsprop": (torch.optim.RMSprop, {"weight_decay": DECAY}),
        "decayed_adadelta": (torch.optim.Adadelta, {"weight_decay": DECAY}),
        "decayed_adam": (torch.optim.Adam, {"weight_decay": DECAY}),
        "decayed_adamax": (torch.optim.Adamax, {"weight_decay": DECAY}),
        "decayed_nadam": (torch.optim.NAdam, {"weight_decay": DECAY}),
        "decayed_radam": (torch.optim.RAdam, {"weight_decay": DECAY}),
    }


def sequences(torch):
    """Return the stream of gradients and the parameters after each step of each rule."""
    # NAdam keeps a product of numbers in it.
    torch.set_default_dtype(torch.float64)
    gradients, rates = gradient_stream(), 0.05 / (1 + np.arange(STEPS) / 50)
    recorded = {"gradients": gradients, "rates": rates, "start": np.linspace(-1, 1, PARAMETERS)}
    for name, (optimizer, options) in rules(torch).items():
        w = torch.tensor(recorded["start"], requires_grad=True)
        optimizer = optimizer([w], lr=float(rates[0]), foreach=False, **options)
        path = []
        for gradient, rate in zip(gradients, rates, strict=True):
            optimizer.param_groups[0]["lr"] = float(rate)
            w.grad = torch.tensor(gradient)
            optimizer.step()
            path.append(w.detach().numpy().copy())
        recorded[name] = np.array(path)
    return recorded


# ---- schedules ----------------------------------------------------------------------------------

def objectives():
    """Return a sequence that falls, waits, creeps, rises and falls again."""
    falling = np.concatenate([np.linspace(9, 5, 12), np.full(8, 5.0), 5 - 1e-5 * np.arange(10)])
    return np.concatenate([falling, np.linspace(5, 6, 10), np.linspace(4, 1, 5), np.full(15, 1.0)])


def schedules(torch):
    """Return how to make a torch schedule, and the number of its rates, by the recording's name."""
    lr, steps = torch.optim.lr_scheduler, EPOCHS * STEPS_PER_EPOCH
    early = {"pct_start": 0.1, "div_factor": 5, "final_div_factor": 20}

    def warmup(optimizer):
        parts = [lr.LinearLR(optimizer, start_factor=1 / 8, total_iters=7),
                 lr.CosineAnnealingLR(optimizer, steps - 8)]  # fmt: skip
        return lr.SequentialLR(optimizer, parts, milestones=[8])

    return {
        "exponential": (lambda o: lr.ExponentialLR(o, 0.8), EPOCHS),
        "step": (lambda o: lr.StepLR(o, 4, 0.5), EPOCHS),
        "milestones": (lambda o: lr.MultiStepLR(o, [2, 3, 7], 0.5), EPOCHS),
        "linear": (lambda o: lr.PolynomialLR(o, steps, 1.0), steps),
        "polynomial": (lambda o: lr.PolynomialLR(o, steps, 2.5), steps),
        "cosine": (lambda o: lr.CosineAnnealingLR(o, steps), steps),
        "cosine_min": (lambda o: lr.CosineAnnealingLR(o, steps, 0.02), steps),
        "one_cycle": (lambda o: lr.OneCycleLR(o, RATE, total_steps=steps), steps),
        "one_cycle_early": (lambda o: lr.OneCycleLR(o, RATE, total_steps=steps, **early), steps),
        "warmup": (warmup, steps),
    }


def plateaus():
    """Return the options of torch's ReduceLROnPlateau by the name of the recording."""
    return {
        "plateau": {"patience": 3, "eps": 0},
        "plateau_coarse": {"patience": 2, "factor": 0.5, "threshold": 0.1, "min_lr": 0.05},
    }


def rates(torch):
    """Return the rates of each schedule, and the objectives that two of them were told."""
    recorded = {"objectives": objectives()}
    for name, (make, length) in schedules(torch).items():
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=RATE)
        schedule, recorded[name] = make(optimizer), np.empty(length)
        for t in range(length):
            recorded[name][t] = optimizer.param_groups[0]["lr"]
            optimizer.step()
            schedule.step()
    for name, options in plateaus().items():
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=RATE)
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
        recorded[name] = np.empty(len(recorded["objectives"]))
        for t, objective in enumerate(recorded["objectives"]):
            schedule.step(objective)
            recorded[name][t] = optimizer.param_groups[0]["lr"]
    return recorded


def main():
    import torch

    for folder, name, record in (
        ("optimizers", "torch_sequences", sequences), ("schedules", "torch_schedules", rates)
    ):
        np.savez_compressed(TESTS / folder / f"{name}.npz", **record(torch))


if __name__ == "__main__":
    main()
