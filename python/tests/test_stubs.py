"""The stubs say what is there."""

import subprocess
import sys


def test_stubs_are_those_of_the_package(tmp_path):
    settings = tmp_path / "mypy.ini"
    settings.write_text("[mypy]\nignore_missing_imports = True\n")
    options = ["--ignore-missing-stub", "--mypy-config-file", settings]
    command = [sys.executable, "-m", "mypy.stubtest", "gpu_subset", *options]
    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert found.returncode == 0, found.stdout + found.stderr
