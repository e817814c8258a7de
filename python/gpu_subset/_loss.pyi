from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import OptimizeResult as OptimizeResult
from scipy.sparse.linalg import LinearOperator
from typing_extensions import Self

from ._classifier import _Network

_Vector = NDArray[np.floating[Any]]

class Dataset:
    classes: NDArray[Any]
    def __init__(
        self,
        X: ArrayLike,
        y: ArrayLike,
        X_test: ArrayLike | None = None,
        y_test: ArrayLike | None = None,
        *,
        name: str = "arrays",
    ) -> None: ...
    @classmethod
    def open(cls, source: str = "digits", *, resize: tuple[int, int] | None = None) -> Self: ...
    def arrays(self, part: Literal["train", "test"] = "train") -> tuple[NDArray[Any], NDArray[Any]]: ...
    @property
    def shape(self) -> tuple[int, int, int]: ...
    @property
    def sha256(self) -> str: ...

class Model:
    def __init__(self, model: _Network | None, data: Dataset) -> None: ...
    @property
    def parameters(self) -> int: ...
    @property
    def tensors(self) -> dict[str, list[int]]: ...
    def initial(self, seed: int = 0) -> NDArray[np.float32]: ...
    def split(self, theta: _Vector) -> dict[str, _Vector]: ...

class Objective:
    model: Model
    data: Dataset
    def __init__(
        self,
        model: Model,
        data: Dataset,
        part: Literal["train", "test"] = "train",
        *,
        indices: Sequence[int] | NDArray[np.integer[Any]] | None = None,
        weight_decay: float = 0.0,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | NDArray[np.floating[Any]] | None = None,
        device: str | int | None = None,
    ) -> None: ...
    @property
    def examples(self) -> int: ...
    @property
    def parameters(self) -> int: ...
    def evaluate(self, theta: ArrayLike) -> dict[str, float]: ...
    def loss(self, theta: ArrayLike) -> float: ...
    def gradient(self, theta: ArrayLike) -> _Vector: ...
    def loss_and_gradient(self, theta: ArrayLike) -> tuple[float, _Vector]: ...
    def gauss_newton_product(self, theta: ArrayLike, v: ArrayLike) -> _Vector: ...
    def gauss_newton(self, theta: ArrayLike, *, damping: float = 0.0) -> LinearOperator: ...
    def logits(self, theta: ArrayLike) -> NDArray[np.float32]: ...

def minimize(
    objective: Objective,
    theta: ArrayLike,
    method: Literal["kfac", "lbfgs", "ncg", "gauss-newton", "adam", "sgd", "muon", "sweep"] = "lbfgs",
    *,
    settings: dict[str, Any] | None = None,
    max_iter: int | None = None,
    budget: float | None = None,
    gtol: float = 0.0,
    seed: int = 0,
    callback: Callable[[dict[str, Any]], Any] | None = None,
) -> OptimizeResult: ...
