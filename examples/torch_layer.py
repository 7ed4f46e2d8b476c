"""Linear layers of torch with weight decay, whose minima skgd's estimators have too.

Needs torch (2.13 was used). The documentation compares what is printed here with skgd.
"""

import numpy as np
import torch
from sklearn.datasets import load_diabetes, load_wine
from sklearn.preprocessing import StandardScaler


def train(load, n_outputs, loss, weight_decay, steps=5000):
    """Return the weights after full-batch steps; the weight decay leaves the bias out."""
    X, y = load(return_X_y=True)
    X = torch.from_numpy(StandardScaler().fit_transform(X))
    y = torch.from_numpy(y)
    layer = torch.nn.Linear(X.shape[1], n_outputs, dtype=torch.float64)
    parameters = [{"params": [layer.weight], "weight_decay": weight_decay},
                  {"params": [layer.bias]}]
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(layer(X), y).backward()
        optimizer.step()
    return layer.weight.detach().numpy()


def half_squared_error(output, y):
    return torch.nn.functional.mse_loss(output[:, 0], y) / 2


if __name__ == "__main__":
    torch.manual_seed(0)
    np.set_printoptions(precision=6, suppress=True, linewidth=95)
    print("diabetes, half the MSELoss, weight_decay=0.1")
    print(train(load_diabetes, 1, half_squared_error, 0.1))
    print("wine, CrossEntropyLoss, weight_decay=0.1, the first three columns")
    print(train(load_wine, 3, torch.nn.CrossEntropyLoss(), 0.1)[:, :3])
