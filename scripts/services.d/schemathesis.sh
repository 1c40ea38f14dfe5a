# shellcheck shell=bash disable=SC2034,SC2164
# Sourced by scripts/services, which stops at the first error.
#
# Schemathesis, which asks an API all that its OpenAPI document lets it ask. It is a Python program: it gets a virtual
# environment of its own under target/, with everything in the versions of schemathesis.txt.

SCHEMATHESIS_PINS=$ROOT/scripts/services.d/schemathesis.txt

# The environment of these pins: others have another one.
schemathesis_home() { printf '%s/target/schemathesis-%s' "$ROOT" "$(cksum <"$SCHEMATHESIS_PINS" | cut -d' ' -f1)"; }

make_schemathesis() {
  local home
  home=$(schemathesis_home)
  # The mark is made last: what broke off is made anew.
  [[ -f $home/complete ]] && return 0
  rm -rf "$home"
  mkdir -p "$ROOT/target"
  python3 -m venv "$home" >/dev/null 2>&1 || { install_package python3-venv && python3 -m venv "$home" >&2; } || return 1
  say "installing Schemathesis into $home"
  "$home/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$SCHEMATHESIS_PINS" >&2 || return 1
  touch "$home/complete"
}

find_schemathesis() {
  if [[ -n ${TOCSIN_TEST_SCHEMATHESIS:-} ]]; then
    say "Schemathesis: as TOCSIN_TEST_SCHEMATHESIS says"
    return
  fi
  if make_schemathesis; then
    TOCSIN_TEST_SCHEMATHESIS=$(schemathesis_home)/bin/schemathesis
    export TOCSIN_TEST_SCHEMATHESIS
    say "Schemathesis: $TOCSIN_TEST_SCHEMATHESIS"
  else
    fail "no Schemathesis to be had for the test of the API's description. Do one of these:
  install Python 3.10 or newer with its venv module (Debian's python3-venv), and let this script install the rest from PyPI
  set TOCSIN_TEST_SCHEMATHESIS to the program schemathesis ($(grep -i '^schemathesis==' "$SCHEMATHESIS_PINS"))"
  fi
}
