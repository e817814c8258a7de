"""Tables of what gpu_compiler.sh had compiled and recorded, or whether that is within the limits.

report.py FOLDER [--check] [--kernel NAME]: FOLDER holds PROFILE.FAMILY.kernels, NAME.trace and mesa (a version)."""

import argparse
import sys
from pathlib import Path

import compiled
import gate
import table
import trace

# The profile that trainings have on AMD's hardware.
TRAINED = "scalar"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--kernel", default="")
    options = parser.parse_args()
    limits = gate.limits()
    mesa = (options.folder / "mesa").read_text().strip()
    if mesa != limits["mesa"]:
        print(f"The limits are of Mesa {limits['mesa']}; this is {mesa}, whose compiler takes other registers.")

    worse, judged = [], []
    for path in sorted(options.folder.glob("*.kernels")):
        profile, family = path.stem.split(".")
        kernels = compiled.read(path, profile, family) or sys.exit(f"error: {path.name} names no kernel")
        print(f"\n{profile} on {family}, Mesa {mesa}: {len(kernels)} kernels")
        print(table.products(kernels) if options.check else table.kernels(kernels, options.kernel))
        worse += gate.of_kernels(limits, kernels)
        judged += [kernel for kernel in kernels if kernel.profile == TRAINED]
    for path in sorted(options.folder.glob("*.trace")):
        training = trace.read(path, path.stem)
        if not training.steps:
            sys.exit(f"error: {path.name} has no whole step: none ends with {trace.LAST}")
        print("\n" + table.step(training))
        if not options.check:
            print(table.dispatches(training))
        worse += gate.of_training(limits["trainings"].get(path.stem, {}), training)
        worse += gate.unjudged(training, judged) if judged else []
    if not options.check:
        return
    for violation in worse:
        print(f"error: {violation}", file=sys.stderr)
    if worse:
        print(f"error: {len(worse)} figures are beyond {gate.LIMITS.name}, of Mesa {limits['mesa']}", file=sys.stderr)
        sys.exit(1)
    print(f"\nall within {gate.LIMITS.name}")


if __name__ == "__main__":
    main()
