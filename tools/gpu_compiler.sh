#!/usr/bin/env bash
# What a real GPU's compiler makes of the kernels, without a GPU. AMD's Vulkan driver (RADV, of Mesa) opens as hardware
# that is not there, and compiles for any family; a layer (tools/gpu_compiler/null_gpu.c) lets wgpu use it, and whole
# trainings run on it, computing nothing. Prints tables: every kernel in use, and a step of two trainings.
#   tools/gpu_compiler.sh [--check] [--profile discrete,scalar,portable] [--family navi21,navi31,vega10] [--kernel NAME]
#   --check    compares with tools/gpu_compiler/limits.toml instead
#   --kernel   shows only kernels whose name, in short, holds NAME, and no step
# Downloads Mesa 25.0.7 of Debian's backports once, 13 MB, into the cache folder; RADV_ICD=FILE takes another RADV.
# Where there is none it says so, and fails if CI is set. The trainings need GPU_SUBSET_DATA, or the cache's data sets.
set -euo pipefail
source "$(dirname "$0")/setup.sh"
here=$PWD/tools/gpu_compiler
cache=${XDG_CACHE_HOME:-$HOME/.cache}/gpu-subset
radv=$cache/radv
data=${GPU_SUBSET_DATA:-$cache/data}

check='' profiles=discrete,scalar,portable families=navi21,navi31,vega10 kernel=''
while [ $# -gt 0 ]; do
  case $1 in
    --check) check=--check ;;
    --profile) profiles=${2:-}; shift ;;
    --family) families=${2:-}; shift ;;
    --kernel) kernel=${2:-}; shift ;;
    *) need "$1: no such option; see the head of tools/gpu_compiler.sh" ;;
  esac
  shift || need "an option lacks its value"
done

# what cannot be judged is said, and an error in CI alone
cannot() {
  [ -z "${CI:-}" ] || need "$1"
  echo "not judged: $1" >&2
}

# Debian's packages, unpacked below the cache: apt with sources and lists of its own, signed by Debian's keys
fetch() {
  local keys=/usr/share/keyrings/debian-archive-keyring.gpg apt=$radv/apt suite
  command -v apt-get >/dev/null || return 1
  [ -f "$keys" ] || install debian-archive-keyring
  rm -rf "$radv"
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/debs"
  for suite in bookworm bookworm-backports; do
    echo "deb [signed-by=$keys] http://deb.debian.org/debian $suite main"
  done >"$apt/sources.list"
  local options=(-qq -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=-
    -o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o "APT::Sandbox::User=$(id -un)"
    -o APT::Update::Error-Mode=any -o Acquire::Languages=none
    -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false)
  echo "downloading Mesa's RADV of Debian's backports"
  apt-get "${options[@]}" update >"$work/said" 2>&1 || return 1
  (cd "$apt/debs" && apt-get "${options[@]}" download {mesa-vulkan-drivers,libdrm{2,-amdgpu1}}/bookworm-backports \
    {libllvm15,libvulkan-dev}/bookworm) >"$work/said" 2>&1 || return 1
  for deb in "$apt"/debs/*.deb; do dpkg -x "$deb" "$radv" || return 1; done
  rm -rf "$apt"
  touch "$radv/complete"
}

# the driver as the loader wants it, and where its libraries are
driver() {
  if [ -n "${RADV_ICD:-}" ]; then
    cp "$RADV_ICD" "$work/icd.json"
    [ -f /usr/include/vulkan/vk_layer.h ] || install libvulkan-dev
    return
  fi
  if [ ! -f "$radv/complete" ] && ! fetch; then
    cannot "Mesa's packages cannot be had from Debian ($(grep -sm1 '^[EW]: ' "$work/said" || echo "no apt-get"));\
 RADV_ICD=FILE names the .json of a RADV that is there"
    exit
  fi
  local library lacks
  library=$(find "$radv/usr/lib" -name libvulkan_radeon.so)
  libraries=$(dirname "$library")
  printf '{"file_format_version": "1.0.0", "ICD": {"library_path": "%s", "api_version": "1.3.0"}}' "$library" \
    >"$work/icd.json"
  lacks=$(LD_LIBRARY_PATH=$libraries ldd "$library" | awk '/not found/ {print $1}')
  if [ -n "$lacks" ]; then
    cannot "RADV needs ${lacks//$'\n'/ }, which the packages mesa-vulkan-drivers and libllvm15 bring along"
    exit
  fi
}

layer() {
  command -v cc >/dev/null || install gcc libc6-dev
  cc -O2 -Wall -Wextra -Wno-unused-parameter -shared -fPIC -Wl,-Bsymbolic -I "$radv/usr/include" \
    -o "$work/layer/libnull_gpu.so" "$here/null_gpu.c" -lpthread
  printf '{"file_format_version": "1.0.0", "layer": {"name": "VK_LAYER_null_gpu", "type": "GLOBAL",
    "library_path": "%s", "api_version": "1.3.0", "implementation_version": "1", "description": "no GPU"}}' \
    "$work/layer/libnull_gpu.so" >"$work/layer/null_gpu.json"
}

# on FAMILY COMMAND...: a command on hardware of this family that is not there; what it says is shown where it fails
on() {
  local family=$1
  shift
  { env VK_LAYER_PATH="$work/layer" VK_INSTANCE_LAYERS=VK_LAYER_null_gpu VK_DRIVER_FILES="$work/icd.json" \
    VK_ICD_FILENAMES="$work/icd.json" RADV_FORCE_FAMILY="$family" MESA_SHADER_CACHE_DISABLE=1 NODEVICE_SELECT=1 \
    WGPU_BACKEND=vulkan WGPU_DEBUG=1 WGPU_ADAPTER_NAME=RADV ${libraries:+LD_LIBRARY_PATH="$libraries"} "$@" \
    >"$work/said" 2>&1; } 2>/dev/null || { cat "$work/said" >&2; need "$* failed on $family"; }
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -B -m unittest discover -q -s "$here" 2>"$work/said" || { cat "$work/said" >&2; need "the gate is broken"; }
mkdir "$work/results" "$work/layer"
libraries=''
driver
layer
# GPU_SUBSET_FEATURES: those that are built already, so that nothing is built once more
cargo build --quiet --release ${GPU_SUBSET_FEATURES:+--features "$GPU_SUBSET_FEATURES"} \
  --bin gpu-subset --example kernels_in_use
built=${CARGO_TARGET_DIR:-target}/release
on navi21 "$built/gpu-subset" devices
sed -n 's/.*radv Mesa \([0-9.]*\).*/\1/p' "$work/said" >"$work/results/mesa"
for profile in ${profiles//,/ }; do
  for family in ${families//,/ }; do
    NULL_GPU_STATISTICS=$work/results/$profile.$family.kernels on "$family" "$built/examples/kernels_in_use" "$profile"
  done
done
trainings=$(python3 -B "$here/gate.py")
if [ -n "$kernel" ]; then trainings=''; fi
while read -r name set budget; do
  [ -n "$name" ] || continue
  if [ ! -d "$data/$set" ]; then
    cannot "a step of $name: there is no $data/$set (GPU_SUBSET_DATA)"
    continue
  fi
  NULL_GPU_TRACE=$work/results/$name.trace on navi21 "$built/gpu-subset" train --no-autotune --data "$data/$set" \
    --budget "$budget" --out "$work/$name"
done <<<"$trainings"
python3 -B "$here/report.py" "$work/results" $check --kernel "$kernel"
