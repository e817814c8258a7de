#!/usr/bin/env python3
"""Runs `gpu-subset train` over seeds and prints one row: median and spread of accuracy, cost and wall time.

    tools/measure.py [--seeds 0,1,2] [-- ARGUMENTS OF gpu-subset train]
    tools/measure.py                                            the digits
    tools/measure.py -- --data MNIST --model mnist-14k --subset 1/8

Needs a release build (tools/train.sh makes one). Runs one at a time, each in a temporary folder; standard library only.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile

PROGRAM = pathlib.Path(__file__).resolve().parent.parent / "target/release/gpu-subset"


def spread(values, digits):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("train", nargs="*")
    options = parser.parse_args()
    records = []
    for seed in options.seeds.split(","):
        with tempfile.TemporaryDirectory() as folder:
            command = [PROGRAM, "train", "--json", "--seed", seed, "--out", f"{folder}/run", *options.train]
            records.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
    first = records[0]
    before = [100 * record["stages"][0]["test_accuracy"] for record in records]
    print(f"gpu-subset train {' '.join(options.train)}")
    print(f"  {first['adapter']}, {first['driver']}; {first['data']}, {first['model']}, "
          f"K = {first['subset_examples']}, Q = {first['overdetermination']:.1f}, seeds {options.seeds}: median (spread)")
    print(f"  test accuracy at the subset's minimum  {spread(before, 2)} %")
    print(f"  test accuracy                          {spread([100 * r['test_accuracy'] for r in records], 2)} %")
    print(f"  training loss                          {spread([r['train_loss'] for r in records], 4)}")
    print(f"  cost                                   {spread([r['cost_epochs'] for r in records], 2)} epochs")
    print(f"  wall time                              {spread([r['wall_seconds'] for r in records], 1)} s")


main()
