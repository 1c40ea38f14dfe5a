# shellcheck shell=bash disable=SC2034,SC2164
# Sourced by scripts/services, which stops at the first error.
#
# Programs that read reports as their readers would: poppler's for PDF, LibreOffice for DOCX. The tests start and end them by
# themselves.

local_office() { first_program soffice libreoffice; }

have_papers() { command -v pdftotext >/dev/null && command -v pdftoppm >/dev/null && local_office >/dev/null; }

find_papers() {
  if [[ -n ${TOCSIN_TEST_PDFTOTEXT:-} && -n ${TOCSIN_TEST_SOFFICE:-} ]]; then
    say "papers: as TOCSIN_TEST_PDFTOTEXT and TOCSIN_TEST_SOFFICE say"
    return
  fi
  if have_papers ||
    { { command -v pdftoppm >/dev/null || install_package poppler-utils; } &&
      { local_office >/dev/null || install_package libreoffice-writer-nogui; } && have_papers; }; then
    TOCSIN_TEST_PDFTOTEXT=$(command -v pdftotext)
    TOCSIN_TEST_SOFFICE=$(local_office)
    export TOCSIN_TEST_PDFTOTEXT TOCSIN_TEST_SOFFICE
    say "papers: $TOCSIN_TEST_PDFTOTEXT and $TOCSIN_TEST_SOFFICE"
  else
    fail "nothing to read reports with, for their tests. Do one of these:
  install Debian's poppler-utils and libreoffice-writer-nogui, or let this script do it (as root or with a sudo that asks for nothing)
  set TOCSIN_TEST_PDFTOTEXT and TOCSIN_TEST_SOFFICE to the programs pdftotext and soffice"
  fi
}
