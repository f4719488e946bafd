#!/bin/sh
# Writes the digest that the registry has today behind the tag of every image that is pulled, in
# compose.yaml, kubernetes/ and the Dockerfile. Run it where docker reaches the registries, look at
# the difference and commit it; run it again after a tag was changed.
set -eu
cd "$(dirname "$0")"
files="compose.yaml kubernetes/serving.yaml triton/Dockerfile"
# shellcheck disable=SC2086
images=$(sed -nE 's/^(FROM| *(- )?image:) *([^ @]+).*/\3/p' $files | grep -v '^vigil-' | sort -u)
for image in $images; do
    digest=$(docker buildx imagetools inspect "$image" --format '{{.Manifest.Digest}}')
    case $digest in
    sha256:????????????????????????????????????????????????????????????????) ;;
    *) echo "pin: $image: expected a digest, got '$digest'" >&2 && exit 2 ;;
    esac
    # shellcheck disable=SC2086
    sed -i -E "s|(FROM\|image:)( *)$image(@sha256:[0-9a-f]+)?( .*)?\$|\1\2$image@$digest\4|" $files
    echo "pin: $image@$digest"
done
