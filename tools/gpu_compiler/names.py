"""Kernels in short: what is computed, then the tile. Constants that follow from these are left out."""

LAYOUT = {"LANES", "ROWS", "WIDTH", "BLOCK", "EACH", "SIXTEENS", "PIXELS", "FIRST", "ROW", "ROW_LOADS"}


def short(shader, constants):
    c = constants
    if shader in ("conv2d", "matmul"):
        task = "to input" if is_backward(shader, c) else "jvp" if c["SOURCES"] == 2 else "forward"
        return f"{shader} {task} {shape(shader, c)} ({c['OUTPUTS']}×{c['PIXELS']})"
    if shader in ("conv2d_grad_weight", "matmul_grad_weight"):
        gram = " factor" if c.get("GRAM") else ""
        return f"{shader}{gram} {shape(shader, c)} ({c['LINES']}·{c['QUADS']})"
    if shader == "block_product":
        return f"{shader} ({c['OUTPUTS']})"
    return " ".join([shader, *(f"{name.lower()}={c[name]}" for name in c if name not in LAYOUT)])


def is_backward(shader, c):
    """A dense layer's gradient to its input is a product like any other, but has no bias."""
    return c["BACKWARD"] == 1 if shader == "conv2d" else c["BIAS"] == 0


def shape(shader, c):
    if shader.startswith("matmul"):
        return f"{c['INPUTS']}→{c['CO']}"
    stride = max(c["STRIDE"], c.get("PHASES", 1))
    return f"{c['CI']}→{c['CO']} @{c['H']} {c['SIZE']}×{c['SIZE']}/{stride}"
