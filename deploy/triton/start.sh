#!/bin/sh
# Starts Triton with what no caller may change by request. Further arguments are passed on.
# The admin key opens model control, statistics, traces and logs; it comes from a file, by
# VIGIL_ADMIN_KEY, and callers send it as `x-vigil-admin` (gRPC: `triton-grpc-protocol-x-vigil-admin`).
set -eu
key=$(cat "$VIGIL_ADMIN_KEY")
case $key in
*[!A-Za-z0-9_-]* | "") echo "triton: $VIGIL_ADMIN_KEY: expected letters, digits, - and _" >&2 && exit 2 ;;
esac
admin=shared-memory,model-repository,statistics,trace,logging
exec tritonserver \
    --model-repository="$VIGIL_REPOSITORY" \
    --model-control-mode=explicit \
    --load-model='*' \
    --strict-readiness=true \
    --exit-timeout-secs=30 \
    --http-restricted-api="$admin:x-vigil-admin=$key" \
    --grpc-restricted-protocol="$admin:x-vigil-admin=$key" \
    --allow-client-shm=false \
    --http-max-input-size="$VIGIL_BODY_BYTES" \
    "$@"
