#!/usr/bin/env bash
# republish.sh FFMPEG RTMP: what an operator runs beside nginx-rtmp, which has no failover. `live/n` is `main/n`; when that
# ends it is `backup/n`, and so on in turn. Nothing is polled: with `idle_streams off` nginx ends the relay's connection
# together with its publisher, and refuses one at once where nobody publishes.
set -u
ffmpeg=$1 rtmp=$2 relay=
trap 'trap - TERM; [ -z "$relay" ] || kill "$relay"; exit' TERM

now_us() { echo "${EPOCHREALTIME/[.,]/}"; }
began_us=$(now_us)

# Timestamps go on at the time that it is, so that players see none that is older. The rest is to begin soon: probing
# ends with the first picture and sound, and is shown too (`-fflags nobuffer` would lose them, and the group).
relay() {
  "$ffmpeg" -nostdin -loglevel warning -tcp_nodelay 1 -fpsprobesize 0 -i "$rtmp/$1/n" -c copy \
    -output_ts_offset "$(($(now_us) - began_us))us" -flvflags no_duration_filesize -tcp_nodelay 1 -f flv "$rtmp/live/n" &
  relay=$!
  wait "$relay"
  relay=
}

while :; do
  relay main
  relay backup
  # Only where both are away.
  sleep 0.1
done
