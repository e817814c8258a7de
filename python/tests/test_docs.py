"""The programs of docs/python.md run, but for those that read data of one's own."""

import re

import pytest
from conftest import ROOT
from test_estimator import EXPECTED_FAILURES

PAGE = (ROOT / "docs" / "python.md").read_text()
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_page_has_programs():
    assert len(PROGRAMS) == 5 and sum("my-pictures" in program for program in PROGRAMS) == 1


def test_its_programs_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for program in PROGRAMS:
        if "my-pictures" not in program:
            exec(program, names)
    assert capsys.readouterr().out.startswith("0.944")
    assert names["ours"].estimator.get_params()["model"] == [64, 64]
    assert names["largest"][-1] > 1e-3


@pytest.mark.parametrize("check", EXPECTED_FAILURES)
def test_what_is_expected_to_fail_has_its_reason_there(check):
    assert f"- `{check}`: " in PAGE


@pytest.mark.parametrize("name", ["test_loss.py", "examples/digits.ipynb"])
def test_what_it_names_is_there(name):
    assert name in PAGE
    assert list((ROOT / "python").rglob(name.split("/")[-1]))
