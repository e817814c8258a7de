#!/bin/sh
# A large Kronecker factor, its inverse and a product with it against f64, at each size, on each software adapter that
# is installed: lavapipe, llvmpipe's GL (Debian: libegl1 libgl1-mesa-dri) and SwiftShader (Debian: chromium, or the path
# of libvk_swiftshader.so in SWIFTSHADER). A line a size: errors and seconds of factor, inverse and product, or why it
# is refused; anything else than right or refused fails.
# usage: tools/factor_table.sh [ROWS...]
set -u
cd "$(dirname "$0")/.."
program=${GPU_SUBSET:-target/release/gpu-subset}
[ -x "$program" ] || cargo build --release --quiet
swiftshader=${SWIFTSHADER:-/usr/lib/chromium/libvk_swiftshader.so}
icd=$(mktemp --suffix .json)
trap 'rm -f "$icd"' EXIT
printf '{"file_format_version":"1.0.0","ICD":{"library_path":"%s","api_version":"1.3.0"}}' "$swiftshader" > "$icd"
failed=0

table() { # NAME PATTERN [VARIABLE=VALUE...]: sizes on the adapter whose name holds PATTERN
  name=$1 pattern=$2
  shift 2
  if ! env "$@" "$program" devices 2>&1 | grep -q "$pattern"; then
    echo "$name: not installed"
    return
  fi
  for size in $rows; do
    out=$(env "$@" "$program" bench factors --rows "$size" --adapter "$pattern" 2>&1)
    case $? in
      0) echo "$name: $(echo "$out" | tail -n 1)" ;;
      5) echo "$name: $size refused: $(echo "$out" | grep error)" ;;
      *) echo "$name: $size FAILED: $out"; failed=1 ;;
    esac
  done
}

rows=${*:-4097 4731 5761 6145 8193}
echo "adapter: rows, errors of factor, inverse, product; seconds of each"
table lavapipe llvmpipe WGPU_BACKEND=vulkan
table gl llvmpipe WGPU_BACKEND=gl
table SwiftShader SwiftShader WGPU_BACKEND=vulkan VK_DRIVER_FILES="$icd" VK_ICD_FILENAMES="$icd"
exit $failed
