"""Networks in NumPy and f64, derived by complex steps: exact to the last digits, with no code of the library.

A function that is analytic has f(x + ih) = f(x) + ih f'(x) + O(h²) (Squire and Trapp 1998, SIAM Review 40(1)).
"""

import numpy as np

STEP = 1e-30


def relu(z):
    return np.where(z.real > 0, z, 0)


def silu(z):
    return z / (1 + np.exp(-z))


ACTIVATIONS = {"relu": relu, "tanh": np.tanh, "silu": silu, None: lambda z: z}


def convolved(x, weight, bias):
    """(K, C, H, W) by 3×3 filters with a border of zeros, as PyTorch has it."""
    k, _, height, width = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    out = np.zeros((k, weight.shape[0], height, width), dtype=np.result_type(x, weight))
    for row in range(3):
        for column in range(3):
            window = padded[:, :, row : row + height, column : column + width]
            out += np.einsum("kchw,oc->kohw", window, weight[:, :, row, column])
    return out + bias[:, None, None]


def pooled(x):
    """Means over 2×2 pixels."""
    k, channels, height, width = x.shape
    return x.reshape(k, channels, height // 2, 2, width // 2, 2).mean(axis=(3, 5))


def logits(layers, parts, x):
    """Logits of normalised examples (K, C, H, W); layers are (kind, activation), with tensors by turns."""
    tensors = iter(parts.values())
    for kind, activation in layers:
        if kind == "avg-pool":
            x = pooled(x)
            continue
        weight, bias = next(tensors), next(tensors)
        x = convolved(x, weight, bias) if kind == "conv" else x.reshape(len(x), -1) @ weight.T + bias
        x = ACTIVATIONS[activation](x)
    return x


class Reference:
    """The loss of such a network over K examples, with weight decay λ, label smoothing s and weights of examples."""

    def __init__(self, layers, split, x, labels, decay, smoothing, weights):
        self.layers, self.split, self.x, self.decay = layers, split, x, decay
        self.weights = weights / len(labels)
        classes = labels.max() + 1
        self.targets = (1 - smoothing) * np.eye(classes)[labels] + smoothing / classes

    def logits(self, theta):
        return logits(self.layers, self.split(theta), self.x)

    def loss(self, theta):
        z = self.logits(theta)
        log_p = z - np.log(np.exp(z - z.real.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True))
        log_p = log_p - z.real.max(axis=1, keepdims=True)
        return -(self.weights @ (self.targets * log_p).sum(axis=1)) + self.decay / 2 * (theta @ theta)

    def derivatives(self, f, theta):
        """∂f/∂θ of a real function."""
        steps = np.eye(len(theta)) * 1j * STEP
        return np.array([f(theta + step).imag for step in steps]) / STEP

    def gradient(self, theta):
        return self.derivatives(self.loss, theta)

    def gauss_newton_product(self, theta, v):
        along = self.logits(theta + 1j * STEP * v).imag / STEP
        z = self.logits(theta)
        p = np.exp(z - z.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        hessian = self.weights[:, None] * p * (along - (p * along).sum(axis=1, keepdims=True))
        return self.derivatives(lambda t: (hessian * self.logits(t)).sum(), theta) + self.decay * v
