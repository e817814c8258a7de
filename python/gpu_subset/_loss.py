"""Losses of networks, their derivatives and curvature over NumPy arrays."""

import numpy as np
from scipy.optimize import OptimizeResult
from scipy.sparse.linalg import LinearOperator

from . import _native
from ._arrays import array_of, device_of, network_of, numbers_of, plain, shape_of


class Dataset:
    """Examples with labels, a part to train on and a part to test on.

    Parameters
    ----------
    X : array of shape (n, features), (n, h, w) or (n, h, w, c)
        uint8 as it is; anything else as float32.
    y : array of shape (n,)
        Labels of any kind.
    X_test, y_test : arrays, optional
        The test part; by default the first example.
    name : str
        What errors call it.
    """

    def __init__(self, X, y, X_test=None, y_test=None, *, name="arrays"):
        X, y = np.asarray(X), np.asarray(y)
        self.classes, labels = np.unique(y, return_inverse=True)
        test = None
        if X_test is not None:
            X_test, y_test = np.asarray(X_test, dtype=X.dtype), np.asarray(y_test)
            if unknown := np.setdiff1d(y_test, self.classes).tolist():
                raise ValueError(f"y_test has labels that y has not: {unknown}")
            if X_test.shape[1:] != X.shape[1:]:
                raise ValueError(f"X_test has examples of {X_test.shape[1:]}, X those of {X.shape[1:]}")
            test = numbers_of(X_test), np.searchsorted(self.classes, y_test).astype(np.uint32)
        names = [str(label) for label in self.classes]
        train = numbers_of(X), labels.astype(np.uint32)
        self._native = _native.Dataset(name, shape_of(X), names, train, test)

    @classmethod
    def open(cls, source="digits", *, resize=None):
        """What the program's `--data` reads: `digits`, or a path. See `gpu_subset.load`."""
        self = cls.__new__(cls)
        self._native = _native.Dataset.open(source, resize)
        names = self._native.classes
        are_numbers = all(name.isascii() and name.isdigit() for name in names)
        self.classes = np.array([int(name) for name in names] if are_numbers else names)
        return self

    def arrays(self, part="train"):
        """X, (n, f), (n, h, w) or (n, h, w, c), and y, (n,), of a part, `"train"` or `"test"`."""
        numbers, labels = self._native.arrays(part)
        return array_of(numbers, self.shape), self.classes[labels]

    @property
    def shape(self):
        """(channels, height, width) of an example; (features, 1, 1) of one that is no picture."""
        return self._native.shape

    @property
    def sha256(self):
        """SHA-256 of the content, as `gpu-subset data info` has it."""
        return self._native.sha256

    def __repr__(self):
        return f"<Dataset {self._native.name}: {len(self.classes)} classes of {self.shape}>"


class Model:
    """A network for examples of a shape.

    Parameters
    ----------
    model : str, dict, list or None
        As of `SubsetClassifier`.
    data : Dataset
        What it is for: the shape of an example, and the number of classes.
    """

    def __init__(self, model, data):
        self._native = _native.Model(network_of(model), data.shape, len(data.classes))

    @property
    def parameters(self):
        """P, the number of parameters."""
        return self._native.parameters

    @property
    def tensors(self):
        """Name and shape of each tensor, in PyTorch's shapes and order: parameters (P,) are these one after another."""
        return dict(self._native.tensors)

    def initial(self, seed=0):
        """Random parameters, float32 (P,): those of a run with the same seed."""
        return self._native.initial(seed)

    def split(self, theta):
        """The tensors by name, views of parameters (P,)."""
        parts, start = {}, 0
        for name, shape in self.tensors.items():
            end = start + int(np.prod(shape))
            parts[name] = theta[start:end].reshape(shape)
            start = end
        return parts

    def __repr__(self):
        return f"<Model: {self.parameters} parameters>"


class Objective:
    """f(θ) = (1/K) Σ cross entropy + λ/2 ‖θ‖² over K examples, with gradient and Gauss-Newton products.

    Inputs are normalised by mean and deviation of each channel of the training part. The device computes in float32;
    arrays come back in the floating type of θ.

    Parameters
    ----------
    model : Model
    data : Dataset
    part : {"train", "test"}
    indices : array of shape (K,), optional
        Which examples of the part; by default all.
    weight_decay : float
        λ.
    label_smoothing : float
        s of the targets (1 − s) onehot + s/M.
    class_weights : array of shape (M,), optional
        A factor of the loss of each class's examples.
    device : str, optional
        As of `SubsetClassifier`.
    """

    def __init__(
        self,
        model,
        data,
        part="train",
        *,
        indices=None,
        weight_decay=0.0,
        label_smoothing=0.0,
        class_weights=None,
        device=None,
    ):
        self.model, self.data = model, data
        indices = None if indices is None else [int(i) for i in indices]
        weights = None if class_weights is None else [float(weight) for weight in class_weights]
        self._native = _native.Objective(
            model._native, data._native, part, indices, weight_decay, label_smoothing, weights, device_of(device)
        )

    @property
    def examples(self):
        """K."""
        return self._native.examples

    @property
    def parameters(self):
        """P."""
        return self._native.parameters

    def evaluate(self, theta):
        """A dict of `loss`, f(θ); `cross_entropy`, its mean alone; `accuracy`, 0 to 1."""
        return self._native.evaluate(_vector(theta))

    def loss(self, theta):
        """f(θ), NaN where a value on the way is not finite. One forward pass."""
        return self.evaluate(theta)["loss"]

    def gradient(self, theta):
        """∇f(θ), (P,). A forward and a backward pass."""
        return self.loss_and_gradient(theta)[1]

    def loss_and_gradient(self, theta):
        """f(θ) and ∇f(θ) in the same passes: what `scipy.optimize.minimize(..., jac=True)` takes."""
        found, gradient = self._native.gradient(_vector(theta))
        return found["loss"], gradient.astype(_type(theta), copy=False)

    def gauss_newton_product(self, theta, v):
        """(G + λI) v, (P,): G = (1/K) Σ JᵀHJ, H the Hessian of the loss by the logits. Three passes."""
        product = self._native.gauss_newton_product(_vector(theta), _vector(v))
        return product.astype(_type(v), copy=False)

    def gauss_newton(self, theta, *, damping=0.0):
        """G + (λ + damping) I at θ: a `scipy.sparse.linalg.LinearOperator` (P, P), symmetric, positive semidefinite."""
        point, size = np.array(_vector(theta)), self.parameters

        def product(v):
            v = np.ravel(v)
            return self.gauss_newton_product(point, v) + damping * v

        return LinearOperator((size, size), matvec=product, rmatvec=product, dtype=_type(theta))

    def logits(self, theta):
        """Logits of all examples, float32 (K, M). One forward pass."""
        return self._native.logits(_vector(theta)).reshape(self.examples, -1)


def minimize(
    objective,
    theta,
    method="lbfgs",
    *,
    settings=None,
    max_iter=None,
    budget=None,
    gtol=0.0,
    seed=0,
    callback=None,
):
    """Minimise an objective from parameters θ by a method of the library, on the device.

    Parameters
    ----------
    objective : Objective
    theta : array of shape (P,)
    method : {"kfac", "lbfgs", "ncg", "gauss-newton", "adam", "sgd", "muon", "sweep"}
        The first four go over all examples in each step, the others over mini-batches.
    settings : dict, optional
        As of `SubsetClassifier`.
    max_iter : int, optional
        Steps at most; by default 100 of the first four, for the others as many as the budget pays for.
    budget : float, optional
        What mini-batches may cost, in epochs.
    gtol : float
        A method that goes over all examples ends where ‖∇f‖ is no larger.
    seed : int
        Of the order of mini-batches.
    callback : callable, optional
        Called after each step with its record, a dict. A true value ends it.

    Returns
    -------
    scipy.optimize.OptimizeResult
        `x` (P,), `fun`, `nit`, `message`, `success`, and `history`, a list of the records.
    """
    found = _native.minimise(
        objective._native, _vector(theta), method, plain(settings or {}), max_iter, budget, gtol, seed, callback
    )
    found["x"] = found["x"].astype(_type(theta), copy=False)
    return OptimizeResult(found)


def _vector(values):
    return np.ascontiguousarray(values, dtype=np.float32).ravel()


def _type(values):
    kind = np.asarray(values).dtype
    return kind if np.issubdtype(kind, np.floating) else np.dtype(np.float64)
