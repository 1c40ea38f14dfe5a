# shellcheck shell=bash disable=SC2034,SC2164
# Sourced by scripts/services, which exports the addresses set here and stops at the first error.
#
# Debian's and Ubuntu's packages, where this user may install them.

# install_package NAME: false where it may not be done or does not work.
install_package() {
  local sudo=()
  command -v apt-get >/dev/null || return 1
  if ((EUID != 0)); then
    sudo -n true 2>/dev/null || return 1
    sudo=(sudo -n)
  fi
  say "installing Debian's $1"
  # At runlevel 1 the package does not start a server by itself.
  local apt=(env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq)
  ${sudo[@]+"${sudo[@]}"} "${apt[@]}" update >&2 &&
    ${sudo[@]+"${sudo[@]}"} "${apt[@]}" install --yes --no-install-recommends "$1" >&2
}
