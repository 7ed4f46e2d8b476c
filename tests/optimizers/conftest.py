"""The step sequences of torch."""

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def torch():
    """What record_torch.py recorded."""
    with np.load(Path(__file__).with_name("torch_sequences.npz")) as file:
        return dict(file)
