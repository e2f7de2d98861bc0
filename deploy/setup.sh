#!/usr/bin/env bash
# Installs what Weir needs on Debian or Ubuntu: `setup.sh demo` (server, encoder, page) or `setup.sh test` (that, and all
# that the tests drive: browser, GStreamer, PostgreSQL, a current ffmpeg). Quick when there is nothing to do.
set -euo pipefail
cd "$(dirname "$0")/.."

FFMPEG_WHEEL=imageio-ffmpeg==0.8.1 # FFmpeg 9.0.2; the distribution's own is years older, and encoders use both

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null; }
installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

need_rust() {
  local wanted
  wanted=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
  have cargo || die "Rust is missing. Get it from https://rustup.rs (as yourself, not as root), open a new shell, run this again."
  # rustup fetches the toolchain of rust-toolchain.toml here, where it is not present yet.
  cargo --version >/dev/null || die "Rust $wanted could not be started; \`rustup toolchain install $wanted\` may say why."
  local found
  found=$(rustc --version | cut -d' ' -f2)
  [ "$(printf '%s\n' "$wanted" "$found" | sort -V | head -1)" = "$wanted" ] ||
    die "Rust $found is too old, $wanted or newer is needed: https://rustup.rs brings it."
}

missing_packages() {
  local -a wanted=(ca-certificates fonts-dejavu-core)
  have cc || wanted+=(gcc libc6-dev)
  have curl || wanted+=(curl)
  have jq || wanted+=(jq)
  have python3 || wanted+=(python3)
  { have ffmpeg && have ffprobe; } || wanted+=(ffmpeg)
  have node || wanted+=(nodejs)
  have npm || wanted+=(npm)
  if [ "$1" = test ]; then
    { have chromium || have google-chrome; } || wanted+=(chromium)
    wanted+=(gstreamer1.0-tools gstreamer1.0-libav gstreamer1.0-plugins-{base,good,bad,ugly})
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || wanted+=(postgresql)
    python3 -c 'import ensurepip' 2>/dev/null || wanted+=(python3-venv)
  fi
  local package
  for package in "${wanted[@]}"; do installed "$package" || echo "$package"; done
}

install_packages() {
  local -a packages
  mapfile -t packages < <(missing_packages "$1")
  [ "${#packages[@]}" -gt 0 ] || return 0
  local -a root=()
  if [ "$(id -u)" != 0 ]; then
    have sudo || die "not root and no sudo; as root: apt-get install ${packages[*]}"
    root=(sudo)
  fi
  say "installing ${packages[*]}"
  local -a apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=900)
  "${apt[@]}" update
  # The tests start a PostgreSQL of their own: its package must not make one and start it.
  local no_cluster=/etc/postgresql-common/createcluster.d/weir-setup.conf status=0
  case " ${packages[*]} " in *" postgresql "*)
    "${root[@]}" install -D -m 0644 /dev/stdin "$no_cluster" <<<'create_main_cluster = false' ;;
  esac
  "${apt[@]}" install -y --no-install-recommends "${packages[@]}" || status=$?
  "${root[@]}" rm -f "$no_cluster"
  return "$status"
}

# npm's modules of a folder, unless they are those of its lock file already.
node_modules() {
  [ -f "$1/package-lock.json" ] || return 0
  local stamp=$1/node_modules/.weir-lock
  cmp -s "$1/package-lock.json" "$stamp" && return 0
  say "npm packages of $1"
  (cd "$1" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error)
  cp "$1/package-lock.json" "$stamp"
}

# A current ffmpeg for the tests, reachable as .tools/ffmpeg whatever the wheel calls it.
current_ffmpeg() {
  [ "$(cat .venv/.weir-lock 2>/dev/null)" = "$FFMPEG_WHEEL" ] && [ -x .tools/ffmpeg ] && return 0
  say "a current ffmpeg ($FFMPEG_WHEEL) into .venv"
  python3 -m venv .venv
  .venv/bin/pip install --quiet --disable-pip-version-check --only-binary :all: "$FFMPEG_WHEEL"
  mkdir -p .tools
  ln -sfn "$(.venv/bin/python -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')" .tools/ffmpeg
  echo "$FFMPEG_WHEEL" >.venv/.weir-lock
}

kind=${1:-test}
case $kind in demo | test) ;; *) die "usage: setup.sh [demo|test]" ;; esac
need_rust
if have apt-get; then
  install_packages "$kind"
else
  missing=$(missing_packages "$kind" | xargs)
  say "no apt-get here: make sure that these are installed (Debian's names): $missing"
fi
node_modules crates/server/web
if [ "$kind" = test ]; then
  node_modules crates/testkit/players
  current_ffmpeg
  have cargo-nextest || say "cargo-nextest is not installed: the tests run with cargo test (\`cargo install --locked cargo-nextest\` makes them quicker)"
fi
say "ready ($kind)"
