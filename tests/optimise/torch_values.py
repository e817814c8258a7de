"""Three updates of Adam and of SGD by PyTorch, for the test that compares.

    pip install torch==2.15.0
    python tests/optimise/torch_values.py > tests/optimise/torch_values.json
"""

import json

import torch

EXAMPLES, FEATURES, BATCH, HORIZON, RATE = 75, 5, 25, 9, 0.1
RULES = {
    "Adam": lambda x: torch.optim.Adam([x], lr=RATE),
    "Adam, other choices": lambda x: torch.optim.Adam([x], lr=RATE, betas=(0.8, 0.95), eps=1e-2),
    "SGD": lambda x: torch.optim.SGD([x], lr=RATE, momentum=0.9),
    "SGD, Nesterov": lambda x: torch.optim.SGD([x], lr=RATE, momentum=0.9, nesterov=True),
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
    x = torch.zeros(FEATURES, dtype=torch.float64, requires_grad=True)
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
