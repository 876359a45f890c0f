#!/bin/sh
# install.sh PYTHON: all of requirements.lock, by hash, and streamlib itself, into .venv.
set -eu
python=$1

if [ ! -x .venv/bin/python ]; then
  new=yes
  trap 'if [ "$new" = yes ]; then rm -rf .venv; fi' EXIT
  trap 'exit 130' INT TERM
  "$python" -m venv .venv || {
    echo "no environment could be made: is there room, and (on Debian) the package python3-venv?" >&2
    exit 1
  }
else
  new=no
fi
.venv/bin/python -m pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip >/dev/null
pip() {
  .venv/bin/python -m pip install -q --disable-pip-version-check "$@"
}
fast() {
  sed -n '/^uv==/,/[^\]$/p' requirements.lock >.venv/uv.txt
  pip --require-hashes -r .venv/uv.txt 2>/dev/null &&
    .venv/bin/uv pip install -q --python .venv/bin/python --require-hashes -r requirements.lock 2>/dev/null
}
failed() {
  echo "the packages could not be installed; above is why (no room, or no way to the package index?)" >&2
  exit 1
}
fast || pip --require-hashes -r requirements.lock || failed
pip --no-deps --no-build-isolation -e . || failed
new=no
