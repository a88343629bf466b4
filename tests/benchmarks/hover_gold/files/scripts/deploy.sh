#!/usr/bin/env bash
set -euo pipefail

tag=${1:?usage: deploy.sh TAG}

deploy() {
    # errexit is off in here, because deploy is called as a condition
    docker build -t "ledgerline/api:$tag" . || return 1
    docker push "ledgerline/api:$tag" || return 1
    kubectl set image deployment/ledgerline-api api="ledgerline/api:$tag"
}

if ! deploy; then
    echo "deployment failed" >&2
    exit 1
fi

# wait until the new version answers
for _ in $(seq 30); do
    curl -fsS http://127.0.0.1:9000/healthz && break
    sleep 2
done

archive() {
    # noms avec des espaces : pas de boucle sur ls
    find "$1" -name '*.pdf' -print0 | while IFS= read -r -d '' file; do
        pdftotext -- "$file" "${file%.pdf}.txt"
    done
}

shopt -s nullglob
for invoice in ./outgoing/*.pdf; do
    printf 'archiving %s\n' "$invoice"
done
archive ./archive

colour() {
    tput setaf "$1" 2>/dev/null || true
}
