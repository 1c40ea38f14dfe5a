# shellcheck shell=bash disable=SC2034,SC2164
# Sourced by scripts/services, which stops at the first error.
#
# axe-core, which the console's tests put into every page and ask what it finds wrong (MPL-2.0; it is fetched and not kept
# in the repository). It comes out of a Python package, for pip is needed anyway and knows the index that is used here.
# What is fetched is held against its hash, so that it is always the same.

AXE_PACKAGE=axe-playwright-python==0.1.8
AXE_FILE=axe_playwright_python/axe.min.js
AXE_SHA256=84494fec757e4710dc751c8d7a636e457f4532f08f85c86dc9070133fbff53bc

is_axe() { [[ -f $1 && $(sha256sum "$1" | cut -d' ' -f1) == "$AXE_SHA256" ]]; }

# fetch_axe FOLDER: the file of the package, by a pip of its own.
fetch_axe() {
  python3 -m venv "$1/venv" >/dev/null 2>&1 || { install_package python3-venv && python3 -m venv "$1/venv" >&2; } || return 1
  "$1/venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --dest "$1" "$AXE_PACKAGE" >&2 &&
    python3 -m zipfile -e "$1"/*.whl "$1/package"
}

find_axe() {
  local kept=$ROOT/target/axe-$AXE_SHA256.min.js folder
  if [[ -n ${TOCSIN_TEST_AXE:-} ]]; then
    say "axe: as TOCSIN_TEST_AXE says"
    return
  fi
  if ! is_axe "$kept"; then
    say "fetching axe-core"
    folder=$(mktemp -d)
    if fetch_axe "$folder" && is_axe "$folder/package/$AXE_FILE"; then
      mkdir -p "$ROOT/target"
      mv "$folder/package/$AXE_FILE" "$kept"
    fi
    rm -rf "$folder"
  fi
  is_axe "$kept" || fail "no axe-core to be had for the accessibility tests. Do one of these:
  install Python 3.10 or newer with its venv module (Debian's python3-venv), and let pip fetch $AXE_PACKAGE
  set TOCSIN_TEST_AXE to that package's $AXE_FILE (sha256 $AXE_SHA256)"
  export TOCSIN_TEST_AXE=$kept
  say "axe: $kept"
}
