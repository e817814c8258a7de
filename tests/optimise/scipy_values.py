"""Rows of the table minimised by SciPy, for the test that compares.

    pip install scipy==1.17.1
    python tests/optimise/scipy_values.py > tests/optimise/scipy_values.json
"""

import json

import numpy
import scipy
from scipy.optimize import minimize


def rosenbrock(x):
    u, v = x[1:] - x[:-1] ** 2, 1 - x[:-1]
    gradient = numpy.zeros_like(x)
    gradient[:-1] = -400 * x[:-1] * u - 2 * v
    gradient[1:] += 200 * u
    return numpy.sum(100 * u**2 + v**2), gradient


def uniform(seed):
    """`Uniform` in problem.rs"""
    while True:
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
        yield (seed >> 11) / 2**52 - 1


def logistic():
    random = uniform(7)
    examples, labels = [], []
    for _ in range(200):
        a = [next(random) * 2.0 ** (j - 4) for j in range(8)]
        examples.append(a)
        labels.append(numpy.sign(a[6] - a[7] + 0.3 + 2 * next(random)))
    examples, labels = numpy.array(examples), numpy.array(labels)

    def evaluate(x):
        p = 1 / (1 + numpy.exp(labels * (examples @ x)))  # of the wrong label
        loss = -numpy.mean(numpy.log(1 - p)) + 0.5e-2 * x @ x
        return loss, 1e-2 * x - (p * labels) @ examples / 200

    return evaluate


rows = [
    ("Rosenbrock, 2", rosenbrock, [-1.2, 1.0]),
    ("Rosenbrock, 10", rosenbrock, [0.0] * 10),
    ("Rosenbrock, 100", rosenbrock, [0.0] * 100),
    ("logistic regression", logistic(), [0.0] * 8),
]
methods = {
    "L-BFGS-B": {"maxcor": 20, "gtol": 1e-8, "ftol": 0, "maxfun": 10**5, "maxiter": 10**5},
    "CG": {"norm": 2, "gtol": 1e-8, "maxiter": 10**5},
}
runs = []
for row, function, start in rows:
    for method, options in methods.items():
        end = minimize(function, start, jac=True, method=method, options=options)
        runs.append({
            "row": row,
            "method": method,
            "evaluations": end.nfev,
            "loss": float(end.fun),
            "gradient_norm": float(numpy.linalg.norm(end.jac)),
            "minimiser": [round(x, 9) for x in end.x.tolist()],
        })
print('{"scipy": "%s", "runs": [\n%s\n]}' % (scipy.__version__, ",\n".join(map(json.dumps, runs))))
