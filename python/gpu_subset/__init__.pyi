from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._classifier import SubsetClassifier as SubsetClassifier
from ._loss import Dataset as Dataset
from ._loss import Model as Model
from ._loss import Objective as Objective
from ._loss import OptimizeResult as OptimizeResult
from ._loss import minimize as minimize
from ._native import Weights as Weights
from ._native import devices as devices

__all__ = [
    "Dataset",
    "Model",
    "Objective",
    "OptimizeResult",
    "SubsetClassifier",
    "Weights",
    "devices",
    "load",
    "minimize",
]

def load(
    source: str = "digits", *, resize: tuple[int, int] | None = None
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]: ...
