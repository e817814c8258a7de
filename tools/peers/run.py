#!/usr/bin/env python3
"""Measures gpu-subset beside burn (wgpu) and PyTorch (CPU) on the same shapes, in turns; prints the table of ratios.

    tools/peers/run.py [--rounds 5] [--without burn] [--without torch] [--only 16->32] [--threads 2] [--json FILE]

Needs a release build of gpu-subset, cargo for burn (a first build takes minutes, and so does its tuning of each shape),
and torch for PyTorch. Medians are printed.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent

# shapes of `gpu-subset bench kernels`: inputs, outputs, side, filter, stride, padding, batch
CONVOLUTIONS = [(16, 32, 14, 3, 1, 1, 256), (32, 64, 16, 3, 1, 1, 128), (1, 16, 28, 3, 1, 1, 512),
                (3, 32, 32, 3, 1, 1, 128), (1, 8, 28, 5, 2, 0, 1024), (8, 16, 12, 5, 2, 0, 1024),
                (3, 12, 32, 3, 2, 1, 512), (12, 24, 16, 3, 2, 1, 512), (24, 32, 8, 3, 2, 1, 1024)]
DENSE = [(512, 512, 512), (1024, 1024, 1024), (144, 32, 32768)]
NETWORKS = ["mnist-14k", "cifar-43k"]


def shapes(examples):
    conv = [dict(kind="conv", name=f"conv {k}x{k}/{s} {i}->{o} @{h} x{b}", inputs=i, outputs=o, side=h, size=k,
                 stride=s, padding=p, batch=b) for i, o, h, k, s, p, b in CONVOLUTIONS]
    dense = [dict(kind="dense", name=f"dense {i}->{o} x{b}", inputs=i, outputs=o, batch=b) for i, o, b in DENSE]
    return conv + dense, [dict(kind="network", name=name, batch=examples) for name in NETWORKS]


class Peer:
    """A program that measures once for every line it is sent."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def round(self):
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            sys.exit("error: a peer stopped; its message is above")
        return json.loads(line)


def ours(examples, only):
    command = [ROOT / "target/release/gpu-subset", "bench", "--json", "--repetitions", "1", "--examples", str(examples),
               "--filter", only]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if result.returncode:
        sys.exit("error: gpu-subset bench failed; its message is above")
    record = json.loads(result.stdout)
    seconds = {row["name"]: row["seconds"] for row in (record["kernels"] or {"rows": []})["rows"]}
    passes = [p for p in record["objective"] or [] if p["pass"] == "gradient" and p["examples"] == examples]
    return seconds | {f'{p["model"]} gradient': p["seconds"] for p in passes}


def ratio(theirs, mine):
    return f"{theirs / mine:.2f}" if theirs else "–"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--without", action="append", default=[], choices=["burn", "torch"])
    parser.add_argument("--only", default="", help="shapes whose name contains this")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--examples", type=int, default=12000)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    layers, networks = ([s for s in kind if args.only in s["name"]] for kind in shapes(args.examples))
    peers = {}
    if "burn" not in args.without:
        subprocess.run(["cargo", "build", "--release", "--quiet", "--manifest-path", HERE / "Cargo.toml"], check=True)
        peers["burn"] = Peer([HERE / "target/release/burn-peer", json.dumps(layers)])
    if "torch" not in args.without:
        command = [sys.executable, HERE / "torch_peer.py", json.dumps(layers + networks), str(args.threads)]
        peers["torch"] = Peer(command)
    rounds = []
    for i in range(args.rounds):
        print(f"round {i + 1} of {args.rounds}", file=sys.stderr)
        rounds.append({"ours": ours(args.examples, args.only)} | {name: peer.round() for name, peer in peers.items()})

    def median(who, name):
        seconds = [r[who][name] for r in rounds if who in r and name in r[who]]
        return statistics.median(seconds) if seconds else None

    print("| work | ours, ms | × burn | × PyTorch |\n|---|---|---|---|")
    for shape in layers:
        names = [f'{shape["name"]} {product}' for product in ("forward", "grad_input", "grad_weight")]
        for name in names:
            mine = median("ours", name)
            burn, torch = ratio(median("burn", name), mine), ratio(median("torch", name), mine)
            print(f"| {name} | {1e3 * mine:.2f} | {burn} | {torch} |")
        if shape["kind"] == "conv":  # burn gives the three together
            mine = sum(median("ours", name) for name in names)
            burn = ratio(median("burn", shape["name"] + " all"), mine)
            print(f'| {shape["name"]} all three | {1e3 * mine:.2f} | {burn} | – |')
    for shape in networks:
        name = f'{shape["name"]} gradient'
        mine = median("ours", name)
        print(f'| {name}, {args.examples} examples | {1e3 * mine:.2f} | – | {ratio(median("torch", name), mine)} |')
    if args.json:
        args.json.write_text(json.dumps(rounds, indent=1))


main()
