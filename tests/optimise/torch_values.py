"""Three updates of Adam, of SGD and of Muon by PyTorch, for the test that compares.

    pip install torch==2.15.0
    python tests/optimise/torch_values.py > tests/optimise/torch_values.json
"""

import json

import torch

EXAMPLES, FEATURES, BATCH, HORIZON, RATE = 75, 5, 25, 9, 0.1
START = [0.5, -0.25, 0.5, 1.0, -0.75]


class Muon:
    """kellerjordan.github.io/posts/muon with Nesterov's momentum, in f64, for x[1:] as a 2 x 2 matrix; Adam for x[0].
    Steps are as long as the matrix was at first, over the root of its shorter side."""

    def __init__(self, x, hold):
        self.x, self.hold, self.velocity = x, hold, torch.zeros(2, 2, dtype=torch.float64)
        self.first = self.matrix().norm()
        self.other = x.detach()[:1].clone().requires_grad_()
        self.adam = torch.optim.Adam([self.other], lr=RATE)
        self.param_groups = self.adam.param_groups

    def matrix(self):
        return self.x.detach()[1:].reshape(2, 2)

    def zero_grad(self):
        self.x.grad = None

    def step(self):
        gradient = self.x.grad[1:].reshape(2, 2)
        self.velocity = 0.9 * self.velocity + gradient
        ahead = gradient + 0.9 * self.velocity
        o = ahead / ahead.norm()
        for _ in range(5):
            s = o @ o.T
            o = 3.4445 * o + (-4.7750 * s + 2.0315 * s @ s) @ o
        moved = self.matrix() - self.param_groups[0]["lr"] * self.first / 2**0.5 * o
        if self.hold:
            moved = moved * self.first / moved.norm()
        self.other.grad = self.x.grad[:1]
        self.adam.step()
        with torch.no_grad():
            self.x[1:] = moved.flatten()
            self.x[:1] = self.other


RULES = {
    "Adam": lambda x: torch.optim.Adam([x], lr=RATE),
    "Adam, other choices": lambda x: torch.optim.Adam([x], lr=RATE, betas=(0.8, 0.95), eps=1e-2),
    "SGD": lambda x: torch.optim.SGD([x], lr=RATE, momentum=0.9),
    "SGD, Nesterov": lambda x: torch.optim.SGD([x], lr=RATE, momentum=0.9, nesterov=True),
    "Muon": lambda x: Muon(x, False),
    "Muon, held": lambda x: Muon(x, True),
}


def uniform(seed):
    """`Uniform` in problem.rs"""
    while True:
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
        yield (seed >> 11) / 2**52 - 1


def examples():
    """`Regression::new` in regression.rs"""
    random = uniform(11)
    features, targets = [], []
    for _ in range(EXAMPLES):
        a = [next(random) for _ in range(FEATURES)]
        features.append(a)
        targets.append(a[0] - 2 * a[1] + 0.5 * a[4] + 0.5 * next(random))
    return torch.tensor(features, dtype=torch.float64), torch.tensor(targets, dtype=torch.float64)


features, targets = examples()
runs = []
for rule, make in RULES.items():
    x = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    optimiser = make(x)
    parameters, losses = [], []
    for update in range(3):
        batch = slice(update * BATCH, (update + 1) * BATCH)
        optimiser.param_groups[0]["lr"] = RATE * (1 - update / HORIZON)
        optimiser.zero_grad()
        loss = 0.5 * torch.mean((features[batch] @ x - targets[batch]) ** 2)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        parameters.append(x.tolist())
    runs.append(dict(rule=rule, losses=losses, parameters=parameters))
print(f'{{"torch": {json.dumps(torch.__version__)}, "runs": [')
print(",\n".join(map(json.dumps, runs)))
print("]}")
