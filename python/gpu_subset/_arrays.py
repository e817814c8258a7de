"""From arrays of examples, channels last, to those of the library, channels first, and back."""

from pathlib import PurePath

import numpy as np


def shape_of(array):
    """(channels, height, width) of an example in an array (n, f), (n, h, w) or (n, h, w, c)."""
    match array.shape[1:]:
        case (features,):
            return features, 1, 1
        case (height, width):
            return 1, height, width
        case (height, width, channels):
            return channels, height, width
    raise ValueError(f"expected an array (n, features), (n, h, w) or (n, h, w, c), found {array.shape}")


def numbers_of(array):
    """The numbers of such an array as the library has them: one example after another, channel by channel."""
    if array.ndim == 4:
        array = array.transpose(0, 3, 1, 2)
    if array.dtype != np.uint8:
        array = np.asarray(array, dtype=np.float32)
    return np.ascontiguousarray(array).ravel()


def array_of(numbers, shape):
    """The array of such numbers."""
    channels, height, width = shape
    if height == width == 1:
        return numbers.reshape(-1, channels)
    if channels == 1:
        return numbers.reshape(-1, height, width)
    return np.ascontiguousarray(numbers.reshape(-1, channels, height, width).transpose(0, 2, 3, 1))


def plain(value):
    """An option as the library takes it: numbers of NumPy, as a search has them, as those of Python; a path as text."""
    match value:
        case np.generic():
            return value.item()
        case PurePath():
            return str(value)
        case dict():
            return {key: plain(of_key) for key, of_key in value.items()}
        case list() | tuple() | np.ndarray():
            return [plain(entry) for entry in value]
    return value


def network_of(model):
    """What the library takes for a network: None, a name or a path, or a description."""
    model = plain(model)
    if isinstance(model, int):
        model = [model]
    if not isinstance(model, list):
        return model
    is_hidden = [isinstance(layer, int) for layer in model]
    layers = [
        {"kind": "dense", "units": layer, "activation": "relu"} if hidden else layer
        for layer, hidden in zip(model, is_hidden, strict=True)
    ]
    # hidden layers by their units alone are followed by that of the classes
    return {"name": "own", "layer": [*layers, {"kind": "dense"}] if all(is_hidden) else layers}


def device_of(device):
    """A device by its name, or by its index among `devices()`."""
    return None if device is None else str(device)
