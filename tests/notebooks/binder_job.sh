#!/usr/bin/env bash
# What Binder does, without Docker: a copy of the repository, a fresh environment with
# binder/requirements.txt, postBuild, `start jupyter lab`; then notebook 00 runs in Chromium.
# Needs the repository's own .venv (for playwright) and takes two to five minutes.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d -t crlab-binder-XXXXXX)
server=
finish() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  [ -z "$server" ] || wait "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

echo "copy the repository"
mkdir "$work/repo" "$work/home"
cd "$root"
{ git ls-files -z 2>/dev/null || find . -type f ! -path './.venv/*' ! -path './.git/*' -print0; } |
  while IFS= read -r -d '' name; do
    if [ -e "$name" ]; then printf '%s\0' "$name"; fi
  done | tar --null -cf - -T - | tar -xf - -C "$work/repo"
cd "$work/repo"

echo "install binder/requirements.txt"
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  --no-compile -r binder/requirements.txt
echo "installed after $SECONDS s"

port=$("$work/venv/bin/python" -c \
  'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
token=$("$work/venv/bin/python" -c 'import secrets; print(secrets.token_hex(16))')
as_binder() {  # becomes the command: call it in a subshell or in the background
  exec env -u PYTHONPATH -u VIRTUAL_ENV -u CRLAB_DISPLAY -u KUBECONFIG \
    HOME="$work/home" PATH="$work/venv/bin:/usr/bin:/bin" "$@"
}

echo "postBuild"
(as_binder ./binder/postBuild)

echo "start"
as_binder env JUPYTER_TOKEN="$token" ./binder/start jupyter lab \
  --ServerApp.ip=127.0.0.1 --ServerApp.port="$port" --ServerApp.port_retries=0 \
  --ServerApp.open_browser=False --ServerApp.allow_root=True \
  --LabApp.expose_app_in_browser=True > "$work/jupyter.log" 2>&1 &
server=$!

if ! PYTHONPATH="$root/tests" "$root/.venv/bin/python" -m notebooks.binder_page \
  "http://127.0.0.1:$port" "$token" notebooks/00-start.ipynb "$work/venv"; then
  tail -n 30 "$work/jupyter.log"
  exit 1
fi
echo "notebook 00 ran in a fresh environment; $SECONDS s in all"
