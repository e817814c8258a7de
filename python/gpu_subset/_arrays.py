"""From arrays of examples, channels last, to those of the library, channels first, and back."""

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


def network_of(model):
    """What the library takes for a network: None, a name or a path, or a description."""
    if model is None or isinstance(model, str | dict):
        return model
    if isinstance(model, int | np.integer):
        model = [model]
    layers = [
        {"kind": "dense", "units": int(layer), "activation": "relu"} if isinstance(layer, int | np.integer) else layer
        for layer in model
    ]
    # hidden layers by their units alone are followed by that of the classes
    if all(isinstance(layer, int | np.integer) for layer in model):
        layers.append({"kind": "dense"})
    return {"name": "own", "layer": layers}
