#!/bin/sh
# Installs what the project needs: Debian packages that are missing (with sudo when not root),
# and a virtual environment in .venv. Does nothing, quickly, when all of it is there.
set -eu
cd "$(dirname "$0")/.."

packages="
    kamailio kamailio-python3-modules kamailio-redis-modules kamailio-tls-modules
    kamailio-json-modules kamailio-utils-modules kamailio-extra-modules
    rtpengine-daemon redis-server
    python3-venv
    sip-tester tshark sox espeak-ng shellcheck chromium
"
# Packages of the above whose services are not ours to run.
daemons="kamailio rtpengine-daemon redis-server"

# Kamailio embeds Debian's interpreter: no other one fits.
python=/usr/bin/python3
policy=/usr/sbin/policy-rc.d
forbidden=false

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null)" = "ii " ]
}

missing_packages() {
    for package in $packages; do
        is_installed "$package" || printf ' %s' "$package"
    done
}

# Debian starts a daemon as soon as it is installed, unless policy-rc.d forbids it. One that is
# there already belongs to the administrator and stays as it is.
forbid_services() {
    if [ -e "$policy" ]; then return; fi
    forbidden=true
    trap allow_services EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
}

allow_services() {
    trap - EXIT INT TERM HUP
    as_root rm -f "$policy"
}

install_packages() {
    echo "setup: installing$1"
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        echo "setup: neither root nor sudo; install these packages first:$1" >&2
        exit 1
    fi
    forbid_services
    as_root apt-get update -q
    # shellcheck disable=SC2086  # a list of packages
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends $1
    # Nor at the next boot: they would take the ports of `siprec run`.
    for daemon in $daemons; do
        case "$1 " in
            *" $daemon "*) as_root systemctl disable --quiet "$daemon" 2>/dev/null || true ;;
        esac
    done
    if "$forbidden"; then allow_services; fi
}

# Scripts in a virtual environment name the folder and the interpreter they were made for.
is_our_venv() {
    grep -qsx "home = ${python%/*}" .venv/pyvenv.cfg && grep -qsF "#!$PWD/.venv/bin/" .venv/bin/pip
}

build_venv() {
    echo "setup: building .venv"
    is_our_venv || $python -m venv --clear .venv
    .venv/bin/pip install -q --disable-pip-version-check --no-deps -r requirements.lock
    .venv/bin/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
    echo "$1" >.venv/stamp
}

if ! command -v dpkg-query >/dev/null; then
    echo "setup: this is not Debian; it would install:" >&2
    echo "$packages" >&2
    exit 1
fi
missing=$(missing_packages)
if [ -n "$missing" ]; then install_packages "$missing"; fi

stamp="$($python -V) $(cat requirements.lock pyproject.toml | sha256sum)"
if ! is_our_venv || [ "$stamp" != "$(cat .venv/stamp 2>/dev/null)" ]; then build_venv "$stamp"; fi
