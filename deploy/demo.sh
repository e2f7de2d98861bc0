#!/usr/bin/env bash
# A live programme from nothing: builds Weir, starts it, creates a stream, pushes a picture with a clock and a tone, and
# prints the page that plays it. Ctrl-C stops all of it. DEMO_EXIT=1 checks the programme, prints a verdict and exits 0 or 1.
# DEMO_HTTP_PORT (8080), DEMO_RTMP_PORT (1935), DEMO_SRT_PORT (8890) and DEMO_DIR (.demo) move it elsewhere.
set -euo pipefail
cd "$(dirname "$0")/.."

HTTP_PORT=${DEMO_HTTP_PORT:-8080}
RTMP_PORT=${DEMO_RTMP_PORT:-1935}
SRT_PORT=${DEMO_SRT_PORT:-8890}
DIR=${DEMO_DIR:-.demo}
NAME=demo
API=http://localhost:$HTTP_PORT/api/v1
PAGE=http://localhost:$HTTP_PORT/$NAME/
FONT=/usr/share/fonts/truetype/dejavu/DejaVuSansMono-Bold.ttf

say() { printf '\n%s\n' "$*"; }
die() { printf '\ndemo: %s\n' "$*" >&2; exit 1; }
running() { kill -0 "$1" 2>/dev/null; }

started=()
stop() {
  trap - EXIT
  local pid
  for pid in "${started[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in "${started[@]}"; do
    for _ in {1..100}; do running "$pid" || break; sleep 0.1; done
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  [ "${#started[@]}" -eq 0 ] || say "Stopped."
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

port_free() {
  if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then
    die "port $1 is in use (\`ss -ltnp 'sport = :$1'\` shows by whom). Stop that, or set $2 to another port."
  fi
}

build() {
  deploy/setup.sh demo
  say "Building Weir (the first time takes some minutes)"
  cargo build --release --locked --bin weir --bin weir-transcoder
  WEIR=${CARGO_TARGET_DIR:-target}/release/weir
}

serve() {
  rm -rf "$DIR/data"
  mkdir -p -m 700 "$DIR/data"
  WEIR_DATA__DIR=$DIR/data WEIR_HTTP__LISTEN="[::]:$HTTP_PORT" WEIR_RTMP__LISTEN="[::]:$RTMP_PORT" \
    WEIR_SRT__LISTEN="[::]:$SRT_PORT" "$WEIR" serve </dev/null >"$DIR/weir.log" 2>&1 &
  server=$!
  started+=("$server")
  local _
  for _ in {1..150}; do
    curl -fs -o "$DIR/ready" "http://localhost:$HTTP_PORT/readyz" && return
    running "$server" || { tail -20 "$DIR/weir.log" >&2; die "the server did not start: $DIR/weir.log"; }
    sleep 0.2
  done
  die "the server is not ready after 30 s: $DIR/weir.log"
}

api() { curl -fsS -H "Authorization: Bearer $(cat "$DIR/data/admin.token")" "$@"; }

create() {
  api -X POST "$API/streams" -H 'Content-Type: application/json' -o "$DIR/stream.json" \
    -d "{\"name\": \"$NAME\", \"inputs\": [{\"id\": \"main\", \"url\": \"publish://\"}]}"
  KEY=$(api "$API/streams/$NAME?reveal=true" | jq -r '.inputs[0].key')
  PUBLISH="rtmp://127.0.0.1:$RTMP_PORT/live/$NAME"
}

# 1280x720 at 30 fps, a keyframe each 2 s, the server's clock (UTC) burned in, a beep each second.
push() {
  local clock="drawtext=fontfile=$FONT:fontsize=72:fontcolor=white:box=1:boxcolor=black@0.6:boxborderw=18:x=(w-text_w)/2:y=h*0.72"
  clock+=":text='%{gmtime\:%T}.%{eif\:floor(mod(time(0)\,1)*10)\:d} UTC'"
  [ -f "$FONT" ] || clock=null
  ffmpeg -nostdin -hide_banner -loglevel warning -re \
    -f lavfi -i "testsrc2=size=1280x720:rate=30,$clock" \
    -f lavfi -i "sine=frequency=330:beep_factor=4:sample_rate=48000,volume=0.3" \
    -c:v libx264 -preset superfast -tune zerolatency -pix_fmt yuv420p -b:v 2500k -maxrate 2500k -bufsize 2500k \
    -g 60 -keyint_min 60 -sc_threshold 0 -c:a aac -b:a 128k -ac 2 \
    -f flv "$PUBLISH?key=$KEY" >"$DIR/ffmpeg.log" 2>&1 &
  encoder=$!
  started+=("$encoder")
}

alive() {
  running "$server" || { tail -20 "$DIR/weir.log" >&2; die "the server stopped: $DIR/weir.log"; }
  running "$encoder" || { tail -20 "$DIR/ffmpeg.log" >&2; die "the encoder stopped: $DIR/ffmpeg.log"; }
}

playing() {
  local _
  for _ in {1..150}; do
    alive
    curl -fs -o "$DIR/index.m3u8" "${PAGE}index.m3u8" && return
    sleep 0.2
  done
  die "no playlist after 30 s: $DIR/weir.log, $DIR/ffmpeg.log"
}

show() {
  cat <<END

  Watch        $PAGE
  API          http://localhost:$HTTP_PORT/api/docs
  Logs         $DIR/weir.log, $DIR/ffmpeg.log

  What ran, to try yourself:

    TOKEN=\$(cat $DIR/data/admin.token)
    curl -X POST $API/streams -H "Authorization: Bearer \$TOKEN" -H 'Content-Type: application/json' \\
         -d '{"name": "$NAME", "inputs": [{"id": "main", "url": "publish://"}]}'
    curl "$API/streams/$NAME?reveal=true" -H "Authorization: Bearer \$TOKEN" | jq .inputs
    ffmpeg … -f flv '$PUBLISH?key=$KEY'
    curl ${PAGE}index.m3u8
    curl http://localhost:$HTTP_PORT/metrics
END
}

# The open segment's number and its parts so far.
edge() {
  curl -fs --max-time 10 "$1" | awk -F : '
    /^#EXT-X-MEDIA-SEQUENCE:/ { first = $2 }
    /^#EXTINF:/ { segments++; parts = 0 }
    /^#EXT-X-PART:/ { parts++; all++ }
    END { print first + segments, parts + 0, all + 0 }'
}

advances() {
  local url=$1 segment part all first="" seen="" _
  for _ in {1..40}; do
    read -r segment part all < <(edge "$url") || return 1
    first=${first:-$segment}
    [[ $seen == *" $segment.$part "* ]] || seen+=" $segment.$part "
    sleep 0.25
  done
  read -ra seen <<<"$seen"
  printf '  %-44s segment %s -> %s, %s part edges seen, %s parts listed\n' "${url##*"$NAME/"}" "$first" "$segment" "${#seen[@]}" "$all"
  [ "$segment" -ge $((first + 3)) ] && [ "${#seen[@]}" -ge 15 ] && [ "$all" -gt 0 ]
}

decodes() {
  timeout -k 5 90 ffprobe -v error -count_frames -read_intervals '%+4' -of json \
    -show_entries stream=codec_type,codec_name,width,height,nb_read_frames "${PAGE}index.m3u8" >"$DIR/probe.json"
  jq -r '.streams[] | "  \(.codec_type) \(.codec_name) \(if .width then "\(.width)x\(.height) " else "" end)\(.nb_read_frames) frames decoded"' "$DIR/probe.json"
  jq -e '[.streams[] | select((.nb_read_frames // "0" | tonumber) > 0) | .codec_type] | unique == ["audio", "video"]' "$DIR/probe.json" >/dev/null
}

verdict() {
  local ok=1 playlist
  curl -fs "$PAGE" | grep -q '<video' || { echo "  the page is missing"; ok=0; }
  sed -n -e '/^#EXT-X-MEDIA:/s/.*URI="\([^"]*\)".*/\1/p' -e '/^[^#]/p' "$DIR/index.m3u8" | sort -u >"$DIR/playlists"
  while read -r playlist; do
    advances "$PAGE$playlist" || { echo "  $playlist does not advance"; ok=0; }
  done <"$DIR/playlists"
  decodes || { echo "  ffprobe does not decode both tracks"; ok=0; }
  alive
  [ "$ok" = 1 ] || die "NOT OK"
  say "demo: OK"
}

port_free "$HTTP_PORT" DEMO_HTTP_PORT
port_free "$RTMP_PORT" DEMO_RTMP_PORT
build
serve
create
push
playing
show
if [ "${DEMO_EXIT:-}" = 1 ]; then
  say "Checking"
  verdict
else
  say "Ctrl-C stops it."
  while alive; do sleep 1; done
fi
