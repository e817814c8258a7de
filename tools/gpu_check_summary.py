#!/usr/bin/env python3
"""tools/gpu_check_summary.py OUT: the figures of tools/gpu_check.sh as a table, printed, and in OUT/summary.md."""
import json
import pathlib
import re
import statistics
import sys

out = pathlib.Path(sys.argv[1])


def find(name):
    return next(iter(sorted(out.glob(f"[0-9][0-9]-{name}"))), None)


def load(name):
    """A part's JSON, or nothing where it did not come to it."""
    path = find(f"{name}.json")
    try:
        return json.loads(path.read_text())
    except (AttributeError, ValueError):
        return None


def devices():
    for adapter in load("devices") or []:
        yield f"{adapter['name']}, {adapter['driver']} ({adapter['class']})"
        break


def doctor():
    if found := load("doctor"):
        right = "all right" if found["is_ok"] else "NOT all right"
        yield f"{len(found['checks'])} checks, {right}, in {found['seconds']:.1f} s"
        yield re.sub(r"\s+", " ", found["profile"])


def kernel_tests():
    if path := find("kernel-tests.txt"):
        text = path.read_text()
        failed = sorted(set(re.findall(r"^test (\S+) \.\.\. FAILED", text, re.M)))
        total = re.search(r"running (\d+) tests", text)
        yield f"{len(re.findall(r' ok$', text, re.M))} of {total[1] if total else '?'} passed, {len(failed)} failed"
        yield from (f"FAILED {name}" for name in failed)


def start(name):
    run, first = load(name), load(f"{name}.first")
    if run and first:
        yield (f"first steps after {first['to_first_record']:.2f} s, "
               f"{first['before_training']:.2f} s of these before the training; training {run['wall_seconds']:.2f} s")


def sweep(name):
    if times := (load(name) or {}).get("sweep"):
        yield (f"subsets of {times['subset']}: {1e3 * times['seconds']:.3f} ms a step; "
               f"{times['dispatches']:.1f} dispatches, {1e3 * times['of_dispatches']:.3f} ms by themselves; most: " +
               ", ".join(f"{row['kernel']} {1e6 * row['of_step']:.0f} us" for row in times["rows"][:3]))


def kernels(name):
    if table := (load(name) or {}).get("kernels"):
        ceiling, shares = table["ceiling"], [row["of_arithmetic"] for row in table["rows"]]
        yield (f"{table['variant']}: ceilings {ceiling['gflops']:.0f} GF/s, {ceiling['gbytes']:.0f} GB/s; "
               f"share of arithmetic: median {statistics.median(shares):.0%}, {min(shares):.0%} to {max(shares):.0%}; "
               f"largest error {max(row['error'] for row in table['rows']):.0e}")


def objective():
    for row in (load("objective") or {}).get("objective") or []:
        if row["pass"] == "gradient":
            yield (f"{row['model']} gradient of {row['examples']}: {1e3 * row['seconds']:.2f} ms, "
                   f"{row['gflops']:.0f} GF/s, first {1e3 * row['first']:.0f} ms")


def factors():
    for step in (load("factors") or {}).get("factors") or []:
        yield f"{step['name']}: {1e3 * step['seconds']:.2f} ms"


def runs(records):
    if records:
        accuracy, cost, seconds = ([run[key] for run in records] for key in ("test_accuracy", "cost_epochs", "seconds"))
        yield (f"{len(records)} seeds: {100 * statistics.mean(accuracy):.2f}% ({100 * min(accuracy):.2f} to "
               f"{100 * max(accuracy):.2f}), cost {statistics.mean(cost):.2f}, {statistics.median(seconds):.2f} s "
               f"({min(seconds):.2f} to {max(seconds):.2f})")


def trainings(name):
    records = filter(None, (load(f"{name}-{seed}") for seed in range(3)))
    yield from runs([{**run, "seconds": run["wall_seconds"]} for run in records])


def adam(name):
    """A line a seed, so that those before a cut count."""
    records = []
    for line in (path.read_text().splitlines() if (path := find(f"{name}.jsonl")) else []):
        try:
            records.append(json.loads(line))
        except ValueError:  # the cut
            break
    yield from runs(records)


def lines_of(name):
    if name.startswith("sweep-"):
        return sweep(name)
    if name.startswith("kernels"):
        return kernels(name)
    if name.startswith("adam-"):
        return adam(name)
    if name in ("cold", "warm", "tuning"):
        return start(name)
    if re.fullmatch(r"(mnist|cifar-10)-0", name):
        return trainings(name[:-2])
    of = {"devices": devices, "doctor": doctor, "kernel-tests": kernel_tests, "objective": objective,
          "factors": factors}
    return of.get(name, lambda: [])()


def why(number, name, result):
    """What a part that failed said last; of one that was cut it is only that."""
    path = out / f"{number}-{name}.err"
    said = path.read_text().strip().splitlines() if result not in ("ok", "cut") and path.exists() else []
    errors = [line for line in said if "rror" in line] or said
    return errors[-1:]


def table():
    bundle = pathlib.Path(__file__).parent.parent / "BUNDLE"
    yield from ["# GPU check", "", *([bundle.read_text().strip(), ""] if bundle.exists() else [])]
    yield from ["| part | result | s | |", "|---|---|---|---|"]
    for line in (out / "status.tsv").read_text().splitlines():
        number, name, result, seconds = line.split("\t")
        said = [*lines_of(name), *why(number, name, result)]
        cell = "<br>".join(said).replace("|", "\\|")
        yield f"| {number} {name} | {result} | {seconds} | {cell} |"


text = "\n".join(table()) + "\n"
(out / "summary.md").write_text(text)
print(text, end="")
