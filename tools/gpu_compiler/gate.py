"""What is worse than limits.toml allows."""

import sys
import tomllib
from pathlib import Path
from statistics import median

from compiled import parse_label

# What is limited of kernels, and of a training. Waves and useful shares are to be at least so much, the rest at most.
OF_KERNELS = ("spilled", "scratch", "waves", "useful", "useful_median")
AT_LEAST = ("waves", "useful", "useful_median")
OF_TRAININGS = ("dispatches", "submissions", "mean_dispatches", "mean_submissions", "pipelines")

LIMITS = Path(__file__).parent / "limits.toml"


class BadTable(Exception):
    """It limits something that nobody looks at."""


def limits():
    """The table of limits; a bad one ends the program."""
    try:
        table = tomllib.loads(LIMITS.read_text())
        check_names(table)
    except (tomllib.TOMLDecodeError, BadTable) as why:
        sys.exit(f"error: {LIMITS.name}: {why}")
    return table


def check_names(table):
    for profile, shaders in table["kernels"].items():
        for shader, limited in shaders.items():
            check(limited, OF_KERNELS, f"kernels.{profile}.{shader}")
    for name, limited in table["trainings"].items():
        check(limited, (*OF_TRAININGS, "data", "budget"), f"trainings.{name}")


def check(limited, known, where):
    for name in limited:
        if name not in known:
            raise BadTable(f"{where} limits {name}, which is none of {', '.join(known)}")


def of_kernels(table, kernels):
    """Violations by the kernels of one profile and family, a line each."""
    profile, family = kernels[0].profile, kernels[0].family
    shaders = table["kernels"][profile]
    known = {kernel.shader for kernel in kernels}
    for shader in sorted(shaders.keys() - known - {"every"}):
        yield f"{profile}, {family}: limits.toml names {shader}, which is not in use"
    for kernel in kernels:
        limited = {**shaders["every"], **shaders.get(kernel.shader, {})}
        for name in ("spilled", "scratch", "waves", "useful"):
            found = getattr(kernel, name)
            if name in limited and counts(table, name, family) and found is not None:
                yield from violation(name, found, limited[name], f"{profile}, {family}: {kernel.label}")
    for shader in sorted(known & shaders.keys()):
        useful = [kernel.useful for kernel in kernels if kernel.shader == shader and kernel.useful is not None]
        if "useful_median" in shaders[shader] and counts(table, "useful_median", family):
            at = f"{profile}, {family}: all {len(useful)} {shader} with a loop over a product"
            found = median(useful) if useful else 0.0
            yield from violation("useful_median", found, shaders[shader]["useful_median"], at)


def counts(table, name, family):
    """Waves and useful shares are of the families that the table names."""
    return name not in AT_LEAST or family in table["families"]


def unjudged(training, kernels):
    """Kernels that a training used and the compiler was not asked about. How many examples there are is no matter."""

    def key(shader, constants):
        return shader, tuple(sorted(item for item in constants.items() if item[0] != "EXAMPLES"))

    judged = {key(kernel.shader, kernel.constants) for kernel in kernels}
    for label in training.pipelines.values():
        if key(*parse_label(label)) not in judged:
            yield f"{training.name} uses what tests/common/in_use.rs does not record: {label}"


def of_training(limited, training):
    found = {
        "dispatches": training.median("dispatches"),
        "submissions": training.median("submissions"),
        "mean_dispatches": training.mean("dispatches"),
        "mean_submissions": training.mean("submissions"),
        "pipelines": len(training.pipelines),
    }
    for name in OF_TRAININGS:
        if name in limited:
            yield from violation(name, found[name], limited[name], training.name)


def violation(name, found, limit, at):
    """Nothing, or a line. Figures are compared as they are written."""
    found = round(found, 2)
    if name in AT_LEAST and found < limit:
        yield f"{at}: {name} {found}, at least {limit}"
    if name not in AT_LEAST and found > limit:
        yield f"{at}: {name} {found}, at most {limit}"


if __name__ == "__main__":  # the trainings to run: NAME DATA BUDGET
    for name, training in limits()["trainings"].items():
        print(name, training["data"], training["budget"])
