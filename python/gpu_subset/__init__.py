"""Classifiers trained by second-order methods on any Vulkan, Metal or DX12 GPU, and the parts they are made of.

`SubsetClassifier` is an estimator of scikit-learn. `Dataset`, `Model` and `Objective` are a loss and its derivatives
over NumPy arrays, and `minimize` runs a method on them. A device is opened by the first call that needs one.
"""

from ._classifier import SubsetClassifier
from ._loss import Dataset, Model, Objective, OptimizeResult, minimize
from ._native import Weights, devices

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


def load(source="digits", *, resize=None):
    """Read a data set that the program `gpu-subset` reads.

    Parameters
    ----------
    source : str
        `digits`, which is built in, or the path of a folder, a .npz file, a table or an archive.
    resize : (int, int), optional
        Height and width in pixels that pictures are brought to.

    Returns
    -------
    X_train, y_train, X_test, y_test : ndarray
        Pictures (n, h, w) or (n, h, w, c), uint8 from 0 to 255 (the digits end at 16) or float32; features (n, f).
        Labels (n,) are whole numbers where the names of all classes are such, else these names.
    """
    data = Dataset.open(source, resize=resize)
    return (*data.arrays("train"), *data.arrays("test"))
