# shellcheck shell=bash disable=SC2034,SC2164
# Sourced by scripts/services, which stops at the first error.
#
# A browser and its driver for the console's tests. The tests start and end both by themselves.

# first_program NAME…: prints the first that there is.
first_program() {
  local name
  for name in "$@"; do
    if command -v "$name"; then return 0; fi
  done
  return 1
}

local_chromium() { first_program chromium google-chrome google-chrome-stable chromium-browser; }
local_chromedriver() { first_program chromedriver; }

# The major version that a program tells: browser and driver must have the same.
major_version() { "$1" --version 2>/dev/null | grep -oE '[0-9]+(\.[0-9]+)+' | head -1 | cut -d. -f1; }

have_browser() {
  local chromium driver
  chromium=$(local_chromium) && driver=$(local_chromedriver) &&
    [[ -n $(major_version "$chromium") && $(major_version "$chromium") == $(major_version "$driver") ]]
}

find_browser() {
  if [[ -n ${TOCSIN_TEST_CHROMIUM:-} && -n ${TOCSIN_TEST_CHROMEDRIVER:-} ]]; then
    say "browser: as TOCSIN_TEST_CHROMIUM says"
    return
  fi
  if have_browser || { install_package chromium && install_package chromium-driver && have_browser; }; then
    TOCSIN_TEST_CHROMIUM=$(local_chromium)
    TOCSIN_TEST_CHROMEDRIVER=$(local_chromedriver)
    export TOCSIN_TEST_CHROMIUM TOCSIN_TEST_CHROMEDRIVER
    say "browser: $TOCSIN_TEST_CHROMIUM"
  else
    fail "no browser to be had for the console's tests. Do one of these:
  install Debian's chromium and chromium-driver, or let this script do it (as root or with a sudo that asks for nothing)
  install Chrome and the chromedriver of the same version, both on the PATH
  set TOCSIN_TEST_CHROMIUM and TOCSIN_TEST_CHROMEDRIVER to programs of the same version"
  fi
}
