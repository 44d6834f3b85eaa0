#!/bin/sh
# Installs what tools/web/package-lock.json pins: onnxruntime-web for the pages, axe-core and Lighthouse for their tests. By npm, with the
# Node.js that tools/setup.sh has put into the virtual environment, since lighthouse asks for a newer one than Debian and Ubuntu ship.
# Usage: sh tools/web.sh [FOLDER]      (the virtual environment, default .venv)
# Without npm's registry it says what will be missing and goes on; with CI=true that is an error. No package's scripts are run, so
# nothing else is downloaded: no browser either.
set -eu
cd "$(dirname "$0")/.."
venv=${1:-.venv}

if [ -x "$venv/bin/npm" ]; then
    PATH="$(cd "$venv/bin" && pwd):$PATH"
    if npm ci --prefix tools/web --loglevel=error >/dev/null; then exit 0; fi
    why='npm could not install it; its messages stand above'
else
    why="$venv has no npm; sh tools/setup.sh puts it there"
fi
echo "web: tools/web/node_modules is missing ($why): pages are built without onnxruntime-web, tests marked \"axe\" or \"lighthouse\" are skipped" >&2
[ "${CI:-}" != true ] || exit 1
