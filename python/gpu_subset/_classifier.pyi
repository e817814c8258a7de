from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from typing_extensions import Self

from ._native import Weights

_Network = str | PathLike[str] | dict[str, Any] | Sequence[int | dict[str, Any]] | int
_ScheduleName = Literal["sweep", "paper", "growing", "full", "minibatch"]
_MethodName = Literal["kfac", "lbfgs", "ncg", "gauss-newton", "adam", "sgd", "muon"]

LARGEST_SEED: int
EPOCHS_OF_A_PART: float

class SubsetClassifier(ClassifierMixin, BaseEstimator):
    model: _Network | None
    schedule: _ScheduleName | None
    method: _MethodName | None
    settings: dict[str, Any] | None
    budget: float | None
    weight_decay: float | None
    label_smoothing: float
    class_weight: dict[Any, float] | Literal["balanced"] | None
    augment: dict[str, Any] | None
    held_out: int | str | None
    warm_start: bool
    random_state: int | np.random.RandomState | None
    device: str | int | None
    callback: Callable[[dict[str, Any]], Any] | None
    verbose: bool

    classes_: NDArray[Any]
    n_features_in_: int
    image_shape_: tuple[int, ...] | None
    n_iter_: int
    history_: list[dict[str, Any]]
    record_: dict[str, Any] | None
    weights_: Weights
    calls_: int

    def __init__(
        self,
        model: _Network | None = None,
        *,
        schedule: _ScheduleName | None = None,
        method: _MethodName | None = None,
        settings: dict[str, Any] | None = None,
        budget: float | None = None,
        weight_decay: float | None = None,
        label_smoothing: float = 0.0,
        class_weight: dict[Any, float] | Literal["balanced"] | None = None,
        augment: dict[str, Any] | None = None,
        held_out: int | str | None = None,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        device: str | int | None = None,
        callback: Callable[[dict[str, Any]], Any] | None = None,
        verbose: bool = False,
    ) -> None: ...
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self: ...
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self: ...
    def predict(self, X: ArrayLike) -> NDArray[Any]: ...
    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]: ...
    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]: ...
