#!/usr/bin/env bash
# Installs the Python package into a clean virtual environment, builds its wheel, and runs its tests; arguments go to
# pytest. Without PyPI it does nothing but say so, which is an error in CI alone.
set -euo pipefail
source "$(dirname "$0")/setup.sh"
export NODEVICE_SELECT=1 # a Mesa layer that looks for a display and complains where there is none
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}

cache=${XDG_CACHE_HOME:-$HOME/.cache}/gpu-subset
venv=$cache/python
rm -rf "$venv" "$cache/wheels"
python3 -m venv "$venv"
if ! "$venv/bin/pip" install -q 'maturin>=1.9,<2'; then
  echo "NOT TESTED: PyPI cannot be reached, so the Python package is neither installed nor tested" >&2
  [ -z "${CI:-}" ] || exit 1
  exit 0
fi
"$venv/bin/maturin" build --release --quiet --out "$cache/wheels"
# pip builds it once more, as a user's would; of what is compiled already nothing is
"$venv/bin/pip" install -q '.[test]'
echo "wheel: $(ls "$cache/wheels")"

# GPU_SUBSET_PROGRAM: the program that the same seed is compared with; otherwise it is built
if [ -z "${GPU_SUBSET_PROGRAM:-}" ]; then
  cargo build --release --quiet
  export GPU_SUBSET_PROGRAM=$CARGO_TARGET_DIR/release/gpu-subset
fi
exec "$venv/bin/pytest" --quiet "$@"
