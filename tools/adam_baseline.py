#!/usr/bin/env python3
"""Conventional training of mnist-14k in PyTorch, the baseline of the README: Adam, mini-batches of 64, cosine schedule.

    tools/adam_baseline.py MNIST_FOLDER [--epochs 5] [--rate 2e-3] [--seeds 0,1,2]

Same network, He initialisation and normalisation as `gpu-subset train --model mnist-14k`. Needs torch and numpy.
"""
import argparse
import math
import statistics
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

from mnist import read


def network():
    net = nn.Sequential(
        nn.Conv2d(1, 8, 5, 2), nn.ReLU(), nn.Conv2d(8, 16, 5, 2), nn.ReLU(), nn.Flatten(),
        nn.Linear(256, 40), nn.ReLU(), nn.Linear(40, 10))
    for layer in net:
        if hasattr(layer, "weight"):
            gain = 1 if layer is net[-1] else 2
            nn.init.normal_(layer.weight, std=math.sqrt(gain / layer.weight[0].numel()))
            nn.init.zeros_(layer.bias)
    return net


def train(images, labels, epochs, rate):
    net = network()
    adam = torch.optim.Adam(net.parameters(), rate)
    steps = epochs * math.ceil(len(labels) / 64)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for _ in range(epochs):
        for batch in torch.randperm(len(labels)).split(64):
            adam.zero_grad(set_to_none=True)
            F.cross_entropy(net(images[batch]), labels[batch]).backward()
            adam.step()
            schedule.step()
    return net


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seeds", default="0,1,2")
    options = parser.parse_args()
    (images, labels), (test_images, test_labels) = (read(options.folder, part) for part in ("train", "t10k"))
    mean, std = images.astype("f8").mean(), images.astype("f8").std()
    as_input = lambda images: torch.tensor((images - mean) / std, dtype=torch.float32)
    images, test_images = as_input(images), as_input(test_images)
    labels, test_labels = (torch.tensor(l.astype("i8")) for l in (labels, test_labels))
    torch.set_num_threads(1)  # with batches this small a second thread only costs
    accuracies, seconds = [], []
    for seed in options.seeds.split(","):
        torch.manual_seed(int(seed))
        start = time.perf_counter()
        net = train(images, labels, options.epochs, options.rate)
        seconds.append(time.perf_counter() - start)
        with torch.no_grad():
            accuracies.append(100 * float((net(test_images).argmax(1) == test_labels).float().mean()))
    print(f"PyTorch {torch.__version__}, 1 thread, Adam, batch 64, {options.rate:g} cosine, {options.epochs} epochs: test "
          f"{statistics.median(accuracies):.2f} ({min(accuracies):.2f} to {max(accuracies):.2f}) %, "
          f"{statistics.median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f}) s")


main()
