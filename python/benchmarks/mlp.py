"""SubsetClassifier beside MLPClassifier: the same layers on the same numbers, both tuned by a grid, fitted in turns.

    python python/benchmarks/mlp.py [--data digits] [--layers 64 64] [--seeds 3] [--search-examples 5000]

--data is `breast-cancer` or `synthetic` (features, by scikit-learn without a download), `digits`, or whatever the
program reads: a folder with the IDX files of MNIST or of Fashion-MNIST (`gpu-subset data fetch fashion-mnist DIR`; on
Debian `apt install dataset-fashion-mnist` puts them into /usr/share/datasets/fashion-mnist).

Grids are searched by three-fold cross-validation on at most --search-examples of the training part. Of the settings
whose accuracy is within a standard error of the best one's the fastest is taken, of each classifier alike. Then each is
fitted to the whole training part, one after the other, with every seed. Prints what was searched, and a table in
Markdown: test accuracy and seconds of a fit, median and range over the seeds.

All get the same inputs: of pictures one mean and deviation for all pixels, of features one each. SubsetClassifier
trains without the shifted copies that it makes of pictures by default. MLPClassifier computes on the CPU, ours on the
device, after a first fit that compiles its kernels.
"""

import argparse
import statistics
import time
import warnings

import numpy as np
from sklearn.datasets import load_breast_cancer, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import gpu_subset

FOLDS = 3

# training examples from which on fewer epochs are searched
MANY = 10_000


def examples_of(data):
    """X, y, X_test, y_test."""
    if data == "breast-cancer":
        X, y = load_breast_cancer(return_X_y=True)
    elif data == "synthetic":
        X, y = make_classification(
            24_000, n_features=40, n_informative=15, n_classes=6, class_sep=1.5, flip_y=0.02, random_state=0
        )
    else:
        return gpu_subset.load(data)
    X, X_test, y, y_test = train_test_split(X.astype(np.float32), y, test_size=0.25, stratify=y, random_state=0)
    return X, y, X_test, y_test


def rivals(X, layers, device):
    """Each with the grid that it is tuned over."""
    if X.ndim > 2:
        mean, deviation = X.mean(), X.std()
        scaler = FunctionTransformer(lambda X: ((X - mean) / deviation).reshape(len(X), -1).astype(np.float32))
    else:
        scaler = StandardScaler()

    def mlp(solver):
        return make_pipeline(scaler, MLPClassifier(layers, solver=solver))

    is_large = len(X) >= MANY
    alpha = {"mlpclassifier__alpha": [1e-4, 1e-2, 1.0, 10.0]}
    of_adam = alpha | {
        "mlpclassifier__learning_rate_init": [1e-3, 1e-2],
        "mlpclassifier__max_iter": [3, 10, 30] if is_large else [30, 100, 300],
    }
    of_lbfgs = alpha | {"mlpclassifier__max_iter": [30, 100] if is_large else [30, 100, 300]}
    ours = gpu_subset.SubsetClassifier(list(layers), augment={}, device=device)
    of_ours = {"budget": [1, 3, 10] if is_large else [10, 30, 100], "weight_decay": [1e-4, 2e-3, 1e-2]}
    return {
        "SubsetClassifier": (ours, of_ours),
        "MLPClassifier, adam": (mlp("adam"), of_adam),
        "MLPClassifier, lbfgs": (mlp("lbfgs"), of_lbfgs),
    }


def fastest_of_the_best(found):
    """Index of the fastest settings whose accuracy is within a standard error of the best one's."""
    mean, deviation = found["mean_test_score"], found["std_test_score"]
    best = int(np.nanargmax(mean))
    is_as_good = mean >= mean[best] - deviation[best] / np.sqrt(FOLDS)
    return int(np.argmin(np.where(is_as_good, found["mean_fit_time"], np.inf)))


def tuned(name, estimator, grid, X, y):
    """The estimator with the settings that a search found."""
    seeded(estimator, 0).fit(X, y)  # compiles
    start = time.perf_counter()
    search = GridSearchCV(estimator, grid, cv=FOLDS, refit=fastest_of_the_best).fit(X, y)
    seconds = time.perf_counter() - start
    plain = {key.split("__")[-1]: value for key, value in search.best_params_.items()}
    score = search.cv_results_["mean_test_score"]
    values = "; ".join(f"{key.split('__')[-1]} of {values}" for key, values in grid.items())
    chosen, best = 100 * score[search.best_index_], 100 * np.nanmax(score)
    print(f"{name}: {plain}, {chosen:.2f}% in cross-validation, {best:.2f}% the best")
    print(f"    searched {values} on {len(X)} examples in {seconds:.0f} s", flush=True)
    return estimator.set_params(**search.best_params_)


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
    asked.add_argument("--search-examples", type=int, default=5000)
    asked.add_argument("--device")
    asked = asked.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)

    X, y, X_test, y_test = examples_of(asked.data)
    few = np.random.default_rng(0).permutation(len(X))[: asked.search_examples]
    found = {
        name: tuned(name, estimator, grid, X[few], y[few])
        for name, (estimator, grid) in rivals(X, tuple(asked.layers), asked.device).items()
    }

    seconds, accuracy = ({name: [] for name in found} for _ in range(2))
    found["SubsetClassifier"].fit(X, y)  # kernels for whole chunks, too
    for seed in range(asked.seeds):
        for name, estimator in found.items():
            start = time.perf_counter()
            seeded(estimator, seed).fit(X, y)
            seconds[name].append(time.perf_counter() - start)
            accuracy[name].append(100 * estimator.score(X_test, y_test))

    adapter = found["SubsetClassifier"].record_["adapter"]
    print(f"\n{asked.data}, layers {asked.layers}, {len(X)} examples, {len(X_test)} to test on, {adapter}\n")
    print("| | test accuracy, % | seconds |\n|---|---|---|")
    for name in found:
        print(f"| {name} | {shown(accuracy[name], 2)} | {shown(seconds[name], 2)} |")


if __name__ == "__main__":
    main()
