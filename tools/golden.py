#!/usr/bin/env python3
"""Writes tests/golden/*.safetensors: loss, gradient, Gauss-Newton product and ten descent steps of eight nets by
PyTorch in float64.

tests/golden.rs holds the engine to these numbers, so they come from an implementation that shares nothing with it. Run
once by a developer, and again only if the nets change:

    pip install torch numpy safetensors
    python tools/golden.py        # made with PyTorch 2.15; other versions differ by rounding in the last f64 digits

What a file holds (P parameters in PyTorch's order: conv1.weight, conv1.bias, ...):

    images          u8   [N,C,H,W]   blurred noise: neighbours alike, as in photographs
    labels          u8   [N]
    mean, std       f64  [C]         in units of a byte; the nets see (byte - mean) / std
    parameters      i16  [P]         in units of 2^-13, so that float32 and float64 start from the same numbers in half
                                     the bytes
    weight_decay    f64  [1]         lambda of f(p) = mean cross entropy + lambda/2 |p|^2
    loss            f64  [1]         f(p)
    logits          f64  [N,10]
    gradient        f32  [P]         of f at p
    product         f32  [P/7]       every 7th entry of (G + lambda) v, v = p read backwards; no side of a tensor is
                                     divisible by 7, so every filter tap, channel and unit is among them
    smoothing       f64  [1]         s of the targets (1 - s) onehot + s/10 of the next two
    smoothed_loss   f64  [1]         f(p) with these targets
    smoothed_gradient  f32  [P/7]    every 7th entry of its gradient
    step            f64  [1]
    descent         f64  [10]        f after each of ten steps p <- p - step * gradient, in float64
"""

import pathlib

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import cat
from torch.func import functional_call, jvp, vjp
from torch.nn import (
    AdaptiveAvgPool2d, AvgPool2d, BatchNorm2d, Conv2d, Flatten, GroupNorm, Linear, Module, ReLU, Sequential,
)
from torch.nn.functional import avg_pool2d, cross_entropy, pad, relu

UNIT = 2.0**-13
WEIGHT_DECAY = 1e-3
SMOOTHING = 0.1
STEP = 0.05
PRODUCT_STRIDE = 7


def mnist_14k():
    return Sequential(
        Conv2d(1, 8, 5, 2), ReLU(), Conv2d(8, 16, 5, 2), ReLU(), Flatten(), Linear(256, 40), ReLU(), Linear(40, 10)
    )


def cifar_43k():
    convs = [Conv2d(3, 12, 3, 2, 1), ReLU(), Conv2d(12, 24, 3, 2, 1), ReLU(), Conv2d(24, 32, 3, 2, 1), ReLU()]
    return Sequential(*convs, Flatten(), Linear(512, 64), ReLU(), Linear(64, 10))


class Residual(Module):
    """Two normalised convolutions beside a shortcut by a mean and zeros."""

    def __init__(self, inputs, channels, stride):
        super().__init__()
        normalised = [BatchNorm2d(channels, track_running_stats=False) for _ in range(2)]
        convs = [Conv2d(inputs, channels, 3, stride, 1), Conv2d(channels, channels, 3, 1, 1)]
        self.branch = Sequential(convs[0], normalised[0], ReLU(), convs[1], normalised[1])
        self.stride, self.new = stride, channels - inputs

    def forward(self, x):
        is_odd = x.shape[2] % 2 == 1
        pooled = avg_pool2d(x, 3, 2, 1) if is_odd else avg_pool2d(x, 2)
        shortcut = pooled if self.stride > 1 else x
        return relu(self.branch(x) + pad(shortcut, (0, 0, 0, 0, 0, self.new)))


def cifar_resnet_75k():
    blocks = [Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 64, 2)]
    return Sequential(Conv2d(3, 16, 3, 2, 1), ReLU(), *blocks, AdaptiveAvgPool2d(1), Flatten(), Linear(64, 10))


def mnist_resnet_19k():
    blocks = [Residual(8, 8, 1), Residual(8, 16, 2), Residual(16, 32, 2)]
    return Sequential(Conv2d(1, 8, 3, 2, 1), ReLU(), *blocks, AdaptiveAvgPool2d(1), Flatten(), Linear(32, 10))


def digits_resnet_5k():
    blocks = [Residual(8, 8, 1), Residual(8, 16, 2)]
    return Sequential(Conv2d(1, 8, 3, 1, 1), ReLU(), *blocks, AdaptiveAvgPool2d(1), Flatten(), Linear(16, 10))


def group_norm():
    first = [Conv2d(3, 8, 3, 2, 1), GroupNorm(4, 8), ReLU()]
    second = [Conv2d(8, 16, 3, 2, 1), GroupNorm(2, 16), ReLU()]
    return Sequential(*first, *second, AdaptiveAvgPool2d(1), Flatten(), Linear(16, 10))


def depthwise():
    first = [Conv2d(3, 12, 3, 2, 1, groups=3), ReLU(), Conv2d(12, 12, 3, 1, 1, groups=12), Conv2d(12, 16, 1), ReLU()]
    second = [Conv2d(16, 32, 3, 2, 1, groups=16), Conv2d(32, 16, 1, groups=2), ReLU()]
    return Sequential(*first, *second, AdaptiveAvgPool2d(1), Flatten(), Linear(16, 10))


class Dense(Module):
    """The input, and what a convolution makes of it, one after the other."""

    def __init__(self, inputs, more):
        super().__init__()
        self.layer = Sequential(Conv2d(inputs, more, 3, 1, 1), ReLU())

    def forward(self, x):
        return cat([x, self.layer(x)], 1)


def dense_blocks():
    first = [Conv2d(3, 8, 3, 2, 1), ReLU(), Dense(8, 5), Dense(13, 6), AvgPool2d(2)]
    return Sequential(*first, Dense(19, 9), AdaptiveAvgPool2d(1), Flatten(), Linear(28, 10))


def draw_parameters(net, rng):
    """He initialisation (gain 1 for the last layer) with biases of the same size, rounded to UNIT; scales about 1."""
    tensors = list(net.parameters())
    for i, tensor in enumerate(tensors):
        weight = tensors[i - i % 2]
        if weight.dim() == 1:
            drawn = (1 - i % 2) + 0.25 * rng.standard_normal(tuple(tensor.shape))
            tensor.data = torch.from_numpy(np.round(drawn / UNIT) * UNIT)
            continue
        gain = 1.0 if weight is tensors[-2] else 2.0
        deviation = (gain / weight[0].numel()) ** 0.5
        drawn = rng.standard_normal(tuple(tensor.shape)) * deviation
        tensor.data = torch.from_numpy(np.round(drawn / UNIT) * UNIT)


def draw_images(examples, channels, side, rng):
    noise = torch.from_numpy(rng.standard_normal((examples, channels, side + 6, side + 6)))
    for _ in range(2):
        noise = avg_pool2d(noise, 4, stride=1)
    return (120 + 60 * noise / noise.std()).round().clamp(0, 255).to(torch.uint8)


def golden(net, examples, channels, side, seed):
    rng = np.random.default_rng(seed)
    net = net.double()
    draw_parameters(net, rng)
    images = draw_images(examples, channels, side, rng)
    labels = torch.from_numpy(rng.integers(0, 10, examples))
    mean = images.double().mean((0, 2, 3))
    std = images.double().std((0, 2, 3))
    x = (images.double() - mean[:, None, None]) / std[:, None, None]

    shapes = {name: tensor.shape for name, tensor in net.named_parameters()}

    def logits(p):
        parts = p.split([shape.numel() for shape in shapes.values()])
        named = {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts)}
        return functional_call(net, named, (x,))

    def loss(p, smoothing=0.0):
        return cross_entropy(logits(p), labels, label_smoothing=smoothing) + WEIGHT_DECAY / 2 * p @ p

    def loss_and_gradient(p, smoothing=0.0):
        p = p.detach().requires_grad_()
        value = loss(p, smoothing)
        return value.item(), torch.autograd.grad(value, p)[0]

    start = torch.cat([tensor.detach().flatten() for tensor in net.parameters()])
    f, gradient = loss_and_gradient(start)
    smoothed, smoothed_gradient = loss_and_gradient(start, SMOOTHING)

    v = start.flip(0)
    z, jv = jvp(logits, (start,), (v,))
    probabilities = z.softmax(1)
    weighted = probabilities * jv
    hjv = (weighted - probabilities * weighted.sum(1, keepdim=True)) / examples
    product = vjp(logits, start)[1](hjv)[0] + WEIGHT_DECAY * v

    p, descent = start, []
    for _ in range(10):
        p = p - STEP * loss_and_gradient(p)[1]
        descent.append(loss(p).item())

    print(f"{len(start)} parameters, loss {f:.4f}, after ten steps {descent[-1]:.4f}")
    return {
        "images": images.numpy(),
        "labels": labels.numpy().astype(np.uint8),
        "mean": mean.numpy(),
        "std": std.numpy(),
        "parameters": (start.numpy() / UNIT).astype(np.int16),
        "weight_decay": np.array([WEIGHT_DECAY]),
        "loss": np.array([f]),
        "logits": z.detach().numpy(),
        "gradient": gradient.numpy().astype(np.float32),
        "product": product.detach().numpy()[::PRODUCT_STRIDE].astype(np.float32),
        "smoothing": np.array([SMOOTHING]),
        "smoothed_loss": np.array([smoothed]),
        "smoothed_gradient": smoothed_gradient.numpy()[::PRODUCT_STRIDE].astype(np.float32),
        "step": np.array([STEP]),
        "descent": np.array(descent),
    }


def main():
    folder = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden"
    folder.mkdir(exist_ok=True)
    nets = {
        "mnist-14k": (mnist_14k(), 40, 1, 28),
        "cifar-43k": (cifar_43k(), 24, 3, 32),
        "cifar-resnet-75k": (cifar_resnet_75k(), 24, 3, 32),
        "group-norm": (group_norm(), 40, 3, 16),
        "mnist-resnet-19k": (mnist_resnet_19k(), 24, 1, 28),
        "digits-resnet-5k": (digits_resnet_5k(), 40, 1, 8),
        "depthwise": (depthwise(), 40, 3, 16),
        "dense-blocks": (dense_blocks(), 40, 3, 16),
    }
    for seed, (name, (net, examples, channels, side)) in enumerate(nets.items()):
        tensors = golden(net, examples, channels, side, seed)
        save_file({key: np.ascontiguousarray(value) for key, value in tensors.items()}, folder / f"{name}.safetensors")


if __name__ == "__main__":
    main()
