"""The path of a step rule along recorded gradients."""

import numpy as np


def new_state(rule, d):
    return np.zeros((rule.slots, d))


def path_of(rule, torch, apply, l2=0.0):
    w = torch["start"].copy()
    state, path = new_state(rule, len(w)), []
    for t, (g, rate) in enumerate(zip(torch["gradients"], torch["rates"], strict=True)):
        apply(w, g + l2 * w, state, rate, t)
        path.append(w.copy())
    return np.array(path)
