# Sourced by gpu_check.sh --pack: program, tests, data and scripts in one file for a machine without a compiler.

MOST=$((60 << 20)) # bytes
LEVELS=14          # of a pixel of CIFAR-10, of 256: the whole set in 43 MB, and a sweep's accuracy stays in its spread
LIBRARIES="libvulkan.so.1 libX11.so.6 libXext.so.6 libxcb.so.1 libXau.so.6 libXdmcp.so.6 libbsd.so.0 libmd.so.0
  libGLX.so.0 libEGL.so.1 libGLdispatch.so.0"

pack() { # FILE
  local file bundle size library path
  [ -d "$root/bin" ] && fail 2 "--pack: this is a bundle already; pack in the repository"
  command -v xz >/dev/null || fail 1 "--pack: xz is missing"
  file=$(realpath -m "$1") bundle=$(mktemp -d)/gpu-check
  mkdir -p "$bundle"/{bin,lib,data/mnist,data/cifar-10,tools}
  data=''
  find_data
  build
  strip -o "$bundle/bin/gpu-subset" "$program" && strip -o "$bundle/bin/kernels" "$tests" || fail 1 "strip failed"
  for library in $LIBRARIES; do
    path=$(ldconfig -p | awk -v name="$library" '$1 == name && /x86-64|AArch64/ { print $NF; exit }')
    [ -z "$path" ] || cp -L "$path" "$bundle/lib/$library"
  done
  cp "$root"/tools/{gpu_check.sh,gpu_check_machine.sh,gpu_check_summary.py,adam_baseline.py,adam_steps.py,datasets.py} \
    "$bundle/tools/"
  cp "$data"/mnist/{train,t10k}-{images-idx3,labels-idx1}-ubyte* "$bundle/data/mnist/" || fail 1 "$data/mnist: no MNIST"
  gunzip -f "$bundle"/data/mnist/*.gz 2>/dev/null
  "$python" - "$LEVELS" "$data/cifar-10" "$bundle/data/cifar-10" <<'PY' || fail 1 "$data/cifar-10: no CIFAR-10"
import pathlib, sys
levels, source, target = int(sys.argv[1]), pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
step = 255 / (levels - 1)
rounded = bytes(round(round(value / step) * step) for value in range(256))
for name in [f"data_batch_{batch}.bin" for batch in range(1, 6)] + ["test_batch.bin"]:
    data = (source / name).read_bytes()
    records = (data[at:at + 3073] for at in range(0, len(data), 3073))
    (target / name).write_bytes(b"".join(record[:1] + record[1:].translate(rounded) for record in records))
PY
  echo "gpu-subset $(git -C "$root" describe --always --dirty); CIFAR-10's pixels rounded to $LEVELS levels" \
    >"$bundle/BUNDLE"
  # an image's bytes depend on the one before: all four upper bits of it are the context
  tar -C "${bundle%/*}" --owner=0 --group=0 -cf - gpu-check |
    xz --lzma2=preset=0,mode=normal,mf=hc4,depth=2,nice=16,lc=4,lp=0,pb=0,dict=8MiB >"$file" ||
    fail 1 "$file: not written"
  rm -rf "${bundle%/*}"
  size=$(stat -c %s "$file")
  [ "$size" -le $MOST ] || fail 1 "$file: $size bytes, more than $MOST; fewer levels of CIFAR-10 make it smaller"
  echo "$file: $size bytes"
}
