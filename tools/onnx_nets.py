#!/usr/bin/env python3
"""Small networks as PyTorch exports them, with the logits of a few pictures: what `tests/onnx.rs` reads.

    tools/onnx_nets.py OUT [NAME...]

writes OUT/NAME.onnx and OUT/NAME.json ({"images": bytes [N][C][H][W], "logits": [N][M]}); the network reads
bytes / 255.
Needs torch, onnx and onnxscript of PyPI.
"""

import json
import pathlib
import sys
import warnings

import onnx
import torch
from torch import nn
from torch.nn import functional

CLASSES = 4
PICTURES = 3


class Chain(nn.Module):
    """The beginner's network: pools before activations, a view, dropout, a log-softmax."""

    side = (1, 12, 12)

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(1, 4, 3)
        self.b = nn.Conv2d(4, 6, 3, stride=2, padding=1, bias=False)
        self.drop = nn.Dropout(0.5)
        self.c = nn.Linear(6 * 9, 8)
        self.d = nn.Linear(8, CLASSES)

    def forward(self, x):
        x = functional.relu(functional.max_pool2d(self.a(x), 2))
        x = functional.silu(self.b(x))
        x = self.drop(x.view(x.size(0), -1))
        return functional.log_softmax(self.d(torch.tanh(self.c(x))), dim=1)


class Block(nn.Module):
    """A residual block of torchvision's shape."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.a = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.b = nn.BatchNorm2d(outputs)
        self.c = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.d = nn.BatchNorm2d(outputs, eps=1e-3)
        short = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        self.short = nn.Identity() if inputs == outputs else short

    def forward(self, x):
        y = self.d(self.c(functional.relu(self.b(self.a(x)))))
        return functional.relu(y + self.short(x))


class Resnet(nn.Module):
    """Torchvision's residual network, small."""

    side = (3, 11, 11)

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, 1, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.blocks = nn.Sequential(Block(4, 4, 1), Block(4, 6, 2))
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(6, CLASSES)

    def forward(self, x):
        return self.head(torch.flatten(self.mean(self.blocks(self.pool(self.stem(x)))), 1))


class Other(nn.Module):
    """Activations before layers, group normalisation, a mean over pixels, the normalisation inside."""

    side = (3, 8, 8)

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.a = nn.Conv2d(4, 4, 3, padding=1)
        self.group = nn.GroupNorm(2, 4)
        self.head = nn.Linear(4, CLASSES, bias=False)

    def forward(self, x):
        x = self.stem((x - self.mean) / self.std)
        y = self.a(functional.relu(self.norm(x)))
        x = torch.tanh(self.group(x + y))
        x = functional.avg_pool2d(functional.relu(x), 2)
        return self.head(x.mean((2, 3)))


def net(kind, seed):
    torch.manual_seed(seed)
    found = kind()
    for module in found.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
            nn.init.normal_(module.running_mean, 0, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
        if isinstance(module, nn.GroupNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
    return found.eval()


def forget_sources(path):
    """Leaves out which lines of which files made a node: places on the machine that exported it."""
    model = onnx.load(path, load_external_data=False)
    graph = model.graph
    for part in [graph, *graph.node, *graph.initializer, *graph.input, *graph.output, *graph.value_info]:
        part.doc_string = ""
        del part.metadata_props[:]
    onnx.save(model, path)


NETS = {"chain": Chain, "resnet": Resnet, "other": Other}


def main():
    out, *names = sys.argv[1:]
    out = pathlib.Path(out)
    for i, (name, kind) in enumerate(NETS.items()):
        for way in ["torchscript", "dynamo"]:
            full = f"{name}-{way}"
            if names and full not in names:
                continue
            found = net(kind, i)
            images = torch.randint(0, 256, (PICTURES, *kind.side), dtype=torch.uint8)
            with torch.no_grad():
                logits = found(images.float() / 255)
            axes = {"dynamic_axes": {"x": {0: "n"}}} if way == "torchscript" else {}
            # with its normalisations: by default one of the two folds them into convolutions
            training = torch.onnx.TrainingMode.PRESERVE if name == "resnet" and way == "torchscript" else None
            options = {"training": training} if training else {}
            warnings.simplefilter("ignore")
            torch.onnx.export(found, (images[:1].float() / 255,), out / f"{full}.onnx", input_names=["x"],
                              dynamo=way == "dynamo", **axes, **options)
            forget_sources(out / f"{full}.onnx")
            text = {"images": images.flatten().tolist(), "logits": logits.tolist()}
            (out / f"{full}.json").write_text(json.dumps(text))
            print(full)


if __name__ == "__main__":
    main()
