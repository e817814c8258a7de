"""SubsetClassifier beside MLPClassifier: the same layers, both tuned by a grid, then fitted in turns.

    python python/benchmarks/mlp.py [--data digits] [--layers 64 64] [--seeds 3] [--examples 5000]

Prints a table in Markdown: test accuracy and seconds of a fit, median and range over the seeds. The grids are searched
by three-fold cross-validation on the training part, of at most --examples. Fits follow each other in one process, after
a first one of ours that compiles the kernels; MLPClassifier computes on the CPU, ours on the device that is named.
"""

import argparse
import statistics
import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import gpu_subset


def rivals(layers, device):
    """Each with the grid that it is tuned over."""

    def mlp(solver):
        return make_pipeline(StandardScaler(), MLPClassifier(layers, solver=solver, max_iter=200))

    of_adam = {
        "mlpclassifier__alpha": [1e-4, 1e-2, 1.0, 10.0],
        "mlpclassifier__learning_rate_init": [1e-3, 1e-2],
        "mlpclassifier__max_iter": [20, 100],
    }
    of_lbfgs = {"mlpclassifier__alpha": [1e-4, 1e-2, 1.0, 10.0], "mlpclassifier__max_iter": [20, 100]}
    ours = gpu_subset.SubsetClassifier(list(layers), device=device)
    of_ours = {"budget": [3, 10, 30, 100], "weight_decay": [1e-4, 2e-3, 1e-2]}
    return {
        "SubsetClassifier": (ours, of_ours),
        "MLPClassifier, adam": (mlp("adam"), of_adam),
        "MLPClassifier, lbfgs": (mlp("lbfgs"), of_lbfgs),
    }


def seeded(estimator, seed):
    """The same with a seed, whatever it is wrapped in."""
    name = next(name for name in estimator.get_params() if name.endswith("random_state"))
    return estimator.set_params(**{name: seed})


def shown(values, digits):
    middle, least, most = statistics.median(values), min(values), max(values)
    return f"{middle:.{digits}f} ({least:.{digits}f} to {most:.{digits}f})"


def main():
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--data", default="digits")
    asked.add_argument("--layers", type=int, nargs="+", default=[64, 64])
    asked.add_argument("--seeds", type=int, default=3)
    asked.add_argument("--examples", type=int, default=5000)
    asked.add_argument("--device")
    asked = asked.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)

    X, y, X_test, y_test = gpu_subset.load(asked.data)
    X, X_test = (part.reshape(len(part), -1).astype(np.float32) for part in (X, X_test))
    few = np.random.default_rng(0).permutation(len(X))[: asked.examples]
    tuned = {}
    for name, (estimator, grid) in rivals(tuple(asked.layers), asked.device).items():
        search = GridSearchCV(seeded(estimator, 0), grid, cv=3, refit=False).fit(X[few], y[few])
        tuned[name] = estimator.set_params(**search.best_params_)
        print(f"{name}: {search.best_params_}, {search.best_score_:.4f} in cross-validation")

    seconds, accuracy = ({name: [] for name in tuned} for _ in range(2))
    tuned["SubsetClassifier"].fit(X, y)  # compiles
    for seed in range(asked.seeds):
        for name, estimator in tuned.items():
            start = time.perf_counter()
            seeded(estimator, seed).fit(X, y)
            seconds[name].append(time.perf_counter() - start)
            accuracy[name].append(100 * estimator.score(X_test, y_test))

    print(f"\n{asked.data}, layers {asked.layers}, {len(X)} examples, {gpu_subset.devices()[0]['name']}\n")
    print("| | test accuracy, % | seconds |\n|---|---|---|")
    for name in tuned:
        print(f"| {name} | {shown(accuracy[name], 2)} | {shown(seconds[name], 2)} |")


if __name__ == "__main__":
    main()
