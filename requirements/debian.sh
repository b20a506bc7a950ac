#!/usr/bin/env bash
# Says which Debian packages of requirements/debian.txt are missing, and installs them when it may.
# Called by `make setup`; `--check` only reports.
set -euo pipefail

list="$(dirname "$0")/debian.txt"
missing=()
needed=0
while IFS='|' read -r probe package purpose; do
    [[ -z "$probe" || "$probe" == \#* ]] && continue
    if ! bash -c "${probe#\~}" >/dev/null 2>&1 </dev/null; then
        echo "missing: $package ($purpose)"
        missing+=("$package")
        [[ "$probe" == \~* ]] || needed=1
    fi
done <"$list"

if [[ ${#missing[@]} -eq 0 ]]; then
    echo "Debian packages: all there"
elif [[ "${1:-}" == "--check" ]]; then
    exit 1
elif [[ $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
else
    echo "Install with:  sudo apt-get install ${missing[*]}" >&2
    exit $needed
fi
