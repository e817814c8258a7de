#!/usr/bin/env bash
# Every bit of the digits' weights.safetensors, and 10,000 bits of a checkpoint: each file with one bit flipped has to
# be refused by the readers that `eval`, `report` and `train --resume` use, and a few by the program itself, in one line
# with exit code 3. Builds what it needs; some minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
export NODEVICE_SELECT=1  # a Mesa layer that looks for a display and complains where there is none
cargo build --quiet --release --example flip_bits --bin gpu-subset
built="${CARGO_TARGET_DIR:-target}/release"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"$built/gpu-subset" train --budget 2 --out "$folder/run" >/dev/null 2>&1
"$built/examples/flip_bits" "$folder/run/weights.safetensors"

# a run that is killed leaves its checkpoint
"$built/gpu-subset" train --budget 200 --checkpoint-every 0 --out "$folder/killed" >/dev/null 2>&1 &
while [ ! -s "$folder/killed/checkpoint.previous.safetensors" ]; do sleep 0.1; done
kill -KILL $!
wait $! || true
"$built/examples/flip_bits" "$folder/killed/checkpoint.safetensors" 10000

# flip BYTE FILE: the lowest bit
flip() {
  local value
  value=$(od -An -tu1 -j "$1" -N1 "$2")
  printf "\\x$(printf %x $((value ^ 1)))" | dd of="$2" bs=1 seek="$1" conv=notrunc status=none
}
# refused COMMAND: one line on stderr, exit code 3
refused() {
  local code=0
  "$built/gpu-subset" "$@" >/dev/null 2>"$folder/said" || code=$?
  if [ "$code" != 3 ] || [ "$(grep -c '^error: ' "$folder/said")" != 1 ]; then
    echo "$* ended with $code: $(cat "$folder/said")"
    exit 1
  fi
}
rm -f "$folder/killed/checkpoint.previous.safetensors"
count=0
for file in run/weights killed/checkpoint; do
  size=$(stat -c %s "$folder/$file.safetensors")
  for byte in 0 9 40 200 900 1500 $((size / 2)) $((size - 1)); do
    flip "$byte" "$folder/$file.safetensors"
    if [ "$file" = run/weights ]; then refused eval "$folder/run"; else refused train --resume "$folder/killed"; fi
    flip "$byte" "$folder/$file.safetensors"
    count=$((count + 1))
  done
done
"$built/gpu-subset" eval "$folder/run" >/dev/null
echo "the program: $count of $count refused with exit code 3, and the whole file is read"
