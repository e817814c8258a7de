"""What a training recorded and submitted, read from the trace that null_gpu.c writes, and cut into steps."""

from collections import Counter
from dataclasses import dataclass
from statistics import mean, median

from compiled import parse_label
from names import short

# The kernel that ends a step of a sweep, once a step.
LAST = "natural_update"


@dataclass
class Training:
    name: str
    pipelines: dict[int, str]  # labels
    compiled_in: float  # seconds, of all threads together
    steps: list[Counter]  # from the end of one to the end of the next; the first, which compiles, left out
    dispatched: list[list[tuple]]  # of each: (pipeline, workgroups)

    def median(self, what):
        return median(step[what] for step in self.steps)

    def mean(self, what):
        return mean(step[what] for step in self.steps)

    def ordinary_step(self):
        """(kernel, workgroups) of a step with the usual number of dispatches."""
        usual = min(range(len(self.steps)), key=lambda i: abs(self.steps[i]["dispatches"] - self.median("dispatches")))
        names = {pipeline: short(*parse_label(label)) for pipeline, label in self.pipelines.items()}
        return [(names[pipeline], groups) for pipeline, groups in self.dispatched[usual]]


def read(path, name):
    pipelines, compiled_in = {}, 0.0
    steps, dispatched, step, of_step, now, start = [], [], Counter(), [], 0.0, 0.0
    with open(path) as file:
        for line in file:
            event, *rest = line.split(maxsplit=3)
            if event == "P":
                pipelines[int(rest[0])] = rest[2].strip()
                compiled_in += float(rest[1])
            elif event in "DI":
                pipeline = int(rest[0])
                groups = " × ".join(" ".join(rest[1:]).split()) if event == "D" else "as many as are kept"
                of_step.append((pipeline, groups))
                step["dispatches"] += 1
                if pipelines[pipeline].startswith(LAST):
                    step["seconds"] = now - start
                    steps.append(step)
                    dispatched.append(of_step)
                    step, of_step, start = Counter(), [], now
            elif event == "B":
                step["barriers"] += 1
            elif event == "C":
                step["copies"] += 1
            elif event == "S":
                step["submissions"] += 1
                now = float(rest[0])
    return Training(name, pipelines, compiled_in, steps[1:], dispatched[1:])
