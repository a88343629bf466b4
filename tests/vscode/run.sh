#!/bin/bash
# Builds and packages the extension and tests it in a real VS Code against the server of this checkout's .venv.
# Needs node 20.19 or later and chromium. SHOTS=DIR keeps a screenshot of the end of each test.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
export SERVER_BIN=$root/.venv/bin

(
  cd vscode-extension
  npm ci --no-audit --no-fund
  npm run lint
  PYTHON=$("$SERVER_BIN/python" -c 'import sys; print(sys._base_executable)') npm test
  npm run package 2>&1 | tee build/package.log
  if grep -q WARNING build/package.log; then
    echo "the VSIX was packaged with warnings" >&2
    exit 1
  fi
)
(cd tests/vscode && npm ci --no-audit --no-fund)

export VSCODE_DIR=$root/.cache/vscode
tests/vscode/install-code-server.sh "$VSCODE_DIR"

export EMBEDDER=$root/.cache/remanence/models/all-MiniLM-L6-v2
if [ ! -d "$EMBEDDER" ]; then
  REMANENCE_HOME=$root/.cache/remanence "$SERVER_BIN/remanence" prepare
fi

CHROMIUM=${CHROMIUM:-$(command -v chromium)}
export CHROMIUM
export VSIX=$root/vscode-extension/remanence.vsix
cd tests/vscode
session() { node --test --test-concurrency=1 --test-timeout=900000 "$1"; }
for tests in ui.test.mjs ask.test.mjs; do
  # A browser on a busy machine sometimes loses a click: a session that failed is played once more, and both are shown.
  session "$tests" || session "$tests"
done
