"""Runs: the same as the program's, stopped, side by side, of errors."""

import json
import os
import re
import signal
import subprocess
import threading

import numpy as np
import pytest
from conftest import ROOT

import gpu_subset
from gpu_subset import SubsetClassifier

PROGRAM = os.environ.get("GPU_SUBSET_PROGRAM", ROOT / "target" / "release" / "gpu-subset")


@pytest.mark.parametrize(
    "how, options",
    [
        ({"budget": 1.0, "random_state": 3}, ["--budget", "1", "--seed", "3"]),
        ({"method": "lbfgs", "schedule": "full", "held_out": "1/10"}, ["--method", "lbfgs", "--schedule", "full",
                                                                      "--held-out", "1/10"]),
        ({"method": "adam", "budget": 2.0, "settings": {"batches.learning_rate": 0.01}},
         ["--method", "adam", "--budget", "2", "--learning-rate", "0.01"]),
        ({"budget": 2.0, "class_weight": "balanced", "label_smoothing": 0.1},
         ["--budget", "2", "--class-weights", "balanced", "--label-smoothing", "0.1"]),
    ],
)  # fmt: skip
def test_the_same_as_the_program(digits, tmp_path, how, options):
    command = [PROGRAM, "train", "--data", "digits", "--json", "--out", tmp_path / "run", *options]
    record = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    found = SubsetClassifier(**{"random_state": 0, **how}).fit(digits[0], digits[1])
    assert found.weights_.sha256 == found.record_["weights_sha256"] == record["weights_sha256"]
    assert found.record_["train_loss"] == record["train_loss"]
    assert found.score(digits[2], digits[3]) == pytest.approx(record["test_accuracy"])
    # a file of either is read by the other
    weights = gpu_subset.Weights.load(tmp_path / "run" / "weights.safetensors")
    assert np.array_equal(weights.theta, found.weights_.theta)
    found.weights_.save(tmp_path / "own.safetensors")
    command = [PROGRAM, "eval", tmp_path / "own.safetensors", "--data", "digits", "--json"]
    evaluated = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert evaluated["accuracy"] == pytest.approx(record["test_accuracy"])


def test_a_callback_is_told_of_each_step_and_may_stop(digits):
    told = []

    def callback(step):
        told.append(step)
        return len(told) == 3

    found = SubsetClassifier(budget=20.0, random_state=0, callback=callback).fit(digits[0], digits[1])
    assert found.n_iter_ == 3 and found.history_ == told and found.record_ is None
    assert [step["iteration"] for step in told] == [1, 2, 3]
    assert 0 < told[0]["progress"] < told[2]["progress"] < 1 and told[2]["loss"] < told[0]["loss"]
    assert found.score(digits[2], digits[3]) > 0.2


def test_what_a_callback_raises_comes_out(digits):
    def callback(step):
        raise LookupError("not this one")

    with pytest.raises(LookupError, match="not this one"):
        SubsetClassifier(callback=callback).fit(digits[0], digits[1])
    SubsetClassifier(budget=1.0).fit(digits[0], digits[1])  # the device is free again


def test_a_callback_that_uses_the_device_is_refused(digits, fitted):
    for use in [
        lambda step: fitted.predict(digits[2]),
        lambda step: SubsetClassifier(budget=1.0).fit(digits[0], digits[1]),
    ]:
        with pytest.raises(ValueError, match="a callback cannot use a device"):
            SubsetClassifier(callback=use).fit(digits[0], digits[1])


@pytest.mark.parametrize(
    "how", ["budget=1e6", "schedule='full', method='gauss-newton', settings={'iterations': 100000}"]
)
def test_ctrl_c_leaves_a_fitted_classifier(script, how):
    running = script(f"""
import time, warnings
import gpu_subset
X, y, X_test, y_test = gpu_subset.load()
def callback(step):
    print("step", flush=True)
classifier = gpu_subset.SubsetClassifier({how}, random_state=0, callback=callback)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    classifier.fit(X, y)
print("stopped", [str(warning.message) for warning in caught], classifier.score(X_test, y_test), flush=True)
classifier.set_params(budget=None, schedule=None, method=None, settings=None, callback=None).fit(X, y)
print("again", flush=True)
""")
    for _ in range(2):
        assert running.stdout.readline() == "step\n", running.stderr.read()
    running.send_signal(signal.SIGINT)
    line = stopped_within(running, 60)
    assert re.match(r"stopped \['Training interrupted by user.*'\] 0\.", line), line + running.stderr.read()
    assert running.stdout.readline() == "again\n", running.stderr.read()


def stopped_within(running, seconds):
    """The line that says so; by itself it would go on for hours."""
    lines = []

    def read():
        line = running.stdout.readline()
        while line == "step\n":
            line = running.stdout.readline()
        lines.append(line)

    reader = threading.Thread(target=read)
    reader.start()
    reader.join(seconds)
    assert not reader.is_alive(), "it did not stop"
    return lines[0]


def test_threads_share_a_device(digits):
    X, y, X_test, _ = digits
    alone = [SubsetClassifier(budget=1.0, random_state=seed).fit(X, y).weights_.sha256 for seed in range(4)]
    found, errors = {}, []

    def fit(seed):
        try:
            one = SubsetClassifier(budget=1.0, random_state=seed).fit(X, y)
            one.predict(X_test)
            found[seed] = one.weights_.sha256
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=fit, args=(seed,)) for seed in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not errors and [found[seed] for seed in range(4)] == alone


def test_other_threads_of_python_go_on(digits):
    counted, stop = [0], threading.Event()

    def count():
        while not stop.wait(0.001):
            counted[0] += 1

    thread = threading.Thread(target=count)
    thread.start()
    found = SubsetClassifier(budget=20.0, random_state=0).fit(digits[0], digits[1])
    stop.set()
    thread.join()
    assert counted[0] > 100 * found.record_["wall_seconds"]


def test_memory_does_not_grow(script):
    running = script("""
import os
import gpu_subset
X, y, *_ = gpu_subset.load()
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
sizes = []
for i in range(200):
    gpu_subset.SubsetClassifier(budget=1.0, random_state=i).fit(X, y).predict(X)
    sizes.append(resident())
print(max(sizes[10:]) / sizes[10])
""")
    out, err = running.communicate()
    assert running.returncode == 0, err
    assert float(out) <= 1.01


def test_errors_are_those_of_python_with_the_library_s_text(digits, tmp_path):
    X, y, *_ = digits
    for how, why in [
        ({"model": "no-such-model"}, "no-such-model"),
        ({"model": [{"kind": "dense", "units": 10}, {"kind": "conv"}]}, "missing field|model|layer"),
        ({"budget": 0.0}, "less than the first step costs"),
        ({"budget": 1.0, "schedule": "full"}, "passes, no budget"),
        ({"schedule": "never"}, "not one of sweep, paper"),
        ({"method": "newton"}, "not one of kfac, lbfgs"),
        ({"method": "adam", "schedule": "full"}, "adam, sgd and muon go with minibatch"),
        ({"settings": {"speed": 2}}, "settings, speed"),
        ({"settings": {"momentum": "fast"}}, "settings, momentum"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"augment": {"crop": 9}}, "augmentation crop=9"),
        ({"held_out": "half"}, "half"),
        ({"class_weight": {0: 0.0}}, "class_weights"),
        ({"random_state": -1}, "no seed"),
    ]:
        with pytest.raises(ValueError, match=why):
            SubsetClassifier(**how).fit(X, y)
    with pytest.raises(MemoryError):
        SubsetClassifier([30_000, 30_000]).fit(X, y)
    with pytest.raises(RuntimeError, match="no-such-device"):
        SubsetClassifier(device="no-such-device").fit(X, y)
    with pytest.raises(OSError, match="nowhere"):
        gpu_subset.load(str(tmp_path / "nowhere"))
    with pytest.raises(OSError, match="nowhere"):
        gpu_subset.Weights.load(tmp_path / "nowhere.safetensors")
    with pytest.raises(ValueError, match="one class alone"):
        SubsetClassifier().fit(X, np.zeros(len(X)))


def test_without_a_device_fit_says_so(script):
    running = script(
        """
import gpu_subset
X, y, *_ = gpu_subset.load()
try:
    gpu_subset.SubsetClassifier().fit(X, y)
except RuntimeError as error:
    print(error)
""",
        VK_DRIVER_FILES="/dev/null",
        VK_ICD_FILENAMES="/dev/null",
        WGPU_BACKEND="vulkan",
    )
    out, err = running.communicate()
    assert running.returncode == 0 and "adapter" in out, out + err
