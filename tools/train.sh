#!/usr/bin/env bash
# Sets the machine up if need be, builds, and trains: `gpu-subset train` with the arguments given here.
set -euo pipefail
source "$(dirname "$0")/setup.sh"
exec cargo run --release --bin gpu-subset -- train "$@"
