#!/usr/bin/env bash
# What a GPU does with this program, in eight minutes at most: right or not, start-up, kernels, steps, whole trainings,
# and PyTorch's Adam on the same GPU. Every part has a limit and writes its result into OUT at once, the most valuable
# first; OUT/summary.md has the figures.
#
#   tools/gpu_check.sh [--software] [--scale S] [--limits F] [--data DIR] OUT
#   tools/gpu_check.sh --pack FILE     a bundle for a machine without network or compiler: tar xf FILE there, then
#                                      gpu-check/tools/gpu_check.sh OUT
#
# --software lets a software adapter pass; --scale multiplies budgets, epochs and repetitions (0.1 for a rehearsal),
# --limits the limits of all parts. DIR holds mnist/ and cifar-10/ ($GPU_SUBSET_DATA by default). $PYTHON (python3) runs
# the summary, and the last part where it has torch and numpy. Files: NN-name.json or .txt, NN-name.err, status.tsv.
set -uo pipefail
PATH=$PATH:/usr/sbin:/sbin # of ldconfig
root=$(cd "$(dirname "$0")/.." && pwd)
source "$root/tools/gpu_check_machine.sh"

software='' scale=1 limits=1 data='' out=''
while [ $# -gt 0 ]; do
  case $1 in
    --software) software=nothing ;; # no class is called so
    --scale | --limits | --data | --pack)
      [ $# -gt 1 ] || fail 2 "$1: a value is missing"
      case $1 in
        --pack) source "$root/tools/gpu_check_pack.sh" && pack "$2"; exit ;;
        --data) data=$2 ;;
        *) [[ $2 =~ ^[0-9]*\.?[0-9]+$ && $2 =~ [1-9] ]] || fail 2 "$1 $2: expected a number above zero"
           if [ "$1" = --scale ]; then scale=$2; else limits=$2; fi ;;
      esac
      shift ;;
    -*) fail 2 "$1: no such option; they are --software, --scale, --limits, --data and --pack" ;;
    *) [ -z "$out" ] || fail 2 "$1: one folder is enough, $out was named before"; out=$1 ;;
  esac
  shift
done
[ -n "$out" ] || fail 2 "usage: tools/gpu_check.sh [--software] [--scale S] [--limits F] [--data DIR] OUT | --pack FILE"
[ -z "$(ls -A "$out" 2>/dev/null)" ] || fail 2 "$out is not empty; name a new folder"
mkdir -p "$out" && out=$(cd "$out" && pwd) || fail 1 "$out: cannot be made"
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
find_data
find_program
find_driver
fresh_caches "$work/first"

# a number times the scale, but at least $2
scaled() { awk -v v="$1" -v s="$scale" -v least="${2:-0}" 'BEGIN { v *= s; print (v > least ? v : least) }'; }
count() { scaled "$1" 1 | sed 's/\..*//'; }
whole() { awk -v s="$1" -v f="$limits" 'BEGIN { print s * f }'; }

number=0 running=''
trap 'kill $running 2>/dev/null; exit 130' INT TERM # bash would wait for the part first
ends=$(awk -v now="$EPOCHREALTIME" -v f="$limits" 'BEGIN { print now + 450 * f }')
note() { # NAME STATUS SECONDS: one line into status.tsv, and on stderr
  printf '%02d\t%s\t%s\t%s\n' "$number" "${1%.*}" "$2" "$3" >>"$out/status.tsv"
  printf '%02d %-28s %-12s %s s\n' "$number" "${1%.*}" "$2" "$3" >&2
}
skip() { number=$((number + 1)); note "$1" "skipped" 0; echo "$2" >"$out/$(printf %02d $number)-${1%.*}.err"; }
part() { # FILE LIMIT COMMAND...: runs it under its limit, or what is left of the whole
  local name=$1 limit status began=$EPOCHREALTIME stem
  number=$((number + 1)) stem=$out/$(printf %02d $number)-${name%.*}
  limit=$(awk -v now="$began" -v ends="$ends" -v of="$(whole "$2")" 'BEGIN { l = ends - now; print (l < of ? l : of) }')
  shift 2
  if [[ $limit == -* || $limit == 0 ]]; then note "$name" "not reached" 0; return 1; fi
  timeout --kill-after=5 "$limit" "$@" >"$stem.${name##*.}" 2>"$stem.err" </dev/null &
  running=$!
  wait $running
  status=$?
  [ -s "$stem.err" ] || rm -f "$stem.err"
  case $status in 0) result=ok ;; 124 | 137) result="cut" ;; *) result="failed ($status)" ;; esac
  note "$name" "$result" "$(awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }')"
  return $status
}
train() { # FILE LIMIT SET BUDGET OPTIONS...: a whole run, its record as the result
  local name=$1 limit=$2 set=$3 budget=$4
  shift 4
  has_data "$name" "$set" || return
  part "$name" "$limit" "$program" train --data "$data/$set" --budget "$budget" --json --out "$work/$name" "$@"
}
start() { # NAME OPTIONS...: a run whose start counts, and its first record
  local name=$1 began=$EPOCHREALTIME
  shift
  train "$name.json" 20 mnist "$(scaled 0.22)" "$@"
  [ -s "$work/$name.json/steps.jsonl" ] || return
  awk -v began="$began" -v made="$(stat -c %.Y "$work/$name.json/config.toml")" -F '"wall_seconds":' \
    'NR == 1 { sub(/[,}].*/, "", $2); printf "{\"before_training\":%.3f,\"to_first_record\":%.3f}\n", made - began, \
    made - began + $2 }' "$work/$name.json/steps.jsonl" >"$out/$(printf %02d $number)-$name.first.json"
}
has_data() { [ -d "$data/$2" ] || { skip "$1" "no $2/ in ${data:-a folder of data}: --data DIR"; return 1; }; }

# 1. the device: without one nothing else is worth the time
part devices.json 15 "$program" devices --json
if ! grep '"class"' "$out/01-devices.json" | grep -qv "${software:-software}"; then
  fail 4 "no Vulkan adapter that is a GPU (found: $(names)); install its driver, or let a software one pass: --software"
fi
part machine.txt 5 bash -c 'uname -srm; nproc; cat /etc/os-release; env | grep -E "^(VK|LD|WGPU|XDG|MESA|__GL)_"'
if command -v nvidia-smi >/dev/null; then
  part nvidia-smi.txt 10 nvidia-smi -q
  nvidia-smi dmon -s puc -o T >"$out/dmon.txt" 2>/dev/null & dmon=$!
  trap 'kill $dmon 2>/dev/null; rm -rf "$work"' EXIT
else
  skip nvidia-smi.txt "no nvidia-smi: clocks are not known"
fi
part doctor.json 20 "$program" doctor --json

# 2. right, kernel by kernel, in every profile
part kernel-tests.txt 70 "$tests"

# 3. start-up: with no machine code, with machine code, and timing tiles; what follows goes on with these caches
fresh_caches "$work/start"
start cold --no-autotune
start warm --no-autotune
start tuning

# 4. where a step's time goes, at the usual size of subsets and larger ones
sweep() { # SET SIZE BUDGET
  local name=sweep-$1-$2.json batch=()
  [ "$2" = usual ] || batch=(--batch "$2")
  has_data "$name" "$1" || return
  part "$name" 15 "$program" bench sweep --data "$data/$1" --budget "$3" "${batch[@]}" --json
}
sweep mnist usual "$(scaled 0.22 0.02)"
sweep cifar-10 usual "$(scaled 1.05 0.05)"
sweep mnist 192 "$(scaled 0.4 0.15)"
sweep cifar-10 192 "$(scaled 0.5 0.18)"
sweep mnist 768 "$(scaled 1.2 0.6)"
sweep cifar-10 768 "$(scaled 1.4 0.7)"

# 5. to 7. kernels against the device's ceilings, passes, factors, whole sweeps
repetitions=$(count 5)
part kernels.json 50 "$program" bench kernels --no-autotune --repetitions "$repetitions" --json
part kernels-tuned.json 60 "$program" bench kernels --tune --repetitions "$repetitions" --json
part objective.json 20 "$program" bench objective --examples "$(count 12000)" --repetitions "$repetitions" --json
part factors.json 15 "$program" bench factors --repetitions "$repetitions" --json
for seed in 0 1 2; do train mnist-$seed.json 10 mnist "$(scaled 0.22)" --seed $seed; done
for seed in 0 1 2; do train cifar-10-$seed.json 15 cifar-10 "$(scaled 1.05)" --seed $seed; done

# 8. Adam to the same accuracy; what takes longest to compile last
adam() { # SET MODE LIMIT OPTIONS...
  local name=adam-$1-$2.jsonl set=$1 mode=$2 limit=$3
  shift 3
  has_data "$name" "$set" || return
  part "$name" "$limit" "$python" "$root/tools/adam_baseline.py" "$data/$set" --device "$torch" --mode "$mode" --json \
    "$@"
}
if find_torch; then
  for mode in eager graphs compile; do
    adam mnist $mode 40 --epochs "$(scaled 1.4)"
    adam cifar-10 $mode 45 --epochs "$(scaled 3.3)" --rate 4e-3
  done
else
  skip adam.jsonl "no torch with a GPU: $(tail -n 1 "$work/torch.err")"
fi
"$python" "$root/tools/gpu_check_summary.py" "$out"
