#!/usr/bin/env bash
# Feeds damaged files to every reader: tools/fuzz.sh [SECONDS a target, 60] [TARGET…, all]. A panic, or more than 64 MiB
# held at once, ends a target; the input is then in fuzz/artifacts/TARGET. What was found is kept in fuzz/corpus.
set -euo pipefail
source "$(dirname "$0")/setup.sh"
seconds=${1:-60}
shift || true
all=$(sed -n 's/^name = "\([a-z]*\)"$/\1/p' fuzz/Cargo.toml)
targets=("$@")
[ "${#targets[@]}" -gt 0 ] || mapfile -t targets <<<"$all"

command -v g++ >/dev/null || install g++
cargo fuzz --version >/dev/null 2>&1 || cargo install --locked cargo-fuzz
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
cargo run --quiet --release --manifest-path fuzz/Cargo.toml --example seeds -- fuzz/corpus
# the compiler's coverage passes are not stable; the code has no unsafe block for a sanitizer to watch
export RUSTC_BOOTSTRAP=1
cargo fuzz build -O --sanitizer none

built=$CARGO_TARGET_DIR/$(rustc -vV | sed -n 's/^host: //p')/release
failed=0
for target in "${targets[@]}"; do
  mkdir -p "fuzz/artifacts/$target"
  log=fuzz/artifacts/$target.log
  code=0
  "$built/$target" "fuzz/corpus/$target" -max_total_time="$seconds" -max_len=16384 -rss_limit_mb=256 -timeout=20 \
    -artifact_prefix="fuzz/artifacts/$target/" -print_final_stats=1 >"$log" 2>&1 || code=$?
  inputs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  memory=$(sed -n 's/^stat::peak_rss_mb: *//p' "$log")
  printf '%-12s %12s inputs, %4s MiB at most: ' "$target" "${inputs:-?}" "${memory:-?}"
  if [ "$code" = 0 ]; then echo "no panic"; else
    failed=1
    { grep -m1 -E 'panicked|ERROR' "$log" || echo "exit $code"; } | cut -c 1-200
  fi
done
exit "$failed"
