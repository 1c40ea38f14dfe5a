# shellcheck shell=bash disable=SC2034,SC2164
# Sourced by scripts/services, which stops at the first error.
#
# A mail server for the tests of mail, and curl for the script that it posts bounces with. The tests start and end it by
# themselves, unprivileged; no server of the machine's is needed or touched.

local_exim() { PATH=$PATH:/usr/sbin:/usr/local/sbin first_program exim4 exim; }

have_mta() { local_exim >/dev/null && command -v curl >/dev/null; }

find_mta() {
  if [[ -n ${TOCSIN_TEST_EXIM:-} ]]; then
    say "mail server: as TOCSIN_TEST_EXIM says"
    return
  fi
  if { local_exim >/dev/null || install_package exim4-daemon-light; } &&
    { command -v curl >/dev/null || install_package curl; } && have_mta; then
    TOCSIN_TEST_EXIM=$(local_exim)
    export TOCSIN_TEST_EXIM
    say "mail server: $TOCSIN_TEST_EXIM"
  else
    fail "no mail server to be had for the tests of mail. Do one of these:
  install Debian's exim4-daemon-light and curl, or let this script do it (as root or with a sudo that asks for nothing)
  set TOCSIN_TEST_EXIM to the program of an Exim 4"
  fi
}
