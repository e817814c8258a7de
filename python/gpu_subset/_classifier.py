"""The classifier, as scikit-learn has them."""

import tempfile
import warnings
from numbers import Integral
from pathlib import Path

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from . import _native
from ._arrays import device_of, network_of, numbers_of, plain, shape_of
from ._progress import Progress

LARGEST_SEED = 2**31 - 1

# what a call of partial_fit costs by default
EPOCHS_OF_A_PART = 4.0


class SubsetClassifier(ClassifierMixin, BaseEstimator):
    """A neural network, trained by a second-order method on any GPU, without a learning rate to tune.

    By default it sweeps over small disjoint subsets of the examples, with one K-FAC step on each, within `budget`.

    Parameters
    ----------
    model : str, dict, list or None
        The network. A built-in one by name (`"mnist-14k"`), a TOML file by path, a description as a dict with a list
        of layers under `layer`, or that list itself. Whole numbers in a list are dense layers of so many units with
        ReLU: `[64, 64]` is what `MLPClassifier` calls `hidden_layer_sizes=(64, 64)`. By default one that suits the
        shape of X.
    schedule : {"sweep", "paper", "growing", "full", "minibatch"} or None
        What is minimised, in which order. By default `"sweep"`, or what suits `method`.
    method : {"kfac", "lbfgs", "ncg", "gauss-newton", "adam", "sgd", "muon"} or None
        How. By default `"kfac"`.
    settings : dict or None
        Other values for settings of the method, by the names that a run's `config.toml` has under `plan.rule` or
        `plan.method`, parts of a name between dots: `{"momentum": 0.8, "batches.batch": 64}`.
    budget : float or None
        What sweep and mini-batches may cost, in epochs: an example forward and backward is one N-th of one.
    weight_decay : float or None
        λ of the penalty λ/2 ‖θ‖². By default what suits schedule and data.
    label_smoothing : float
        s of the targets (1 − s) onehot + s/M, from 0 up and below 1.
    class_weight : dict, "balanced" or None
        What the examples of each class count, relative to each other.
    augment : dict or None
        How copies of pictures differ: `crop` (pixels), `flip` (bool), `rotate` (degrees), `scale`, `brightness`,
        `contrast`, `cutout` (pixels). By default a sweep shifts pictures with a black border by a pixel; `{}` is none.
    held_out : int, str or None
        Training examples held out for decisions, a number or a fraction such as `"1/20"`.
    warm_start : bool
        Whether `fit` goes on from the weights of the fit before, if classes and shape are the same.
    random_state : int, RandomState or None
        Seed of everything random. The same int gives the same weights, to the bit, as `gpu-subset train --seed`.
    device : str, int or None
        An interface (`"vulkan"`), part of an adapter's name, its index, or `"gl:llvmpipe"`. By default the most capable
        adapter.
    callback : callable or None
        Called after each step with its record, a dict. A true value ends the training there.
    verbose : bool
        Whether a bar follows the training.

    Attributes
    ----------
    classes_ : ndarray of shape (M,)
        The labels.
    n_features_in_ : int
        Numbers of an example: features, or height · width · channels.
    image_shape_ : tuple or None
        (h, w) or (h, w, c) of the pictures it was trained on.
    n_iter_ : int
        Steps taken.
    history_ : list of dict
        The record of each step: `loss` (of what it went over, penalty included), `cost_epochs`, `wall_seconds`, …
    record_ : dict or None
        What the run came to, as `run.json` of the program has it; None where it was stopped. It is about the training
        set: what it says of a test set is of one example.
    weights_ : Weights
        The weights: `theta`, `tensors()`, `sha256`, `save(path)` as safetensors or ONNX. They are what is pickled.
    """

    def __init__(
        self,
        model=None,
        *,
        schedule=None,
        method=None,
        settings=None,
        budget=None,
        weight_decay=None,
        label_smoothing=0.0,
        class_weight=None,
        augment=None,
        held_out=None,
        warm_start=False,
        random_state=None,
        device=None,
        callback=None,
        verbose=False,
    ):
        self.model = model
        self.schedule = schedule
        self.method = method
        self.settings = settings
        self.budget = budget
        self.weight_decay = weight_decay
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.augment = augment
        self.held_out = held_out
        self.warm_start = warm_start
        self.random_state = random_state
        self.device = device
        self.callback = callback
        self.verbose = verbose

    def fit(self, X, y, sample_weight=None):
        """Train on examples X with labels y.

        Parameters
        ----------
        X : array of shape (n, features), (n, h, w) or (n, h, w, c)
            uint8 stays as it is, as pixels; anything else becomes float32. Each feature, or channel of pictures, is
            normalised by its mean and deviation.
        y : array of shape (n,)
            Labels of any kind.
        sample_weight : array of shape (n,), optional
            What each example counts in the training loss, relative to the others. One that counts 0 is left out.

        Returns
        -------
        self
            Interrupted by Ctrl-C, it has the weights of the last step, and a warning says so.
        """
        before = self._before() if self.warm_start else None
        X, y = self._validated(X, y, reset=True)
        X, y, weights = _weighted(X, y, sample_weight)
        classes, labels = np.unique(y, return_inverse=True)
        if before is not None and not (np.array_equal(before[1], classes) and before[2] == X.shape[1:]):
            before = None
        self.classes_ = classes
        start, options = before and before[0], {"budget": self.budget}
        return self._train(X, labels, weights, self._seed(), start=start, options=options)

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Go on from the present weights with a short sweep over some more examples.

        Parameters
        ----------
        X : array of shape (n, features), (n, h, w) or (n, h, w, c)
            As of `fit`. Mean and deviation are those of the first call.
        y : array of shape (n,)
            Labels, each one of the classes.
        classes : array of shape (M,), optional
            All classes; needed by the first call alone.
        sample_weight : array of shape (n,), optional
            As of `fit`, among these examples.

        Returns
        -------
        self
            Each call costs `budget` epochs of its examples, 4 by default, or as much as a first step takes.
        """
        before = self._before()
        X, y = self._validated(X, y, reset=before is None)
        if before is None:
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            self.classes_ = unique_labels(classes)
        elif classes is not None and not np.array_equal(self.classes_, unique_labels(classes)):
            raise ValueError(f"`classes={classes!r}` is not the same as on last call to partial_fit: {self.classes_!r}")
        X, y, weights = _weighted(X, y, sample_weight)
        unknown = np.setdiff1d(y, self.classes_)
        if unknown.size:
            raise ValueError(f"y has labels that are no classes: {unknown.tolist()}")
        labels = np.searchsorted(self.classes_, y)
        self.calls_ = getattr(self, "calls_", 0) + 1
        seed = (self._seed() + self.calls_ - 1) % LARGEST_SEED
        budget = EPOCHS_OF_A_PART if self.budget is None else self.budget
        start = before and before[0]
        return self._train(X, labels, weights, seed, start=start, options={"budget": budget, "stretch": True})

    def predict(self, X):
        """The likeliest class of each example, (n,)."""
        logits = self._logits(X)
        return self.classes_[np.argmax(logits, axis=1)]

    def predict_proba(self, X):
        """The probability of each class, in the order of `classes_`, for each example, (n, M)."""
        return softmax(self._logits(X).astype(np.float64), axis=1)

    def decision_function(self, X):
        """Logits (n, M); of two classes the second's less the first's, (n,)."""
        logits = self._logits(X).astype(np.float64)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def __sklearn_is_fitted__(self):
        return hasattr(self, "weights_")

    def _before(self):
        """Weights, classes and shape of an example of the fit before, if there was one."""
        if not hasattr(self, "weights_"):
            return None
        shape = self.image_shape_ or (self.n_features_in_,)
        return self.weights_, self.classes_, shape

    def _seed(self):
        if isinstance(self.random_state, Integral):
            if self.random_state < 0:
                raise ValueError(f"random_state={self.random_state} is no seed: a seed is a number from 0 up")
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(LARGEST_SEED))

    def _validated(self, X, y="no_validation", *, reset):
        """X as uint8 or float32, and y unless it is not asked for, as scikit-learn checks them."""
        if isinstance(X, list | tuple) and np.ndim(X) > 2:
            X = np.asarray(X)
        image_shape = None
        if getattr(X, "ndim", 2) in (3, 4):
            image_shape = tuple(int(side) for side in X.shape[1:])
            expected = None if reset else self.image_shape_
            if not reset and expected != image_shape:
                of = f"pictures of {expected}" if expected else f"{self.n_features_in_} features"
                raise ValueError(f"X has pictures of {image_shape}, but SubsetClassifier is expecting {of} as input")
            X = np.asarray(X).reshape(len(X), -1)
        elif not reset and self.image_shape_ is not None:
            raise ValueError(f"X has no pictures, but SubsetClassifier is expecting those of {self.image_shape_}")
        kinds = {"dtype": [np.float32, np.uint8], "order": "C", "reset": reset}
        is_labelled = not (isinstance(y, str) and y == "no_validation")
        if is_labelled:
            X, y = validate_data(self, X, y, **kinds)
            check_classification_targets(y)
        else:
            X = validate_data(self, X, **kinds)
        if reset:
            self.image_shape_ = image_shape
        if image_shape is not None:
            X = X.reshape(len(X), *image_shape)
        return (X, y) if is_labelled else X

    def _train(self, X, labels, weights, seed, *, start, options):
        if start is not None:
            X = _as_trained(X, start)
        names = [str(label) for label in self.classes_]
        examples = numbers_of(X), labels.astype(np.uint32)
        data = _native.Dataset("arrays", shape_of(X), names, examples, weights=weights)
        options |= {
            "schedule": self.schedule,
            "method": self.method,
            "settings": self.settings or {},
            "model": network_of(self.model),
            "weight_decay": self.weight_decay,
            "label_smoothing": self.label_smoothing,
            "class_weight": self._class_weight(labels),
            "augment": self.augment,
            "held_out": None if self.held_out is None else str(self.held_out),
            "seed": seed,
        }
        options = plain(options)
        with tempfile.TemporaryDirectory() as folder:
            if start is not None:
                options["init"] = str(Path(folder) / "start.safetensors")
                start.save(options["init"])
            outcome = self._run(data, options)
        for note in outcome["notes"]:
            warnings.warn(note, stacklevel=3)
        if outcome["interrupted"]:
            warnings.warn("Training interrupted by user: the weights are those of the last step.", stacklevel=3)
        self.weights_ = outcome["weights"]
        self.record_ = outcome["record"]
        self.history_ = outcome["history"]
        self.n_iter_ = len(self.history_)
        return self

    def _run(self, data, options):
        callback, device = self.callback, device_of(self.device)
        if not self.verbose:
            return _native.train(data, options, device, callback)
        with Progress() as bar:

            def both(step):
                bar(step)
                return callback is not None and callback(step)

            return _native.train(data, options, device, both)

    def _class_weight(self, labels):
        if self.class_weight is None or self.class_weight == "balanced":
            return self.class_weight
        present = self.classes_[np.unique(labels)]
        weights = dict(zip(present, compute_class_weight(self.class_weight, classes=present, y=self.classes_[labels])))
        return [float(weights.get(label, 1.0)) for label in self.classes_]

    def _logits(self, X):
        check_is_fitted(self)
        X = _as_trained(self._validated(X, reset=False), self.weights_)
        return self.weights_.logits(numbers_of(X), device_of(self.device)).reshape(len(X), -1)


def _weighted(X, y, sample_weight):
    """The examples that count, and what each does; None where all count the same."""
    if sample_weight is None:
        return X, y, None
    weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    counts = weights > 0
    if not counts.any():
        raise ValueError("sample_weight is zero for all examples: none of them counts")
    X, y, weights = X[counts], y[counts], weights[counts]
    return X, y, None if np.all(weights == weights[0]) else weights.tolist()


def _as_trained(X, weights):
    """X as bytes, where the weights were trained on bytes, or else as floats."""
    if not weights.is_bytes:
        return np.asarray(X, dtype=np.float32)
    if X.dtype == np.uint8:
        return X
    pixels = X.astype(np.uint8) if np.all((X >= 0) & (X <= 255)) else None
    if pixels is None or not np.array_equal(pixels, X):
        raise ValueError("X has numbers that are no bytes from 0 to 255, but the network was trained on bytes (uint8)")
    return pixels
