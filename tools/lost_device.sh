#!/usr/bin/env bash
# tools/lost_device.sh [LOSSES]: destroys the device at random steps of runs by several methods, LOSSES (8) of each
# besides the first and last step, the start and the end of a stage, and at random moments. Every run must come to the
# bits and records of an undisturbed one.
set -euo pipefail
cd "$(dirname "$0")/.."
LOSSES="${1:-8}" cargo test --release --test recovery -- --nocapture
