#!/bin/sh
# Prints the TF_CONFIG of one worker:
#
#   tf_config.sh INDEX PORT HOST...
#
# INDEX counts the hosts from 0; every worker is given the same hosts in the same order.
set -eu
if [ "$#" -lt 3 ]; then
    echo "usage: tf_config.sh INDEX PORT HOST..." >&2
    exit 2
fi
index=$1 port=$2
shift 2
workers=
for host in "$@"; do
    workers="$workers${workers:+, }\"$host:$port\""
done
printf '{"cluster": {"worker": [%s]}, "task": {"type": "worker", "index": %d}}\n' "$workers" "$index"
