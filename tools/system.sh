#!/bin/sh
# Installs the missing ones of the system packages that Microzoo uses, by apt-get, where there is apt-get and the right to use it.
# Usage: sh tools/system.sh build|test      build: what `zoo build` uses; test: what the tests use besides
# What cannot be installed is named with what will be skipped. With CI=true nothing may be missing.
# MICROZOO_SYSTEM=no leaves the system alone and only names what is missing. MICROZOO_SYSTEM_DATASETS: where packages put datasets.
set -eu

check_compiles() { printf '#include <stdlib.h>\n' | cc -E - >/dev/null 2>&1; }
check_newlib() { case $(arm-none-eabi-gcc -print-file-name=nosys.specs 2>/dev/null) in /*) ;; *) return 1 ;; esac; }
check_chromium() {
    for browser in chromium-headless-shell chromium chromium-browser google-chrome google-chrome-stable; do
        if "$browser" --version >/dev/null 2>&1; then return 0; fi
    done
    return 1
}

present() { # is what package $1 gives there, from wherever it came?
    case $1 in
        python3-venv) "${PYTHON:-python3}" -c 'import ensurepip, venv' ;;
        ca-certificates) test -s /etc/ssl/certs/ca-certificates.crt ;;
        gcc) command -v cc ;;
        libc6-dev) check_compiles ;;
        gcc-arm-none-eabi) command -v arm-none-eabi-gcc ;;
        libnewlib-arm-none-eabi) check_newlib ;;
        qemu-system-arm) command -v qemu-system-arm ;;
        chromium) check_chromium ;;
        git) command -v git ;;
        dataset-fashion-mnist) test -s "${MICROZOO_SYSTEM_DATASETS:-/usr/share/datasets}/fashion-mnist/train-images-idx3-ubyte.gz" ;;
    esac >/dev/null 2>&1
}

without() { # what happens without package $1
    case $1 in
        python3-venv) echo 'the virtual environment cannot be made' ;;
        ca-certificates) echo 'downloads may fail' ;;
        gcc | libc6-dev) echo 'the generated C is not run: an entry for a target with runtime "c" cannot be measured' ;;
        gcc-arm-none-eabi | libnewlib-arm-none-eabi) echo 'flash and RAM of the linked C are predicted, not measured; tests marked "arm" are skipped' ;;
        qemu-system-arm) echo 'no instructions are counted: nothing runs on an emulated Cortex-M; tests of it are skipped' ;;
        chromium) echo 'tests marked "browser" are skipped' ;;
        git) echo 'the tests that look at the tracked files fail' ;;
        dataset-fashion-mnist) echo 'the tests that read Fashion-MNIST are skipped, unless MICROZOO_DATA has it' ;;
    esac
}

list_missing() { # of "$@"
    for package in "$@"; do
        present "$package" || printf '%s ' "$package"
    done
}

installable() { # does the archive have $1 as a package of its own, not as a stub that asks for a snap?
    version=$(apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: //p')
    case $version in '' | '(none)' | *snap*) return 1 ;; esac
}

apt() {
    $root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 "$@" >/dev/null
}

install() { # "$@": all in one go; if that fails one by one, so that one bad package does not cost the others
    apt update || echo 'system: apt-get update failed; going on with the lists that are there' >&2
    wanted=''
    for package in "$@"; do
        # The same browser without windows: smaller, and its pages take less time.
        if [ "$package" = chromium ] && installable chromium-headless-shell; then package=chromium-headless-shell; fi
        if installable "$package"; then wanted="$wanted $package"; fi
    done
    [ -n "$wanted" ] || return 0
    echo "system: installing$wanted"
    # shellcheck disable=SC2086
    apt install --no-install-recommends $wanted && return 0
    # shellcheck disable=SC2086
    set -- $wanted
    [ $# -gt 1 ] || return 0
    for package in $wanted; do
        apt install --no-install-recommends "$package" || true
    done
}

case ${1:-} in
    build) packages='ca-certificates python3-venv gcc libc6-dev gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm' ;;
    test) packages='git chromium dataset-fashion-mnist' ;;
    *)
        echo 'usage: sh tools/system.sh build|test' >&2
        exit 2
        ;;
esac

# shellcheck disable=SC2086
missing=$(list_missing $packages)
[ -n "$missing" ] || exit 0

may_install=no
root=''
if [ "${MICROZOO_SYSTEM:-yes}" = no ]; then
    why='MICROZOO_SYSTEM=no'
elif ! command -v apt-get >/dev/null 2>&1; then
    why='this system has no apt-get'
elif [ "$(id -u)" = 0 ]; then
    may_install=yes
elif sudo -n true 2>/dev/null; then
    may_install=yes
    root='sudo -n'
else
    why='neither root nor sudo without a password'
fi

if [ "$may_install" = yes ]; then
    # shellcheck disable=SC2086
    install $missing
    why='apt-get could not install it'
fi

left=0
for package in $missing; do
    if present "$package"; then continue; fi
    left=$((left + 1))
    echo "system: $package is missing ($why): $(without "$package")" >&2
done
if [ "$left" -gt 0 ] && [ "${CI:-}" = true ] && command -v apt-get >/dev/null 2>&1; then
    echo 'system: with CI=true nothing may be missing that apt-get can install' >&2
    exit 1
fi
