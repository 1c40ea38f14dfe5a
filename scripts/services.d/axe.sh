# shellcheck shell=bash disable=SC2034,SC2164
# Sourced by scripts/services, which stops at the first error.
#
# axe-core, which the console's tests put into every page and ask what it finds wrong (MPL-2.0; it is fetched and not kept
# in the repository). What is fetched is held against its hash, so that it is always the same.

AXE_VERSION=4.10.3
AXE_SHA256=880970c081707360e64f34cea25ff91892f5bc95675b0776925b9709dd8a68bb

is_axe() { [[ -f $1 && $(sha256sum "$1" | cut -d' ' -f1) == "$AXE_SHA256" ]]; }

# fetch_axe FOLDER: the package's archive, by npm where there is one, for it knows the registry that is used here.
fetch_axe() {
  local name=axe-core-$AXE_VERSION.tgz
  if command -v npm >/dev/null && (cd "$1" && npm pack --silent "axe-core@$AXE_VERSION" >/dev/null 2>&1); then
    return
  fi
  command -v curl >/dev/null &&
    curl --fail --silent --show-error --location --max-time 120 --output "$1/$name" \
      "https://registry.npmjs.org/axe-core/-/$name"
}

find_axe() {
  local kept=$ROOT/.services/axe/axe-$AXE_VERSION.min.js folder
  if [[ -n ${TOCSIN_TEST_AXE:-} ]]; then
    say "axe: as TOCSIN_TEST_AXE says"
    return
  fi
  if ! is_axe "$kept"; then
    say "fetching axe-core $AXE_VERSION"
    folder=$(mktemp -d)
    if fetch_axe "$folder" && tar -xzf "$folder/axe-core-$AXE_VERSION.tgz" -C "$folder" package/axe.min.js &&
      is_axe "$folder/package/axe.min.js"; then
      mkdir -p "$(dirname "$kept")"
      mv "$folder/package/axe.min.js" "$kept"
    fi
    rm -rf "$folder"
  fi
  is_axe "$kept" || fail "no axe-core $AXE_VERSION to be had for the accessibility tests. Do one of these:
  let npm or curl reach the npm registry
  set TOCSIN_TEST_AXE to the axe.min.js of axe-core $AXE_VERSION (sha256 $AXE_SHA256)"
  export TOCSIN_TEST_AXE=$kept
  say "axe: $kept"
}
