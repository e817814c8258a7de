#!/usr/bin/env bash
# Runs of several ranks under mpirun, on this machine's adapter: the same bits for the same number of ranks, those of a
# run without MPI for one, a rank that is killed, and SIGTERM to mpirun. Installs Open MPI if need be, and builds with
# `--features mpi`.
# usage: tools/ranks.sh [KILLS, 3] [RANKS…, 2 4]: so many runs of three ranks one of which is killed
set -euo pipefail
source "$(dirname "$0")/setup.sh"
kills=${1:-3}
shift || true
[ $# -gt 0 ] || set -- 2 4
export NODEVICE_SELECT=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 LP_NUM_THREADS=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_odls_base_sigkill_timeout=3

need_mpi
cargo build --release --quiet --features mpi --bin gpu-subset
program=${CARGO_TARGET_DIR:-target}/release/gpu-subset
case $program in /*) ;; *) program=$PWD/$program ;; esac
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

fail() { printf 'error: %s\n' "$1" >&2; [ ! -f last.log ] || tail -5 last.log >&2; exit 1; }
field() { sed -n "s/.*\"$2\": *\"\{0,1\}\([^\",]*\).*/\1/p" "$1/run.json" | head -1; }
# ranks NAME N OPTIONS…
ranks() {
  local name=$1 n=$2
  shift 2
  timeout 300 mpirun -n "$n" "$program" train --out "$name" "$@" >last.log 2>&1 || fail "$name on $n ranks"
}

lbfgs=(--schedule full --method lbfgs --full-passes 12)
paper=(--schedule paper --subset 700)
sweep=(--budget 2 --batch 96)

echo "one rank under mpirun has the bits of a run without"
"$program" train --out alone "${sweep[@]}" >last.log 2>&1 || fail "a run without MPI"
ranks one 1 "${sweep[@]}"
[ "$(field alone weights_sha256)" = "$(field one weights_sha256)" ] || fail "other bits with MPI"

echo "the same ranks have the same bits"
for n in "$@"; do
  for name in lbfgs paper sweep; do
    declare -n options=$name
    for turn in 1 2; do ranks "$name-$n-$turn" "$n" "${options[@]}"; done
    [ "$(field "$name-$n-1" weights_sha256)" = "$(field "$name-$n-2" weights_sha256)" ] || fail "other bits of $name"
    printf '  %-6s on %s ranks: %s\n' "$name" "$n" "$(field "$name-$n-1" test_accuracy)"
  done
done
[ "$(grep -c '^error' last.log)" = 0 ] || fail "an error of a run that is complete"

echo "an error is said once, with its code"
code=0
timeout 60 mpirun -n 3 "$program" train --data nowhere --out refused >last.log 2>&1 || code=$?
[ "$code" = 3 ] && [ "$(grep -c '^error: ' last.log)" = 1 ] || fail "code $code in place of 3, or not one line"
[ ! -e refused ] || fail "a run that was refused left a folder"

wait_for() {
  for _ in $(seq 600); do if [ -e "$1" ]; then return 0; fi; sleep 0.05; done
  fail "no $1 after 30 s"
}
# pids of the ranks of a run
ranks_of() {
  pgrep -f "$program train .*$1" | while read -r pid; do
    if grep -qz OMPI_COMM_WORLD_RANK= "/proc/$pid/environ" 2>/dev/null; then echo "$pid"; fi
  done
}

echo "a rank that is killed ends all, and the run goes on from its checkpoint"
long=(--schedule minibatch --method adam --batch 96)
RANDOM=1 # the same ranks and moments each time
for turn in $(seq "$kills"); do
  setsid mpirun -n 3 "$program" train --out "killed-$turn" "${long[@]}" --budget 200 --checkpoint-every 0 \
    >last.log 2>&1 &
  mpirun=$!
  wait_for "killed-$turn/checkpoint.safetensors"
  sleep "$((RANDOM % 2)).$((RANDOM % 1000))"
  kill -KILL "$(ranks_of "killed-$turn" | sed -n "$((turn % 3 + 1))p")"
  code=0
  timeout 30 tail --pid=$mpirun -f /dev/null || fail "mpirun goes on after a rank was killed"
  wait $mpirun || code=$?
  [ "$code" != 0 ] || fail "a rank was killed, and mpirun says that all is well"
  [ -z "$(ranks_of "killed-$turn")" ] || fail "a rank is left behind"
  timeout 300 mpirun -n 2 "$program" train --resume "killed-$turn" >last.log 2>&1 || fail "it does not go on"
  grep -q "began on 3 ranks" last.log || fail "nothing is said of other last bits"
done

echo "SIGTERM to mpirun makes a checkpoint"
# Open MPI waits so long before it passes SIGTERM on, and once more before it kills
setsid mpirun -n 2 "$program" train --out told "${long[@]}" --budget 600 --checkpoint-every 1000 >last.log 2>&1 &
mpirun=$!
wait_for told/steps.jsonl
sleep 1
kill -TERM $mpirun
timeout 30 tail --pid=$mpirun -f /dev/null || fail "mpirun goes on after SIGTERM"
grep -q "go on with --resume" last.log || fail "rank 0 did not come to its end"
timeout 300 mpirun -n 2 "$program" train --resume told >last.log 2>&1 || fail "it does not go on"
echo "all of it as it should be"
