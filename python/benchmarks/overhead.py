"""What the same sweep takes by the program, in a fresh process of Python and in a warm one, in turns.

    python python/benchmarks/overhead.py --data path/to/mnist [--budget 0.22] [--rounds 5] [--device NAME]

Prints medians and ranges in Markdown. "Training" is `wall_seconds` of the run's record, from the first kernel to the
last weight. "All" of the program and of a fresh process is the process, from its start to its end: reading the data,
opening the device, training, evaluating on the test set. Of a warm process it is `fit` and `score`, with the arrays in
memory and the device open. Ratios are those of a round, each to the program in it. GPU_SUBSET_PROGRAM names the
program, target/release/gpu-subset of the checkout otherwise. A first round, which compiles and tunes, is left out.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import gpu_subset

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("GPU_SUBSET_PROGRAM", ROOT / "target" / "release" / "gpu-subset")


def options():
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--data", required=True)
    asked.add_argument("--budget", type=float, default=0.22)
    asked.add_argument("--rounds", type=int, default=5)
    asked.add_argument("--device")
    asked.add_argument("--one-fit", type=int, metavar="SEED", help="fit once and print the record: a fresh process")
    return asked.parse_args()


def fitted(asked, arrays, seed):
    """The record of a fit, with the test accuracy."""
    X, y, X_test, y_test = arrays
    classifier = gpu_subset.SubsetClassifier(budget=asked.budget, random_state=seed, device=asked.device).fit(X, y)
    return classifier.record_ | {"test_accuracy": classifier.score(X_test, y_test)}


def printed(command):
    """The JSON that a process prints."""
    ended = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if ended.returncode != 0:
        sys.exit(f"{command[0]}: {ended.stderr.strip()}")
    return json.loads(ended.stdout)


def by_program(asked, seed):
    with tempfile.TemporaryDirectory() as folder:
        command = [PROGRAM, "train", "--json", "--data", asked.data, "--budget", asked.budget, "--seed", seed]
        adapter = [] if asked.device is None else ["--adapter", asked.device]
        return printed([*command, *adapter, "--out", Path(folder) / "run"])


def by_fresh_process(asked, seed):
    command = [sys.executable, __file__, "--data", asked.data, "--budget", asked.budget, "--one-fit", seed]
    return printed(command + ([] if asked.device is None else ["--device", asked.device]))


def shown(values):
    middle, least, most = statistics.median(values), min(values), max(values)
    return f"{middle:.3f} ({least:.3f} to {most:.3f})"


def main():
    asked = options()
    arrays = gpu_subset.load(asked.data)
    if asked.one_fit is not None:
        print(json.dumps(fitted(asked, arrays, asked.one_fit)))
        return
    ways = {
        "the program": lambda seed: by_program(asked, seed),
        "Python, a fresh process": lambda seed: by_fresh_process(asked, seed),
        "Python, a warm process": lambda seed: fitted(asked, arrays, seed),
    }
    training, all_ = ({name: [] for name in ways} for _ in range(2))
    for seed in range(-1, asked.rounds):
        weights = set()
        for name, way in ways.items():
            start = time.perf_counter()
            record = way(max(seed, 0))
            seconds = time.perf_counter() - start
            weights.add(record["weights_sha256"])
            if seed >= 0:
                training[name].append(record["wall_seconds"])
                all_[name].append(seconds)
        if len(weights) != 1:
            sys.exit(f"seed {max(seed, 0)}: not the same weights")
    print(f"{asked.data}, {asked.budget} epochs, {asked.rounds} rounds, {record['adapter']}\n")
    print("| | training, s | ratio | all, s | ratio |\n|---|---|---|---|---|")
    for name in ways:
        cells = [name]
        for seconds in (training, all_):
            ratios = [own / base for own, base in zip(seconds[name], seconds["the program"])]
            cells += [shown(seconds[name]), shown(ratios)]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
