# Sourced by gpu_check.sh: what the machine has, the bundle around it, or the repository.

python=${PYTHON:-python3}
fail() { printf 'error: %s\n' "$2" >&2; exit "$1"; }

# the program and the kernels' tests: a bundle's, or the repository's, built if need be
find_program() {
  if [ -d "$root/bin" ]; then
    program=$root/bin/gpu-subset tests=$root/bin/kernels
  else
    command -v cargo >/dev/null || fail 1 "no bundle around this script and no cargo: make one elsewhere, --pack"
    build
  fi
}
build() {
  echo "building" >&2
  (cd "$root" && cargo build --release --quiet --bin gpu-subset) || fail 1 "cargo build failed"
  local said
  said=$(cd "$root" && cargo test --release --test kernels --no-run 2>&1) ||
    fail 1 "the kernels' tests do not build: $(tail -n 1 <<<"$said")"
  tests=$(sed -n 's/.*(\(.*kernels-[0-9a-f]*\)).*/\1/p' <<<"$said")
  tests=$(cd "$root" && realpath "$tests")
  program=${tests%/deps/*}/gpu-subset
}

find_data() {
  if [ -n "$data" ]; then
    [ -d "$data" ] || fail 1 "$data: no such folder"
  elif [ -d "$root/data" ]; then
    data=$root/data
  else
    data=${GPU_SUBSET_DATA:-${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/gpu-subset/data}
  fi
}

# Vulkan: libraries of the bundle where the machine has none, and a driver in a place where no loader looks
find_driver() {
  local library folder=$work/lib icd
  export WGPU_BACKEND=vulkan NODEVICE_SELECT=1 # the second: no layer of Mesa that looks for a display
  mkdir "$folder"
  for library in "$root"/lib/*.so*; do
    [ -e "$library" ] || continue
    ldconfig -p 2>/dev/null | grep -qF "${library##*/} " || ln -s "$library" "$folder/"
  done
  if [ -n "$(ls "$folder")" ]; then
    echo "libraries of the bundle: $(ls "$folder" | xargs)" >&2
    export LD_LIBRARY_PATH=$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  fi
  icd=/usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json # in containers
  if [ -z "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ] && [ -e $icd ]; then
    export VK_DRIVER_FILES=$icd VK_ICD_FILENAMES=$icd
  fi
}

# Drivers keep machine code on disk, and this program its tiles: in this folder, whatever the machine knew before.
# XDG_CACHE_HOME is this program's, and Mesa's and NVIDIA's default; the others go before it where somebody set them.
fresh_caches() {
  mkdir -p "$1"
  export XDG_CACHE_HOME=$1
  export __GL_SHADER_DISK_CACHE=1 __GL_SHADER_DISK_CACHE_PATH=$1               # NVIDIA, Vulkan as well
  export MESA_SHADER_CACHE_DIR=$1 MESA_GLSL_CACHE_DIR=$1                       # Mesa, and Mesa before 22.3
  export AMD_SHADER_DISK_CACHE_PATH=$1                                         # AMD's own driver
  export CUDA_CACHE_PATH=$1 TORCHINDUCTOR_CACHE_DIR=$1/inductor TRITON_CACHE_DIR=$1/triton
}

names() { sed -n 's/.*"name": "\(.*\)",/\1/p' "$out/01-devices.json" | sort -u | paste -sd , | sed 's/^$/none/'; }

# the device for PyTorch; where there is none, why is in $work/torch.err
find_torch() {
  torch=cuda
  timeout 30 "$python" -c 'import numpy, torch
assert torch.cuda.is_available(), f"PyTorch {torch.__version__} sees no CUDA device"' >"$work/torch.err" 2>&1 && return
  [ -n "$software" ] && torch=cpu && timeout 30 "$python" -c 'import numpy, torch' >"$work/torch.err" 2>&1
}
