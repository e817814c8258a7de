#!/usr/bin/env python3
"""Fails each file operation of a run, one at a time, and goes on with what is left.

    python tools/disk_faults.py [--binary target/release/gpu-subset] [--every N]

Needs Linux and a C compiler. A run on the digits (a new one, one that is resumed, one that replaces another) is made
once undisturbed, and its operations on files of its folder are counted: creating, opening, writing, syncing, renaming,
removing. Then, for each of them and each fault (no room, no room from then on, an I/O error, half of a write), it is
made again with that fault. Afterwards has to hold:

    the exit code is documented, and a code other than 0 comes with one line on stderr
    no .partial is left
    weights that were there are there, or those of the new run
    what is left goes on with --resume, or starts again, to the same weights and the same steps.jsonl, times aside
"""

import argparse
import collections
import errno
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
TRAIN = ["train", "--method", "lbfgs", "--schedule", "full", "--full-passes", "4"]
TRAIN += ["--checkpoint-every", "0", "--no-autotune"]
OTHER_SEED = ["--seed", "1"]
NEEDS_ROOM = {"create", "write", "mkdir"}
CODES = {0, 1, 3}


def faults(operation):
    """Kind and whether it stays, for an operation by name."""
    yield str(errno.EIO), False
    if operation in NEEDS_ROOM | {"fsync", "fdatasync", "rename"}:
        yield str(errno.ENOSPC), False
    if operation in NEEDS_ROOM:
        yield str(errno.ENOSPC), True
    if operation == "write":
        yield "short", False
        yield "short", True


class Bench:
    def __init__(self, binary, shim, folder):
        self.binary, self.shim, self.folder = binary, shim, folder
        self.run = folder / "run"

    def command(self, arguments, **fault):
        environment = {**os.environ, "NODEVICE_SELECT": "1"}
        if fault:
            environment |= {"LD_PRELOAD": str(self.shim), "FAULT_DIR": str(self.run), **fault}
        return subprocess.run([self.binary, *arguments], env=environment, capture_output=True, text=True)

    def train(self, *options, **fault):
        return self.command([*TRAIN, "--out", str(self.run), *options], **fault)

    def resume(self, **fault):
        return self.command(["train", "--resume", str(self.run), "--no-autotune"], **fault)

    def result(self, folder=None):
        """Digest of the weights, and the steps without their times; none where the run is not complete."""
        folder = folder or self.run
        names = ["config.toml", "steps.jsonl", "weights.safetensors", "run.json"]
        if not all((folder / name).exists() for name in names):
            return None
        digest = json.loads((folder / "run.json").read_text())["weights_sha256"]
        steps = [json.loads(line) for line in (folder / "steps.jsonl").read_text().splitlines()]
        return digest, [{**step, "wall_seconds": None} for step in steps]

    def put(self, source):
        shutil.rmtree(self.run, ignore_errors=True)
        if source:
            shutil.copytree(source, self.run)


def sure(output):
    if output.returncode != 0:
        sys.exit(f"an undisturbed run failed: {output.stderr}")


def check(bench, output, expected, old):
    """What is wrong after a fault, if anything is."""
    lines = [line for line in output.stderr.splitlines() if line.startswith("error: ")]
    if output.returncode not in CODES or len(lines) != (output.returncode != 0) or "panicked" in output.stderr:
        return f"ended with {output.returncode}: {output.stderr}"
    partial = list(bench.run.rglob("*.partial")) if bench.run.exists() else []
    if partial:
        return f"left {partial}"
    if old:
        kept = [folder for folder in (bench.run, bench.run / "replaced") if (folder / "weights.safetensors").exists()]
        if not any((folder / "weights.safetensors").read_bytes() in old for folder in kept):
            return "the weights that were there are lost"
    if bench.result() != expected:
        has_checkpoint = any(bench.run.glob("checkpoint*.safetensors"))
        again = bench.resume() if has_checkpoint else bench.train("--overwrite")
        if again.returncode != 0:
            return f"cannot go on: {again.stderr}\nafter: {output.stderr}"
    if bench.result() != expected:
        return "went on to other weights or steps"
    return None


def scenario(bench, name, source, act, expected, old, every):
    log = bench.folder / "log"
    log.unlink(missing_ok=True)
    bench.put(source)
    sure(act(FAULT_LOG=str(log), FAULT_AT="0", FAULT_KIND="0"))
    operations = [line.split(" ", 2) for line in log.read_text().splitlines()]
    counts, failures, codes = collections.Counter(), 0, collections.Counter()
    for number, operation, path in operations[::every]:
        for kind, stays in faults(operation):
            bench.put(source)
            output = act(FAULT_AT=number, FAULT_KIND=kind, FAULT_STAYS=str(int(stays)))
            counts[operation] += 1
            codes[output.returncode] += 1
            why = check(bench, output, expected, old)
            if why:
                failures += 1
                print(f"{name}: {operation} {path} ({kind}, stays {stays}): {why}", flush=True)
    found = ", ".join(f"{operation} {count}" for operation, count in sorted(counts.items()))
    ends = ", ".join(f"{code}: {count}" for code, count in sorted(codes.items()))
    print(f"{name}: {len(operations)} operations, {sum(counts.values())} faults ({found}); exit codes {ends}; "
          f"{failures} not as they should be", flush=True)
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=HERE.parent / "target/release/gpu-subset")
    parser.add_argument("--every", type=int, default=1, help="of the operations, every so many")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        shim = folder / "faults.so"
        compiler = os.environ.get("CC", "cc")
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", shim, HERE / "disk_faults.c", "-ldl", "-pthread"],
                       check=True)
        bench = Bench(pathlib.Path(arguments.binary).resolve(), shim, folder)

        sure(bench.train(*OTHER_SEED))
        shutil.copytree(bench.run, folder / "old")
        bench.put(None)
        sure(bench.train())
        expected = bench.result()
        weights = [(at / "weights.safetensors").read_bytes() for at in (folder / "old", bench.run)]
        # a run that ended in the middle: its disk was full
        bench.put(None)
        log = folder / "log"
        sure(bench.train(FAULT_LOG=str(log), FAULT_AT="0", FAULT_KIND="0"))
        half = len(log.read_text().splitlines()) // 2
        bench.put(None)
        if bench.train(FAULT_AT=str(half), FAULT_KIND=str(errno.ENOSPC), FAULT_STAYS="1").returncode != 1:
            sys.exit("a full disk did not stop the run")
        shutil.copytree(bench.run, folder / "stopped")

        print(f"{len(expected[1])} steps, a checkpoint after each")
        failures = scenario(bench, "a new run", None, bench.train, expected, None, arguments.every)
        failures += scenario(bench, "resumed", folder / "stopped", bench.resume, expected, None, arguments.every)
        replacing = lambda **fault: bench.train("--overwrite", **fault)
        failures += scenario(bench, "replacing", folder / "old", replacing, expected, weights, arguments.every)
        sys.exit(failures > 0)


if __name__ == "__main__":
    main()
