#!/bin/sh
# Starts the command it is given, with the container's secrets as variables: a container is told none of their values.
# Each file in /run/secrets is one secret, its name the variable's. Where DATABASE_URL or REDIS_URL says {NAME}, that secret
# takes its place.
set -eu
filled() {
    case $1 in *"{$2}"*) printf %s "${1%%"{$2}"*}$3${1#*"{$2}"}" ;; *) printf %s "$1" ;; esac
}
for file in /run/secrets/*; do
    [ -f "$file" ] || continue
    name=${file##*/}
    value=$(cat "$file")
    export "$name=$value"
    if [ -n "${DATABASE_URL:-}" ]; then DATABASE_URL=$(filled "$DATABASE_URL" "$name" "$value"); fi
    if [ -n "${REDIS_URL:-}" ]; then REDIS_URL=$(filled "$REDIS_URL" "$name" "$value"); fi
done
exec "$@"
