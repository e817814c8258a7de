"""Tables for reading: kernels of a family, and a step of a training."""

from statistics import median

from names import short

COLUMNS = ("VGPRs", "waves", "spilled", "scratch", "LDS", "code", "useful", "B/MAC", "barriers", "latency", "inverse")


def kernels(kernels, wanted):
    """A row for all kernels of one short name, with the worst of them, and how many they are."""
    rows = {}
    for kernel in kernels:
        name = short(kernel.shader, kernel.constants)
        if wanted in name:
            rows.setdefault(name, []).append(kernel)
    width = max(map(len, rows), default=0)
    lines = [f"{'kernel':{width}}   n " + " ".join(f"{column:>8}" for column in COLUMNS)]
    for name, row in sorted(rows.items()):
        lines.append(f"{name:{width}} {len(row):>3} " + " ".join(f"{cell:>8}" for cell in cells(row)))
    return "\n".join(lines)


def cells(row):
    def most(number):
        return max(kernel.numbers[number] for kernel in row)

    useful = [kernel.useful for kernel in row if kernel.useful is not None]
    loaded = [kernel.bytes_loaded for kernel in row if kernel.bytes_loaded is not None]
    return (
        max(kernel.vgprs for kernel in row),
        min(kernel.waves for kernel in row),
        max(kernel.spilled for kernel in row),
        max(kernel.scratch for kernel in row),
        most("LDS size"),
        most("Code size"),
        f"{min(useful):.2f}" if useful else "",
        f"{max(loaded):.2f}" if loaded else "",
        max(kernel.barriers for kernel in row),
        f"{most('Latency') / 1e3:.1f}k",
        f"{most('Inverse Throughput') / 1e3:.1f}k",
    )


def products(kernels):
    """A line a shader that is a product: the least waves and useful, and the median of the latter."""
    lines = []
    for shader in sorted({kernel.shader for kernel in kernels if kernel.useful is not None}):
        of_shader = [kernel for kernel in kernels if kernel.shader == shader]
        useful = [kernel.useful for kernel in of_shader if kernel.useful is not None]
        waves = f"waves {min(kernel.waves for kernel in of_shader)}"
        useful = f"useful {min(useful):.2f}, median {median(useful):.2f}"
        lines.append(f"  {shader:18} {len(of_shader):>3} kernels, {waves}, {useful}")
    return "\n".join(lines)


def step(training):
    t = training
    return (
        f"{t.name}: {len(t.steps)} steps; a step, median and mean (looks included): "
        f"{t.median('dispatches'):.0f} and {t.mean('dispatches'):.1f} dispatches, "
        f"{t.median('barriers'):.0f} and {t.mean('barriers'):.1f} barriers, "
        f"{t.median('submissions'):.0f} and {t.mean('submissions'):.1f} submissions, "
        f"{1e6 * t.median('seconds'):.0f} and {1e6 * t.mean('seconds'):.0f} µs of host time; "
        f"{len(t.pipelines)} pipelines, compiled in {t.compiled_in:.2f} s of CPU time"
    )


def dispatches(training):
    """An ordinary step: its dispatches, with workgroups."""
    rows = training.ordinary_step()
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"  {name:{width}}  {groups}" for name, groups in rows)
