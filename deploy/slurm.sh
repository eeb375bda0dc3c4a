#!/usr/bin/env bash
#SBATCH --job-name=corpus
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --mem=0
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@300
# Run `corpus` on a Ray cluster of the nodes of a Slurm job, which ends with the command and with its exit code:
#   sbatch --nodes=16 deploy/slurm.sh build CC-MAIN-2026-43 --limit 1000 -o /shared/out
# `corpus` and `ray` must be in PATH on every node. docs/cluster.md says how a job stops and continues.
set -euo pipefail

# Each job has a token of its own. It is in no command line and in no file.
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0

# the address by which Slurm reaches this node, as a node may have several networks
address() {
  scontrol show node "$SLURMD_NODENAME" | sed -n 's/.*NodeAddr=\([^ ]*\).*/\1/p' | xargs getent ahostsv4 |
    awk 'NR == 1 {print $1}'
}

# `ray start` with these options, in a private folder on this node, until SIGTERM. Ray opens its own folder to everyone,
# so that is one level below. Ray gives up if one of its processes needs 15 s to start, as on a busy machine, so it is
# started up to three times. Results are small, so the object store is, too. Nobody reads what the log monitor sends.
# Other jobs may be on this node, so workers take any free port.
ray_node() {
  local folder stopped=
  trap 'stopped=yes; kill $!' TERM
  folder=$(mktemp -d /tmp/ray-XXXXXXXX)
  ulimit -n "$(ulimit -Hn)"
  for _ in 1 2 3; do
    [[ ! $stopped ]] || break
    ray start "$@" --block --node-ip-address="$(address)" --temp-dir="$folder/r" --object-store-memory=100000000 \
      --min-worker-port=0 --max-worker-port=0 --include-log-monitor=false &
    until wait; do :; done
  done
  rm -rf "$folder"
}
export -f address ray_node

# The first node has Ray's head and the driver, for which it keeps one CPU if it has several.
port=$((20000 + SLURM_JOB_ID % 10000)) # above the ports of Ray's workers, below those that Linux gives to clients
head=$(address)
exec 3< <(ray_node --head --port=$port --include-dashboard=false \
  --num-cpus=$((SLURM_CPUS_ON_NODE > 1 ? SLURM_CPUS_ON_NODE - 1 : 1)) 2>&1)
node=$!
until [[ ${line=} == *"Ray runtime started"* ]]; do
  read -r line <&3 # at the end of the output Ray has ended, and so does this script
  echo "$line"
done
cat <&3 &
others=$((SLURM_JOB_NUM_NODES - 1)) step=
if ((others)); then # not by `ray symmetric-run`, whose end stops every Ray process of this user on the machine
  srun --nodes=$others --ntasks=$others --exclude="$SLURMD_NODENAME" --cpu-bind=none --kill-on-bad-exit=0 --wait=0 \
    bash -c 'ray_node --address="$0" --num-cpus="$SLURM_CPUS_ON_NODE"' "$head:$port" &
  step=$!
fi

# The nodes join while the command runs, so it must know how many CPUs there will be: "32(x3),16" are 112.
if [[ " $* " != *" --workers"[\ =]* ]]; then
  workers=0
  for part in ${SLURM_JOB_CPUS_PER_NODE//,/ }; do
    times=${part#*x}
    [[ $part == *x* ]] || times=1
    workers=$((workers + ${part%%(*} * ${times%)}))
  done
  set -- "$@" --workers $workers
fi
corpus "$@" --address "$head:$port" &
driver=$!
again=
trap 'again=yes; kill "$driver"' USR1 # the time is almost up
trap 'kill "$driver"' INT
trap : TERM # Slurm sends it to every process of this node, and a second one would mean: stop at once
while kill -0 "$driver" 2>/dev/null; do
  wait "$driver" || true
done
code=0
wait "$driver" || code=$?
trap '' USR1 INT
kill "$node" 2>/dev/null || true
[[ ! $step ]] || scancel --ctld --signal=TERM "$SLURM_JOB_ID.0" || true
end=$((SECONDS + 30)) # what is left then, Slurm kills
while ((SECONDS < end)) && kill -0 "$node" $step 2>/dev/null; do
  sleep 0.5
done
if [[ $again && $code == 143 ]]; then # it stopped after the units in work, and the same command continues
  scontrol requeue "$SLURM_JOB_ID"
fi
exit $code
