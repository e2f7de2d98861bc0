#!/bin/bash
# Builds the fuzz targets and runs each for SECONDS: run.sh SECONDS [TARGET…]. `run.sh keep` adds to
# the kept corpora what reaches more than they do.
set -euo pipefail
cd "$(dirname "$0")"
target_dir=${CARGO_TARGET_DIR:-../../../target}/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')
# The coverage that libFuzzer reads, with what stable rustc takes; a target triple keeps build
# scripts free of it.
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"
# Not --locked: what the crates depend on may have changed since.
"${CARGO:-cargo}" build --release --target "$host" --target-dir "$target_dir"
bin=$target_dir/$host/release/fuzz

run() {
    TARGET=$1 RUST_BACKTRACE=1 "$bin" -max_len=16384 -timeout=5 -rss_limit_mb=1024 "${@:2}"
}

# What reaches more than the corpus does, the smallest first, up to a hundred files and 200 KiB.
keep() {
    local found=$target_dir/found/$1 merged files left size name
    merged=$(mktemp -d)
    mkdir -p "$found"
    cp "corpus/$1"/* "$merged"
    run "$1" -merge=1 "$merged" "$found" 2>/dev/null
    files=$(find "corpus/$1" -type f | wc -l)
    left=$((200 * 1024 - $(cat "corpus/$1"/* | wc -c)))
    while read -r size name; do
        [ ! -e "corpus/$1/$name" ] || continue
        ((files < 100 && size <= left)) || break
        cp "$merged/$name" "corpus/$1/"
        ((files += 1, left -= size))
    done < <(cd "$merged" && stat -c '%s %n' -- * | sort -n)
    rm -r "$merged"
    echo "$1: $files files, $((200 - left / 1024)) KiB"
}

seconds=$1
shift
targets=("$@")
(($#)) || mapfile -t targets < <(TARGET=list "$bin")
failed=()
for target in "${targets[@]}"; do
    if [ "$seconds" = keep ]; then
        keep "$target"
        continue
    fi
    found=$target_dir/found/$target
    mkdir -p "$found"
    log=$target_dir/found/$target.log
    # What breaks a target lies beside what was found; its corpus is the place for it, once mended.
    if run "$target" -max_total_time="$seconds" -artifact_prefix="$target_dir/found/$target-" \
        "$found" "corpus/$target" >"$log" 2>&1; then
        grep -h DONE "$log" | sed "s/^/$target: /"
    else
        tail -n 30 "$log"
        failed+=("$target")
    fi
done
((${#failed[@]} == 0)) || { echo "fuzz: failed: ${failed[*]}" >&2 && exit 1; }
