#!/usr/bin/env python3
"""Conventional training of our networks in PyTorch, Adam on mini-batches: the baseline of README and docs/results.md.

    tools/adam_baseline.py FOLDER [--epochs 1.5] [--rate 8e-3] [--batch 32] [--decay linear] [--seeds 0,1,2]
                           [--device cuda] [--mode eager|graphs|compile] [--json]

FOLDER holds MNIST, CIFAR-10 or CIFAR-100. Same network (mnist-14k or cifar-43k), He initialisation and normalisation as
`gpu-subset train`; the defaults are the choices tuned hardest on MNIST. Adam as it is usually run: --batch 64
--rate 2e-3 --decay cosine --warm-up 0 --weight-decay 0 --epochs 5. --epochs are passes through the network; printed is
also what everything costs, counted as `gpu-subset` does (docs/how-a-run-works.md, Cost). On a GPU the data stay there;
--mode (adam_steps.py) is how a step is launched; --json prints a line a seed. Needs torch and numpy.
"""
import argparse
import json
import math
import statistics
import sys
import time

import torch
import torch.nn as nn

from adam_steps import MODES
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
    forward, parameters = multiply_adds(net, images[0].cpu()), sum(p.numel() for p in net.parameters())
    steps = math.ceil(options.epochs * (len(images) // options.batch))
    # whole thousandths of a forward pass, rounded up where the work is done
    grains = [math.ceil(1000 * of * parameters / forward) for of in (ADAM, 1 if options.weight_decay else 0)]
    passes = steps * options.batch
    return (passes + steps * sum(grains) / 3000) / len(images), passes / len(images)


def rates(examples, options):
    """The learning rate of every step."""
    epoch = examples // options.batch
    steps, warm_up = math.ceil(options.epochs * epoch), options.warm_up * epoch

    def share(step):
        if step + 1 < warm_up:
            return (step + 1) / warm_up
        progress = min(1, (step - warm_up) / max(1, steps - warm_up))
        return 1 - progress if options.decay == "linear" else 0.5 * (1 + math.cos(math.pi * progress))

    return [options.rate * share(step) for step in range(steps)]


def batches(examples, size, steps):
    """The mini-batches of so many steps: every epoch a permutation, what is left over dropped."""
    found = []
    while len(found) < steps:
        found += torch.randperm(examples)[:examples // size * size].split(size)
    return torch.stack(found[:steps])


def arguments():
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
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--mode", choices=list(MODES), default="eager")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    is_cuda = options.device.startswith("cuda")
    if is_cuda and not torch.cuda.is_available():
        sys.exit(f"error: PyTorch {torch.__version__} sees no CUDA device; leave out --device {options.device}")
    if options.mode == "graphs" and not is_cuda:
        sys.exit("error: --mode graphs is of CUDA; take --device cuda with it")
    return options


def data(options):
    """Training and test set on the device, images normalised as `gpu-subset` does."""
    (images, labels), (test_images, test_labels) = read(options.folder)
    channel = lambda statistic: statistic(images.astype("f4"), axis=(0, 2, 3), keepdims=True, dtype="f8")
    mean, std = channel(lambda x, **of: x.mean(**of)), channel(lambda x, **of: x.std(**of))
    as_input = lambda images: torch.tensor(((images - mean) / std).astype("f4")).to(options.device)
    as_label = lambda labels: torch.tensor(labels.astype("i8")).to(options.device)
    return (as_input(images), as_label(labels)), (as_input(test_images), as_label(test_labels))


def main():
    options = arguments()
    torch.set_num_threads(options.threads)
    (images, labels), (test_images, test_labels) = data(options)
    classes = int(labels.max()) + 1
    finish = torch.cuda.synchronize if options.device.startswith("cuda") else lambda: None
    everything, passes = costs(images, classes, options)
    net = network(images.shape[1], classes).to(options.device)
    train = MODES[options.mode](net, images, labels, options)
    accuracies, seconds = [], []
    for seed in map(int, options.seeds.split(",")):
        torch.manual_seed(seed)
        net.load_state_dict(network(images.shape[1], classes).state_dict())
        finish()
        start = time.perf_counter()
        of_steps = rates(len(labels), options)
        train(batches(len(labels), options.batch, len(of_steps)).to(options.device), of_steps)
        finish()
        seconds.append(time.perf_counter() - start)
        with torch.no_grad():
            accuracies.append(100 * float((net(test_images).argmax(1) == test_labels).float().mean()))
        if options.json:
            record = {"seed": seed, "mode": options.mode, "device": options.device, "torch": torch.__version__,
                      "steps": len(of_steps), "test_accuracy": accuracies[-1] / 100, "seconds": seconds[-1],
                      "cost_epochs": everything}
            print(json.dumps(record), flush=True)
    if options.json:
        return
    place = f"{options.threads} thread(s)" if options.device == "cpu" else torch.cuda.get_device_name(options.device)
    print(f"PyTorch {torch.__version__}, {place}, {options.mode}, Adam, batch {options.batch}, "
          f"{options.rate:g} {options.decay}, "
          f"wd {options.weight_decay:g}, {options.epochs:g} epochs (cost {everything:.4f}, "
          f"{passes:.4f} of passes through the network): test {statistics.mean(accuracies):.2f} "
          f"({', '.join(f'{a:.2f}' for a in accuracies)}) %, {statistics.median(seconds):.1f} "
          f"({min(seconds):.1f} to {max(seconds):.1f}) s")


main()
