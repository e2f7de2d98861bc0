#!/usr/bin/env bash
# Installs what `make dist` built: binaries, manual, completions, systemd units. PREFIX is /usr/local where it is not set;
# DESTDIR goes before it, for packages.
set -euo pipefail
cd "$(dirname "$0")/.."

PREFIX=${PREFIX:-/usr/local}
WEIR=${WEIR:-${CARGO_TARGET_DIR:-target}/dist/weir}
to=${DESTDIR:-}$PREFIX

[ -x "$WEIR" ] || { echo "install: there is no $WEIR; \`make dist\` builds it" >&2; exit 1; }

# put FILE: what comes in.
put() { install -D -m 0644 /dev/stdin "$to/$1"; }

install -D -m 0755 "$WEIR" "$to/bin/weir"
install -D -m 0755 "$(dirname "$WEIR")/weir-transcoder" "$to/bin/weir-transcoder"
install -d "$to/share/man/man1"
"$WEIR" man "$to/share/man/man1"
"$WEIR" completions bash | put share/bash-completion/completions/weir
"$WEIR" completions fish | put share/fish/vendor_completions.d/weir.fish
"$WEIR" completions zsh | put share/zsh/site-functions/_weir
for unit in weir.service weir.socket weir-https.socket weir-rtmp.socket weir-rtmps.socket; do
  sed "s|/usr/local/bin/weir|$PREFIX/bin/weir|" "deploy/$unit" | put "lib/systemd/system/$unit"
done
echo "installed under $to; to run it: systemctl daemon-reload && systemctl enable --now weir.socket weir-rtmp.socket weir"
