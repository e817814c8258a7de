#!/usr/bin/env bash
# Sets the machine up if need be, builds, and runs all tests; arguments go to `cargo test`.
set -euo pipefail
source "$(dirname "$0")/setup.sh"
export NODEVICE_SELECT=1  # a Mesa layer that looks for a display and complains where there is none
exec cargo test --release "$@"
