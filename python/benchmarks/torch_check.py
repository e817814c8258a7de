"""Gradients and Gauss-Newton products of `Objective` against torch.func in float64, on three networks.

    python python/benchmarks/torch_check.py [--device NAME] [--examples 256] [--seed 0]

Prints ‖ours − theirs‖ / ‖theirs‖ of each, and exits with 1 where one is above 5e-5. PyTorch's part is modules of its
own: the gradient is `vjp` of the loss, the product Jᵀ (H (J v)) by `jvp` and `vjp` of the logits and `jvp` of the
gradient of the loss. It needs PyTorch (`pip install torch`; its CPU build is enough), which CI has not.
"""

import argparse
import sys

import numpy as np

import gpu_subset

try:
    import torch
except ImportError:
    print("torch_check.py: PyTorch is not installed: pip install torch", file=sys.stderr)
    sys.exit(2)
from torch import nn
from torch.func import functional_call, grad, jvp, vjp
from torch.nn.functional import cross_entropy, pad

TOLERANCE = 5e-5
WEIGHT_DECAY, LABEL_SMOOTHING = 1e-2, 0.1

# examples that a network normalises together, if the description does not say otherwise
GROUP = 128


class Residual(nn.Module):
    """body(x) + shortcut(x), with zeros for the channels that the shortcut lacks."""

    def __init__(self, *body, shortcut=None):
        super().__init__()
        self.body, self.shortcut = nn.Sequential(*body), shortcut or nn.Identity()

    def forward(self, x):
        y, shortcut = self.body(x), self.shortcut(x)
        return y + pad(shortcut, (0, 0, 0, 0, 0, y.shape[1] - shortcut.shape[1]))


class Groups(nn.Module):
    """A network over one group of examples after another, each with a mean and a variance of its own."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return torch.cat([self.layers(group) for group in x.split(GROUP)])


def conv3(before, after, **how):
    return nn.Conv2d(before, after, 3, padding=1, **how)


def batch_norm(channels):
    return nn.BatchNorm2d(channels, track_running_stats=False)


def dense():
    ours = [
        {"kind": "dense", "units": 48, "activation": "tanh"},
        {"kind": "dense", "units": 32, "activation": "relu"},
        {"kind": "dense"},
    ]
    theirs = [nn.Flatten(), nn.Linear(64, 48), nn.Tanh(), nn.Linear(48, 32), nn.ReLU(), nn.Linear(32, 10)]
    return ours, nn.Sequential(*theirs)


def convolutions():
    ours = [
        {"kind": "conv", "channels": 8, "size": 3, "padding": 1, "activation": "silu"},
        {"kind": "max-pool", "size": 2, "name": "pooled"},
        {"kind": "conv", "channels": 8, "size": 3, "padding": 1, "activation": "softplus"},
        {"kind": "conv", "channels": 8, "size": 3, "padding": 1, "groups": 2},
        {"kind": "add", "from": "pooled", "activation": "relu"},
        {"kind": "conv", "channels": 12, "size": 3, "stride": 2, "padding": 1, "activation": "tanh"},
        {"kind": "avg-pool", "size": 2},
        {"kind": "dense"},
    ]
    residual = Residual(conv3(8, 8), nn.Softplus(), conv3(8, 8, groups=2))
    theirs = [conv3(1, 8), nn.SiLU(), nn.MaxPool2d(2), residual, nn.ReLU(), conv3(8, 12, stride=2), nn.Tanh()]
    return ours, nn.Sequential(*theirs, nn.AvgPool2d(2), nn.Flatten(), nn.Linear(12, 10))


def normalised():
    same = Residual(conv3(8, 8), batch_norm(8), nn.ReLU(), conv3(8, 8), batch_norm(8))
    halved = [conv3(8, 16, stride=2), batch_norm(16), nn.ReLU(), conv3(16, 16), batch_norm(16)]
    theirs = [conv3(1, 8), nn.ReLU(), same, nn.ReLU(), Residual(*halved, shortcut=nn.AvgPool2d(2)), nn.ReLU()]
    return "digits-resnet-5k", Groups(*theirs, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))


NETS = {"dense": dense, "convolutions, pools, a sum": convolutions, "batch normalisation": normalised}


def parameters(module, vector):
    """A vector (P,) as the module's tensors by name."""
    named, start = {}, 0
    for name, like in module.named_parameters():
        named[name] = vector[start : start + like.numel()].reshape(like.shape)
        start += like.numel()
    if start != len(vector):
        raise ValueError(f"{start} parameters of PyTorch's network, {len(vector)} of ours")
    return named


def theirs(module, x, labels, theta, v):
    """Gradient and Gauss-Newton product, (P,) each, of the mean cross entropy with weight decay."""

    def logits(theta):
        return functional_call(module, parameters(module, theta), (x,))

    def of_logits(z):
        return cross_entropy(z, labels, label_smoothing=LABEL_SMOOTHING)

    z, pull_back = vjp(logits, theta)
    along = jvp(logits, (theta,), (v,))[1]
    curved = jvp(grad(of_logits), (z,), (along,))[1]
    return [pull_back(of)[0] + WEIGHT_DECAY * at for of, at in [(grad(of_logits)(z), theta), (curved, v)]]


def errors(net, data, asked):
    """Of gradient and product of one network."""
    description, module = NETS[net]()
    random = np.random.default_rng(asked.seed)
    model = gpu_subset.Model(description, data)
    indices = random.choice(len(data.arrays()[0]), asked.examples, replace=False)
    how = {"weight_decay": WEIGHT_DECAY, "label_smoothing": LABEL_SMOOTHING, "device": asked.device}
    objective = gpu_subset.Objective(model, data, indices=indices, **how)
    # whatever starts as 0 or 1 is something else
    theta = model.initial(asked.seed) + random.normal(scale=0.05, size=model.parameters).astype(np.float32)
    v = random.normal(size=model.parameters).astype(np.float32)
    ours = [objective.gradient(theta), objective.gauss_newton_product(theta, v)]

    X, y = data.arrays()
    x = ((X.astype(np.float64) - X.mean()) / X.std())[indices, None]
    vectors = [torch.from_numpy(vector.astype(np.float64)) for vector in (theta, v)]
    expected = theirs(module.double(), torch.from_numpy(x), torch.from_numpy(y[indices].astype(np.int64)), *vectors)
    return [np.linalg.norm(a - b.numpy()) / np.linalg.norm(b.numpy()) for a, b in zip(ours, expected)]


def main():
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--device")
    asked.add_argument("--examples", type=int, default=256)
    asked.add_argument("--seed", type=int, default=0)
    asked = asked.parse_args()
    data = gpu_subset.Dataset.open("digits")
    found = {net: errors(net, data, asked) for net in NETS}
    print(f"relative errors against torch.func {torch.__version__} in float64, {asked.examples} digits\n")
    print("| network | gradient | Gauss-Newton product |\n|---|---|---|")
    for net, of in found.items():
        print(f"| {net} | " + " | ".join(f"{error:.1e}" for error in of) + " |")
    sys.exit(int(not all(error <= TOLERANCE for of in found.values() for error in of)))


if __name__ == "__main__":
    main()
