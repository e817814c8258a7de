"""Reading IDX files, for the PyTorch scripts beside this one."""
import gzip
import pathlib

import numpy as np


def read(folder, part):
    """Images uint8 [N][1][H][W] and labels [N] of `train` or `t10k`, gzipped or not."""
    def payload(name, header):
        path = pathlib.Path(folder) / name
        data = path.read_bytes() if path.exists() else gzip.decompress(path.with_name(f"{name}.gz").read_bytes())
        return np.frombuffer(data, np.uint8, offset=header)

    labels = payload(f"{part}-labels-idx1-ubyte", 8)
    images = payload(f"{part}-images-idx3-ubyte", 16)
    side = int((len(images) // len(labels)) ** 0.5)
    return images.reshape(-1, 1, side, side), labels
