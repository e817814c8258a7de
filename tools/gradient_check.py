#!/usr/bin/env python3
"""Compares the gradient over a whole training set with PyTorch's in f64, on the same parameters and normalisation.

    tools/gradient_check.py MNIST_FOLDER mnist-14k
    tools/gradient_check.py CIFAR_10_FOLDER cifar-43k

Builds and runs examples/gradient.rs. Needs torch, numpy and safetensors; some minutes of CPU.
"""
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file

from datasets import read

ROOT = pathlib.Path(__file__).resolve().parent.parent
# (output channels, filter, stride, padding), then dense widths; the last has one output a class
NETS = {
    "mnist-14k": ([(8, 5, 2, 0), (16, 5, 2, 0)], [40, 10]),
    "cifar-43k": ([(12, 3, 2, 1), (24, 3, 2, 1), (32, 3, 2, 1)], [64, 10]),
}


def gradient(net, parameters, images, labels):
    """∇ of the mean cross entropy in f64, and the loss."""
    theta = torch.tensor(parameters, dtype=torch.float64, requires_grad=True)
    # statistics from exact integer sums, as the engine takes them
    pixels = images.transpose(1, 0, 2, 3).reshape(images.shape[1], -1).astype(np.uint64)
    mean = pixels.sum(1) / pixels.shape[1]
    std = np.sqrt((pixels**2).sum(1) / pixels.shape[1] - mean**2)
    total, loss_sum = torch.zeros_like(theta), 0.0
    convs, widths = NETS[net]
    for start in range(0, len(labels), 1000):
        x = (images[start:start + 1000] - mean[:, None, None]) / std[:, None, None]
        x, at = torch.tensor(x, dtype=torch.float64), 0

        def take(*dims):
            nonlocal at
            at += int(np.prod(dims))
            return theta[at - int(np.prod(dims)):at].view(dims)

        for channels, size, stride, padding in convs:
            x = F.relu(F.conv2d(x, take(channels, x.shape[1], size, size), take(channels), stride, padding))
        x = x.flatten(1)
        for i, width in enumerate(widths):
            x = F.linear(x, take(width, x.shape[1]), take(width))
            x = F.relu(x) if i + 1 < len(widths) else x
        assert at == len(theta)
        target = torch.tensor(labels[start:start + 1000].astype(np.int64))
        loss = F.cross_entropy(x, target, reduction="sum")
        total += torch.autograd.grad(loss, theta)[0]
        loss_sum += float(loss.detach())
    return (total / len(labels)).numpy(), loss_sum / len(labels)


def main():
    if len(sys.argv) != 3 or sys.argv[2] not in NETS:
        sys.exit(__doc__)
    folder, net = sys.argv[1:]
    with tempfile.TemporaryDirectory() as scratch:
        out = f"{scratch}/gradient.safetensors"
        command = ["cargo", "run", "--release", "--quiet", "--example", "gradient", "--", folder, net, out]
        subprocess.run(command, check=True, cwd=ROOT)
        ours = load_file(out)
    want, loss = gradient(net, ours["parameters"], *read(folder)[0])
    got = ours["gradient"].astype(np.float64)
    cosine = got @ want / np.linalg.norm(got) / np.linalg.norm(want)
    print(f"PyTorch {torch.__version__} in f64: loss {loss:.9f}")
    print(f"1 - cosine {1 - cosine:.2e}, relative error {np.linalg.norm(got - want) / np.linalg.norm(want):.2e}")


main()
