#!/usr/bin/env python3
"""Conventional training of our networks in PyTorch, Adam on mini-batches: the baseline of README and docs/results.md.

    tools/adam_baseline.py FOLDER [--epochs 1.5] [--rate 8e-3] [--batch 32] [--decay linear] [--seeds 0,1,2]

FOLDER holds MNIST, CIFAR-10 or CIFAR-100. Same network (mnist-14k or cifar-43k), He initialisation and normalisation as
`gpu-subset train`; the defaults are the choices tuned hardest on MNIST. Adam as it is usually run: --batch 64
--rate 2e-3 --decay cosine --warm-up 0 --weight-decay 0 --epochs 5. --epochs are passes through the network; printed is
also what everything costs, counted as `gpu-subset` does (docs/how-a-run-works.md, Cost). Needs torch and numpy.
"""
import argparse
import math
import statistics
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

from datasets import read


def network(channels, classes):
    if channels == 1:
        layers = [nn.Conv2d(1, 8, 5, 2), nn.ReLU(), nn.Conv2d(8, 16, 5, 2), nn.ReLU(), nn.Flatten(),
                  nn.Linear(256, 40), nn.ReLU(), nn.Linear(40, classes)]
    else:
        layers = [nn.Conv2d(3, 12, 3, 2, 1), nn.ReLU(), nn.Conv2d(12, 24, 3, 2, 1), nn.ReLU(),
                  nn.Conv2d(24, 32, 3, 2, 1), nn.ReLU(), nn.Flatten(),
                  nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, classes)]
    net = nn.Sequential(*layers)
    for layer in net:
        if hasattr(layer, "weight"):
            gain = 1 if layer is net[-1] else 2
            nn.init.normal_(layer.weight, std=math.sqrt(gain / layer.weight[0].numel()))
            nn.init.zeros_(layer.bias)
    return net


def multiply_adds(net, image):
    """Of the products of one example's forward pass."""
    total, x = 0, image[None]
    for layer in net:
        x = layer(x)
        if hasattr(layer, "weight"):
            total += layer.weight.numel() * x[0, 0].numel()
    return total


# multiply-adds of an element in an update of Adam: two of m, three of v, a product, a root and a division of x
ADAM = 8


def costs(images, classes, options):
    """Epochs of a run: everything, and passes through the network alone."""
    net = network(images.shape[1], classes)
    forward, parameters = multiply_adds(net, images[0]), sum(p.numel() for p in net.parameters())
    steps = math.ceil(options.epochs * (len(images) // options.batch))
    # whole thousandths of a forward pass, rounded up where the work is done
    grains = [math.ceil(1000 * of * parameters / forward) for of in (ADAM, 1 if options.weight_decay else 0)]
    passes = steps * options.batch
    return (passes + steps * sum(grains) / 3000) / len(images), passes / len(images)


def batches(examples, size):
    """Mini-batches without end: every epoch a permutation, what is left over dropped."""
    while True:
        order = torch.randperm(examples)
        yield from order[:examples // size * size].split(size)


def train(images, labels, classes, options):
    net = network(images.shape[1], classes)
    adam = torch.optim.Adam(net.parameters(), options.rate, weight_decay=options.weight_decay)
    epoch = len(labels) // options.batch
    steps, warm_up = math.ceil(options.epochs * epoch), options.warm_up * epoch

    def share(step):
        if step + 1 < warm_up:
            return (step + 1) / warm_up
        progress = min(1, (step - warm_up) / max(1, steps - warm_up))
        return 1 - progress if options.decay == "linear" else 0.5 * (1 + math.cos(math.pi * progress))

    schedule = torch.optim.lr_scheduler.LambdaLR(adam, share)
    for _, batch in zip(range(steps), batches(len(labels), options.batch)):
        adam.zero_grad(set_to_none=True)
        F.cross_entropy(net(images[batch]), labels[batch]).backward()
        adam.step()
        schedule.step()
    return net


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--epochs", type=float, default=1.5)
    parser.add_argument("--rate", type=float, default=8e-3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--warm-up", type=float, default=0.1)
    parser.add_argument("--decay", choices=["linear", "cosine"], default="linear")
    parser.add_argument("--weight-decay", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=1, help="with batches this small a second one only costs")
    parser.add_argument("--seeds", default="0,1,2")
    options = parser.parse_args()
    (images, labels), (test_images, test_labels) = read(options.folder)
    channel = lambda statistic: statistic(images.astype("f4"), axis=(0, 2, 3), keepdims=True, dtype="f8")
    mean, std = channel(lambda x, **of: x.mean(**of)), channel(lambda x, **of: x.std(**of))
    as_input = lambda images: torch.tensor(((images - mean) / std).astype("f4"))
    images, test_images = as_input(images), as_input(test_images)
    labels, test_labels = (torch.tensor(l.astype("i8")) for l in (labels, test_labels))
    classes = int(labels.max()) + 1
    torch.set_num_threads(options.threads)
    accuracies, seconds = [], []
    for seed in options.seeds.split(","):
        torch.manual_seed(int(seed))
        start = time.perf_counter()
        net = train(images, labels, classes, options)
        seconds.append(time.perf_counter() - start)
        with torch.no_grad():
            accuracies.append(100 * float((net(test_images).argmax(1) == test_labels).float().mean()))
    everything, passes = costs(images, classes, options)
    print(f"PyTorch {torch.__version__}, {options.threads} thread(s), Adam, batch {options.batch}, "
          f"{options.rate:g} {options.decay}, "
          f"wd {options.weight_decay:g}, {options.epochs:g} epochs (cost {everything:.4f}, "
          f"{passes:.4f} of passes through the network): test {statistics.mean(accuracies):.2f} "
          f"({', '.join(f'{a:.2f}' for a in accuracies)}) %, {statistics.median(seconds):.1f} "
          f"({min(seconds):.1f} to {max(seconds):.1f}) s")


main()
