#!/usr/bin/env python3
"""Stops runs at random moments with random signals, resumes them to the end, and compares them with ones never stopped.

    tools/signals.py target/release/gpu-subset [--count 500] [--seed 0] [--only NAME]

Of each configuration one run is left alone. Then COUNT others get KILL, TERM or INT at a moment drawn from the whole
run, its start and its end included; what is left is resumed, and every other time signalled again. A run has to come to
the same weights, the same steps.jsonl (times aside) and the same cost; what is told to stop has to end with code 130
within --limit seconds, unless it was complete by then; and nothing may be unreadable. Exits with 1 where one fails.
"""

import argparse
import collections
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

CONFIGURATIONS = {
    "sweep": "--budget 12 --seed 1",
    "adam, few": "--method adam --select --batch 8 --budget 2 --seed 2",
    "sgd, few": "--method sgd --select --batch 16 --budget 2 --seed 15",
    "sgd, screened": "--method sgd --select --screen on --batch 32 --budget 6 --held-out 1/10 --check-every 2",
    "augmented": "--augment crop=1,rotate=5,brightness --budget 8 --seed 3",
    "kfac": "--method kfac --seed 2 --subset 1/2 --subset-passes 20 --full-passes 4",
    "lbfgs": "--method lbfgs --subset 1/2 --subset-passes 40 --full-passes 8",
    "ncg": "--method ncg --subset 1/4 --subset-passes 40 --full-passes 8",
    "gauss-newton": "--method gauss-newton --schedule full --full-passes 30 --preconditioner kronecker",
    "growing": "--schedule growing --subset 40",
    # one iteration is most of it, and is stopped between two of its mini-batches
    "sweep, wide": "--model {wide} --budget 1.5 --seed 4",
}
WIDE = """
[[layer]]
kind = "dense"
units = 700
activation = "relu"

[[layer]]
kind = "dense"
units = 700
activation = "relu"

[[layer]]
kind = "dense"
"""
SIGNALS = {"KILL": signal.SIGKILL, "TERM": signal.SIGTERM, "INT": signal.SIGINT}
# a process that has not come to its own code yet ends as the system says
STARTING = 0.2


class Failure(Exception):
    """What a run did that it should not."""


class Program:
    """The program, and what became of the last process of it."""

    def __init__(self, binary):
        self.binary = binary
        self.code, self.said, self.seconds = None, "", 0.0

    def run(self, arguments, after=None, number=None):
        """Runs to the end, or signals after so many seconds; returns the seconds from the signal to the end."""
        with tempfile.TemporaryFile() as said:
            command = [self.binary, "train", "--no-autotune", *arguments]
            start = time.monotonic()
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said)
            signalled = None
            if after is not None:
                try:
                    process.wait(after)
                except subprocess.TimeoutExpired:
                    process.send_signal(number)
                    signalled = time.monotonic()
            self.code = process.wait()
            end = time.monotonic()
            said.seek(0)
            self.said = said.read().decode(errors="replace")
        self.seconds = end - start
        if "panicked" in self.said:
            raise Failure("a panic: " + self.said.strip())
        return None if signalled is None else end - signalled

    def failure(self, what):
        return Failure(f"{what}: code {self.code}: {self.said.strip().splitlines()[-1:]}")


def outcome(folder):
    """What two runs have to agree in."""
    with open(os.path.join(folder, "run.json"), encoding="utf-8") as file:
        record = json.load(file)
    with open(os.path.join(folder, "steps.jsonl"), encoding="utf-8") as file:
        steps = [json.loads(line) for line in file]
    for step in steps:
        del step["wall_seconds"]
    return {"steps": steps, **{key: record[key] for key in ("weights_sha256", "cost_epochs", "test_loss")}}


def signal_once(program, arguments, folder, seconds, rng, limit, row):
    """One process that is signalled at a random moment; whether the run is complete by then."""
    name = rng.choice(list(SIGNALS))
    after = rng.uniform(0, 1.05 * seconds)
    took = program.run(arguments, after, SIGNALS[name])
    is_complete = os.path.exists(os.path.join(folder, "run.json"))
    if took is None or (is_complete and program.code == 0):
        row["complete by then"] += 1
        if program.code != 0:
            raise program.failure("ended by itself")
        return True
    row[name] += 1
    expected = -SIGNALS[name] if name == "KILL" or after < STARTING and program.code < 0 else 130
    if program.code != expected:
        raise program.failure(f"{name} after {after:.3f} s")
    if name != "KILL":
        row["longest"] = max(row["longest"], took)
        if took > limit:
            raise Failure(f"{name} after {after:.3f} s: ended {took:.2f} s later")
    return is_complete


def try_one(program, options, folder, expected, seconds, rng, limit, row):
    """A run that is signalled one to three times, and gone on with to its end."""
    new = ["--out", folder, "--checkpoint-every", rng.choice(["0", "0.05", "30"]), *options]
    again = ["--resume", folder]
    has_begun = lambda: os.path.exists(os.path.join(folder, "config.toml"))
    is_complete = signal_once(program, new, folder, seconds, rng, limit, row)
    for _ in range(rng.choice([0, 0, 1, 2])):
        if not is_complete:
            row["resumed"] += 1
            is_complete = signal_once(program, again if has_begun() else new, folder, seconds, rng, limit, row)
    if not is_complete:
        row["resumed"] += 1
        program.run(again if has_begun() else new)
        if program.code != 0:
            raise program.failure("going on")
    found = outcome(folder)
    for key, value in expected.items():
        if found[key] != value:
            raise Failure(f"{key} differ from those of a run that was never stopped")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=CONFIGURATIONS)
    parser.add_argument("--limit", type=float, default=2.0)
    arguments = parser.parse_args()
    program, rng = Program(os.path.abspath(arguments.binary)), random.Random(arguments.seed)
    names = [arguments.only] if arguments.only else list(CONFIGURATIONS)
    rows = {name: collections.Counter() for name in names}
    failures, known = [], {}
    with tempfile.TemporaryDirectory() as scratch:
        wide = os.path.join(scratch, "wide.toml")
        with open(wide, "w", encoding="utf-8") as file:
            file.write(WIDE)
        for i in range(arguments.count):
            name = names[i % len(names)]
            options, folder = CONFIGURATIONS[name].format(wide=wide).split(), os.path.join(scratch, "run")
            if name not in known:
                program.run(["--out", folder, *options])
                known[name] = outcome(folder), program.seconds
                shutil.rmtree(folder)
            try:
                rows[name]["runs"] += 1
                try_one(program, options, folder, *known[name], rng, arguments.limit, rows[name])
            except (Failure, OSError, ValueError, KeyError) as failure:
                rows[name]["failed"] += 1
                failures.append(f"{name}, number {i}: {failure}")
                print(failures[-1], file=sys.stderr, flush=True)
            shutil.rmtree(folder, ignore_errors=True)
    columns = ["runs", "KILL", "TERM", "INT", "complete by then", "resumed", "failed"]
    print(f"{'':16}" + "".join(f"{column:>18}" for column in columns) + f"{'longest stop, s':>18}")
    for name, row in rows.items():
        print(f"{name:16}" + "".join(f"{row[column]:18}" for column in columns) + f"{row['longest']:18.2f}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
