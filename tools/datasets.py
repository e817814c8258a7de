"""Reading IDX files and CIFAR binaries, for the PyTorch scripts beside this one."""
import gzip
import pathlib

import numpy as np


def read_mnist(folder, part):
    """Images uint8 [N][1][H][W] and labels [N] of `train` or `t10k`, gzipped or not."""
    def payload(name, header):
        path = pathlib.Path(folder) / name
        data = path.read_bytes() if path.exists() else gzip.decompress(path.with_name(f"{name}.gz").read_bytes())
        return np.frombuffer(data, np.uint8, offset=header)

    labels = payload(f"{part}-labels-idx1-ubyte", 8)
    images = payload(f"{part}-images-idx3-ubyte", 16)
    side = int((len(images) // len(labels)) ** 0.5)
    return images.reshape(-1, 1, side, side), labels


def read_cifar(paths, labels):
    """Images uint8 [N][3][32][32] and labels [N], the last of so many `labels` in front of each image."""
    rows = np.concatenate([np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, labels + 3072) for path in paths])
    return rows[:, labels:].reshape(-1, 3, 32, 32), rows[:, labels - 1]


def read(folder):
    """(training images, labels), (test images, labels) of a folder of MNIST, CIFAR-10 or CIFAR-100."""
    folder = pathlib.Path(folder)
    for inside in ("cifar-10-batches-bin", "cifar-100-binary"):  # as `gpu-subset data fetch` leaves them
        if (folder / inside).is_dir():
            folder = folder / inside
    if (folder / "test_batch.bin").exists():
        return read_cifar(sorted(folder.glob("data_batch_*.bin")), 1), read_cifar([folder / "test_batch.bin"], 1)
    if (folder / "train.bin").exists():
        return read_cifar([folder / "train.bin"], 2), read_cifar([folder / "test.bin"], 2)
    return read_mnist(folder, "train"), read_mnist(folder, "t10k")
