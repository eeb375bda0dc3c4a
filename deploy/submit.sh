#!/usr/bin/env bash
# Run `corpus` as a job on a cluster, from a machine that reaches the cluster's dashboard:
#   RAY_ADDRESS=http://127.0.0.1:8265 deploy/submit.sh build CC-MAIN-2026-43 --limit 100 -o /mnt/shared/out
# The token is in ~/.ray/auth_token. With CORPUS_JOB set, a command that is sent twice starts once. To continue a run,
# send the same command under another id.
set -euo pipefail
: "${RAY_ADDRESS:?Set it to the address of the dashboard, such as http://127.0.0.1:8265}"
export RAY_AUTH_MODE=token
exec ray job submit --submission-id "${CORPUS_JOB:-corpus-$(date -u +%Y%m%dT%H%M%S)}" -- corpus "$@" --address auto
