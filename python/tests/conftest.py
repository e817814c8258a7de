"""What the tests share. They need a device; a software one will do."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import gpu_subset

# Mesa's layer that reorders devices complains on a machine without a display
os.environ.setdefault("NODEVICE_SELECT", "1")

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def digits():
    """X, y, X_test, y_test: pictures (n, 8, 8) of bytes."""
    return gpu_subset.load("digits")


@pytest.fixture(scope="session")
def features(digits):
    """The same as features (n, 64) of float32."""
    X, y, X_test, y_test = digits
    return [X.reshape(len(X), -1).astype(np.float32), y, X_test.reshape(len(X_test), -1).astype(np.float32), y_test]


@pytest.fixture(scope="session")
def fitted(digits):
    """A classifier of the digits, at a small budget."""
    X, y, *_ = digits
    return gpu_subset.SubsetClassifier(budget=2.0, random_state=0).fit(X, y)


@pytest.fixture
def script():
    """Starts a Python of its own on some code."""
    running = []

    def start(code, **environment):
        process = subprocess.Popen(
            [sys.executable, "-u", "-c", code],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()


@pytest.fixture
def seconds():
    """Seconds since the test began."""
    start = time.monotonic()
    return lambda: time.monotonic() - start
