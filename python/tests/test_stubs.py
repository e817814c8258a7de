"""The stubs say what is there."""

import re
import subprocess
import sys

import pytest
from conftest import ROOT

from gpu_subset import SubsetClassifier


def test_stubs_are_those_of_the_package(tmp_path):
    settings = tmp_path / "mypy.ini"
    settings.write_text("[mypy]\nignore_missing_imports = True\n")
    options = ["--ignore-missing-stub", "--mypy-config-file", settings]
    command = [sys.executable, "-m", "mypy.stubtest", "gpu_subset", *options]
    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("alias, parameter", [("_ScheduleName", "schedule"), ("_MethodName", "method")])
def test_names_are_those_of_the_library(digits, alias, parameter):
    stub = (ROOT / "python" / "gpu_subset" / "_classifier.pyi").read_text()
    names = re.findall(r'"([^"]+)"', re.search(rf"{alias} = Literal\[(.*)\]", stub)[1])
    with pytest.raises(ValueError, match=f"^{parameter} never: not one of {', '.join(names)}$"):
        SubsetClassifier(**{parameter: "never"}).fit(digits[0], digits[1])
