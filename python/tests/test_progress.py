"""What follows a training."""

import builtins

from gpu_subset import SubsetClassifier, devices


def test_without_tqdm_lines_follow_a_training(digits, monkeypatch, capsys):
    imported = builtins.__import__

    def without(name, *rest, **named):
        if name.startswith("tqdm"):
            raise ImportError(name)
        return imported(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    told = []
    SubsetClassifier(budget=4.0, verbose=True, callback=told.append).fit(digits[0], digits[1])
    lines = capsys.readouterr().err.splitlines()
    assert all("%: loss" in line for line in lines)
    assert lines[-1].startswith("100%: loss") and 2 < len(lines) <= 11 and len(told) >= len(lines)


def test_a_bar_follows_a_training(digits, capsys):
    SubsetClassifier(budget=4.0, verbose=True).fit(digits[0], digits[1])
    assert "loss" in capsys.readouterr().err


def test_adapters_are_listed():
    assert {"name", "backend", "driver", "class", "usable"} <= devices()[0].keys()
