"""Losses and derivatives against an independent reference in f64, SciPy on top of them, and the library's methods."""

import numpy as np
import pytest
import scipy.optimize
from reference import Reference
from scipy.sparse.linalg import cg, eigsh

from gpu_subset import Dataset, Model, Objective, minimize

# as PyTorch's torch.func in f64 is asked to agree
TOLERANCE = 5e-5

NETS = {
    "softmax regression": ([{"kind": "dense"}], [("dense", None)]),
    "dense": (
        [{"kind": "dense", "units": 12, "activation": "tanh"}, {"kind": "dense", "units": 8, "activation": "relu"},
         {"kind": "dense"}],
        [("dense", "tanh"), ("dense", "relu"), ("dense", None)],
    ),
    "convolutions": (
        [{"kind": "conv", "channels": 4, "size": 3, "padding": 1, "activation": "silu"},
         {"kind": "avg-pool", "size": 2},
         {"kind": "conv", "channels": 5, "size": 3, "padding": 1, "activation": "tanh"}, {"kind": "dense"}],
        [("conv", "silu"), ("avg-pool", None), ("conv", "tanh"), ("dense", None)],
    ),
}  # fmt: skip


def normalised(data, indices):
    """Pictures (K, 1, 8, 8) as the network has them, and their labels."""
    X, y = data.arrays()
    X = X.astype(np.float64)
    return ((X - X.mean()) / X.std())[indices, None], y[indices]


@pytest.fixture(scope="module")
def data():
    return Dataset.open("digits")


def both(data, net, indices, **options):
    """The objective of a net and its reference."""
    layers, reference = NETS[net]
    model = Model(layers, data)
    objective = Objective(model, data, indices=indices, **options)
    x, labels = normalised(data, indices)
    weights = np.asarray(options.get("class_weights", np.ones(10)))[labels]
    decay, smoothing = options.get("weight_decay", 0.0), options.get("label_smoothing", 0.0)
    return objective, Reference(reference, model.split, x, labels, decay, smoothing, weights)


def error(got, want):
    return np.linalg.norm(got - want) / np.linalg.norm(want)


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize(
    "options", [{}, {"weight_decay": 0.1, "label_smoothing": 0.2, "class_weights": np.linspace(0.5, 2.0, 10)}]
)
def test_derivatives_are_those_of_the_reference(data, net, options):
    objective, reference = both(data, net, np.arange(40, 77), **options)
    theta = objective.model.initial(3).astype(np.float64)
    v = np.random.default_rng(0).normal(size=theta.size)
    v32 = v.astype(np.float32).astype(np.float64)  # what the device is given
    loss, gradient = objective.loss_and_gradient(theta)
    assert loss == pytest.approx(reference.loss(theta), rel=TOLERANCE) == objective.loss(theta)
    assert gradient.dtype == np.float64 and error(gradient, reference.gradient(theta)) < TOLERANCE
    assert error(objective.gradient(theta), gradient) == 0
    product = objective.gauss_newton_product(theta, v)
    assert error(product, reference.gauss_newton_product(theta, v32)) < TOLERANCE
    operator = objective.gauss_newton(theta, damping=0.5)
    assert error(operator @ v, product + 0.5 * v) < 1e-12
    assert error(objective.logits(theta), reference.logits(theta)) < TOLERANCE


def test_scipy_s_solvers_take_the_operator(data):
    objective, _ = both(data, "dense", np.arange(200), weight_decay=1e-2)
    theta = objective.model.initial(0).astype(np.float64)
    operator = objective.gauss_newton(theta, damping=0.1)
    gradient = objective.gradient(theta)
    step, code = cg(operator, -gradient, rtol=1e-4)
    assert code == 0 and error(operator @ step, -gradient) < 1e-3
    assert objective.loss(theta + step) < objective.loss(theta)
    largest = eigsh(objective.gauss_newton(theta), k=3, which="LA", return_eigenvectors=False, tol=1e-3)
    assert np.all(largest > 1e-2), "λ is the least of them"


def test_scipy_s_minimiser_and_ours_find_the_same_minimum(data):
    objective, _ = both(data, "softmax regression", np.arange(200), weight_decay=1e-2)
    theta = objective.model.initial(0).astype(np.float64)
    theirs = scipy.optimize.minimize(objective.loss_and_gradient, theta, jac=True, method="L-BFGS-B")
    for method in ["lbfgs", "ncg", "kfac", "gauss-newton"]:
        ours = minimize(objective, theta, method, gtol=1e-4)
        assert ours.fun == pytest.approx(theirs.fun, rel=1e-4), method
        assert ours.nit == len(ours.history) == ours.history[-1]["iteration"] and ours.x.dtype == np.float64
        assert ours.fun == pytest.approx(objective.loss(ours.x), rel=1e-5)
    for method in ["adam", "sgd", "muon", "sweep"]:
        ours = minimize(objective, theta, method, budget=200.0, seed=1)
        assert objective.loss(ours.x) < 1.2 * theirs.fun, method
        assert ours.history[-1]["cost_epochs"] == pytest.approx(200.0, rel=0.1)


def test_minimize_stops_where_it_is_told(data):
    objective, _ = both(data, "dense", np.arange(100))
    theta = objective.model.initial(0)
    few = minimize(objective, theta, max_iter=3)
    assert few.nit == 3 and not few.success and few.x.dtype == np.float32
    told = []
    stopped = minimize(objective, theta, callback=lambda step: told.append(step) or len(told) == 2)
    assert stopped.nit == 2 and told == stopped.history and "callback" in stopped.message
    with pytest.raises(ZeroDivisionError):
        minimize(objective, theta, callback=lambda step: 1 / 0)


def test_parts_are_the_tensors_of_the_model(data):
    model = Model("digits-1k", data)
    assert model.parameters == 1370
    assert list(model.tensors) == ["conv1.weight", "conv1.bias", "dense3.weight", "dense3.bias"]
    theta = model.initial(0)
    parts = model.split(theta)
    parts["dense3.bias"][:] = 7
    assert (theta[-10:] == 7).all(), "they are views"
    test = Objective(model, data, "test")
    assert test.examples == 360 and test.parameters == 1370


def test_what_does_not_fit_is_refused(data):
    model = Model("digits-1k", data)
    objective = Objective(model, data, indices=[1, 2])
    for call, why in [
        (lambda: objective.loss(np.zeros(7)), "7 numbers are not the 1370 parameters"),
        (lambda: objective.gauss_newton_product(model.initial(), np.zeros(7)), "7 numbers"),
        (lambda: Objective(model, data, indices=[1437]), "an index beyond 1437"),
        (lambda: Objective(model, data, indices=[]), "no examples"),
        (lambda: Objective(model, data, "train", weight_decay=-1), "weight_decay"),
        (lambda: Objective(model, data, "train", label_smoothing=1), "label_smoothing"),
        (lambda: Objective(model, data, "train", class_weights=[1.0]), "class_weights"),
        (lambda: Objective(model, data, "third"), "third is no part"),
        (lambda: Objective(model, Dataset(np.zeros((4, 9)), [0, 1, 0, 1])), "examples of"),
        (lambda: Dataset(np.zeros((4, 9)), [0, 1, 0]), "values are not 3 examples"),
        (lambda: Dataset(np.full((4, 9), np.nan), [0, 1, 0, 1]), "not finite"),
        (lambda: Dataset(np.zeros((4, 9)), [0, 1, 0, 1], np.zeros((1, 9)), [2]), "labels that y has not"),
        (lambda: minimize(objective, model.initial(), "newton"), "not one of kfac"),
    ]:
        with pytest.raises(ValueError, match=why):
            call()
    assert np.isnan(objective.loss(np.full(1370, np.inf)))
