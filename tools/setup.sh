# Sourced by the other scripts: makes sure of a Rust toolchain and a Vulkan driver, installing Debian's where there is
# none. Does nothing on a machine that has both.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

need() { printf 'error: %s\n' "$1" >&2; exit 1; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

install() {
  command -v apt-get >/dev/null || need "install these with your package manager, then run this again: $*"
  echo "installing $*"
  as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null ||
    need "apt-get could not install $*"
}

# cargo 1.88 or later
cargo_minor() { { cargo --version 2>/dev/null || true; } | sed -n 's/^cargo 1\.\([0-9]*\)\..*/\1/p'; }
if [ -x "$HOME/.cargo/bin/cargo" ]; then PATH="$HOME/.cargo/bin:$PATH"; fi
minor=$(cargo_minor)
if [ "${minor:-0}" -lt 88 ]; then
  install rustc-web cargo-web ca-certificates gcc libc6-dev
  hash -r
  minor=$(cargo_minor)
  [ "${minor:-0}" -ge 88 ] ||
    need "cargo 1.88 or later is needed, found ${minor:+1.$minor}${minor:-none}: see https://rustup.rs"
fi

# whether a file matches one of the patterns
any() { local pattern; for pattern in "$@"; do if compgen -G "$pattern" >/dev/null; then return 0; fi; done; return 1; }

# a Vulkan driver: an ICD file where the loader looks for one, and the loader
has_vulkan() {
  if [ -n "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ]; then return 0; fi
  any "/usr/share/vulkan/icd.d/*.json" "/usr/local/share/vulkan/icd.d/*.json" "/etc/vulkan/icd.d/*.json" &&
    any "/usr/lib*/libvulkan.so.1" "/usr/lib*/*/libvulkan.so.1" "/usr/local/lib*/libvulkan.so.1"
}
[ "$(uname -s)" != Linux ] || has_vulkan || install mesa-vulkan-drivers libvulkan1

# what the feature `mpi` is built with: an MPI, and libclang for its bindings
need_mpi() {
  if ! command -v mpirun >/dev/null || ! command -v mpicc >/dev/null; then install libopenmpi-dev openmpi-bin; fi
  any "/usr/lib/llvm-*/lib/libclang*.so*" "/usr/lib/*/libclang*.so*" || install libclang-dev
}
