"""Products of layers, and gradients of the built-in networks, in PyTorch on the CPU: the counterpart of src/main.rs.

    torch_peer.py SHAPES THREADS

For each line on stdin (a round) measures everything once and prints a JSON object of seconds by name.
"""
import json
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


def measure(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def products(shape):
    """(product, function) of a layer; every function does one pass."""
    backward = torch.ops.aten.convolution_backward
    if shape["kind"] == "dense":
        x, w = torch.rand(shape["batch"], shape["inputs"]) - 0.5, torch.rand(shape["outputs"], shape["inputs"]) - 0.5
        dy = torch.rand(shape["batch"], shape["outputs"]) - 0.5
        return [("forward", lambda: x @ w.T), ("grad_input", lambda: dy @ w), ("grad_weight", lambda: dy.T @ x)]
    side, size = shape["side"], shape["size"]
    memory = torch.channels_last  # the faster of the two layouts here
    x = (torch.rand(shape["batch"], shape["inputs"], side, side) - 0.5).to(memory_format=memory)
    w = (torch.rand(shape["outputs"], shape["inputs"], size, size) - 0.5).to(memory_format=memory)
    stride, padding = [shape["stride"]] * 2, [shape["padding"]] * 2
    dy = torch.rand_like(F.conv2d(x, w, stride=stride, padding=padding))

    def gradient(mask):
        return lambda: backward(dy, x, w, None, stride, padding, [1, 1], False, [0, 0], 1, mask)

    return [("forward", lambda: F.conv2d(x, w, stride=stride, padding=padding)),
            ("grad_input", gradient([True, False, False])), ("grad_weight", gradient([False, True, False]))]


def network(name):
    if name == "mnist-14k":
        return nn.Sequential(nn.Conv2d(1, 8, 5, 2), nn.ReLU(), nn.Conv2d(8, 16, 5, 2), nn.ReLU(), nn.Flatten(),
                             nn.Linear(256, 40), nn.ReLU(), nn.Linear(40, 10)), (1, 28, 28)
    return nn.Sequential(nn.Conv2d(3, 12, 3, 2, 1), nn.ReLU(), nn.Conv2d(12, 24, 3, 2, 1), nn.ReLU(),
                         nn.Conv2d(24, 32, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 64), nn.ReLU(),
                         nn.Linear(64, 10)), (3, 32, 32)


def gradient(name, examples, chunk=1000):
    """One gradient of the mean cross entropy over random images, accumulated over chunks."""
    net, shape = network(name)
    images, labels = torch.rand(examples, *shape), torch.randint(10, (examples,))

    def run():
        net.zero_grad(set_to_none=True)
        for x, y in zip(images.split(chunk), labels.split(chunk)):
            (F.cross_entropy(net(x), y, reduction="sum") / examples).backward()

    return run


def main():
    shapes, threads = json.loads(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(threads)
    runs = []
    with torch.no_grad():
        for shape in shapes:
            if shape["kind"] != "network":
                runs += [(f'{shape["name"]} {product}', run) for product, run in products(shape)]
    for shape in shapes:
        if shape["kind"] == "network":
            runs.append((f'{shape["name"]} gradient', gradient(shape["name"], shape["batch"])))
    for _, run in runs:
        run()
    for _ in sys.stdin:
        print(json.dumps({name: measure(run) for name, run in runs}), flush=True)


main()
