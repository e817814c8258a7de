"""What the compiler says of each kernel, read from the file that null_gpu.c writes: a block a pipeline, with its label,
the driver's numbers and the assembly."""

import re
from collections import Counter
from dataclasses import dataclass, field

# Shaders that are products: of these it is asked how many of their instructions are multiply-adds.
PRODUCTS = ("block_product", "conv2d", "conv2d_grad_weight", "matmul", "matmul_grad_weight")

# Multiply-adds of a turn of a product, at least; where loops are unrolled as a whole there is no turn.
ENOUGH = 16


@dataclass
class Kernel:
    """A shader with its constants, as compiled for a family."""

    profile: str
    family: str
    shader: str
    constants: dict[str, int]
    numbers: dict[str, int]
    turn: Counter = field(default_factory=Counter)  # instructions of the hottest loop, by kind
    barriers: int = 0  # instructions in loops

    @property
    def label(self):
        return " ".join([self.shader, *(f"{name}={value}" for name, value in self.constants.items())])

    @property
    def vgprs(self):
        return self.numbers["VGPRs"]

    @property
    def waves(self):
        """Waves of 64 lanes that a SIMD holds at once: they hide each other's latency."""
        halves = 2 if self.family.startswith("navi") else 1  # RDNA's are counted in subgroups of 32
        return self.numbers["Subgroups per SIMD"] // halves

    @property
    def spilled(self):
        return self.numbers["Spilled VGPRs"] + self.numbers["Spilled SGPRs"]

    @property
    def scratch(self):
        return self.numbers["Scratch size"]

    @property
    def multiply_adds(self):
        """Of a turn and a lane: the first term of a sum is a multiplication, the others are fused."""
        return self.turn["fma"] + self.turn["mul"]

    @property
    def is_product(self):
        """In a loop, with outputs that share what is loaded: one alone, as of a depthwise convolution, has nothing to
        share, whatever a compiler makes of it."""
        outputs = self.constants.get("OUTPUTS", self.constants.get("CO"))
        return self.shader in PRODUCTS and bool(self.turn) and outputs != 1

    @property
    def useful(self):
        """Multiply-adds a vector instruction of a turn; 1 is ideal. Of products."""
        vector = sum(self.turn[kind] for kind in ("fma", "mul", "add", "vector"))
        return self.multiply_adds / vector if self.is_product else None

    @property
    def bytes_loaded(self):
        """From memory, by a lane's vector loads, a multiply-add. Of products."""
        return self.turn["bytes"] / self.multiply_adds if self.is_product else None


def read(path, profile, family):
    """The kernels of a file. One that was compiled twice counts once."""
    with open(path, errors="replace") as file:
        blocks = ("\n" + file.read()).split("\n@ ")[1:]
    kernels = [parse(block, profile, family) for block in blocks]
    return list({kernel.label: kernel for kernel in kernels}.values())


def parse(block, profile, family):
    label, _, rest = block.partition("\n")
    shader, constants = parse_label(label)
    numbers, _, assembly = rest.partition("\nBB0:")
    numbers = {name: int(value) for name, value in (line.rsplit(": ", 1) for line in numbers.splitlines())}
    loops = loops_of(assembly.splitlines())
    barriers = {at for loop in loops for at, (operation, _) in loop if kind(operation) == "barrier"}
    return Kernel(profile, family, shader, constants, numbers, hottest(loops), len(barriers))


def parse_label(label):
    """matmul INPUTS=8 CO=10"""
    shader, *constants = label.split()
    return shader, {name: int(value) for name, value in (constant.split("=") for constant in constants)}


def loops_of(lines):
    """The loops of a program, which overlap: what stands between a label and a jump back to it, numbered."""
    labels, instructions, loops = {}, [], []
    for line in lines:
        if line.startswith("BB"):
            labels[line.split(":")[0]] = len(instructions)
        elif line.startswith("\t"):
            operation, _, operands = line.split(";")[0].strip().partition(" ")
            instructions.append((len(instructions), (operation, operands)))
            start = labels.get(operands) if operation.startswith(("s_cbranch", "s_branch")) else None
            if start is not None:
                loops.append(instructions[start:])
    return loops


def hottest(loops):
    """Instructions by kind of the innermost loop over a product: the deepest that has enough multiply-adds, and of
    these the one with the most. An activation after the product may have more, but is not as deep."""
    counted = [(depth(loop, loops), kinds(loop)) for loop in loops]
    enough = [(deep, turn["fma"] + turn["mul"], turn) for deep, turn in counted if turn["fma"] + turn["mul"] >= ENOUGH]
    return max(enough, key=lambda loop: loop[:2], default=(0, 0, Counter()))[2]


def depth(loop, loops):
    return sum(other[0][0] <= loop[0][0] and loop[-1][0] <= other[-1][0] for other in loops)


def kinds(loop):
    counts = Counter()
    for _, (operation, operands) in loop:
        counts[kind(operation)] += 1
        if "::" in operands:  # two instructions in one, on RDNA3
            counts[kind(operands.split("::")[1].strip())] += 1
        if kind(operation) == "load":
            counts["bytes"] += loaded_bytes(operation)
    return counts


FLOATS = {"mul_f": "mul", "add_f": "add", "sub_f": "add", "subrev_f": "add"}


def kind(operation):
    if operation.startswith("v_"):
        name = operation.removeprefix("v_").removeprefix("dual_")
        if re.match(r"(fma|fmac|fmaak|fmamk|mac|mad|madak|madmk)_(legacy_)?f32", name):
            return "fma"
        return FLOATS.get(name.partition("32")[0], "vector")
    if operation.startswith(("global_load", "buffer_load", "flat_load")):
        return "load"
    return "barrier" if operation == "s_barrier" else "other"


def loaded_bytes(operation):
    """buffer_load_dwordx4, buffer_load_b128"""
    words = re.search(r"_dword(?:x(\d))?$|_b(\d+)$", operation)
    if not words:
        return 4
    return int(words[2]) // 8 if words[2] else 4 * int(words[1] or 1)
