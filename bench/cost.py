"""Instructions per packet, counted by callgrind, held to `cost.json`: more than its tolerance above is an error.

`python3 bench/cost.py --load PATH`; `--update` writes what is counted. Counts belong to the toolchain of
rust-toolchain.toml; another one may move them a little.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
KEPT = HERE / "cost.json"
TOLERANCE = 0.05
WORK = {
    "rtmp": ("head of a frame over RTMP", 10_000),
    "part": ("header of a part (6 frames)", 2_000),
    "fanout": ("delivery of a frame, of ten readers", 2_000),
    "package": ("frame into parts and segments", 600),
    "playlist": ("playlist of a minute", 200),
}


def instructions(load, what, count):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", load, "cost", what, str(count)]
    done = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        sys.exit(f"{what}: {done.stderr[-2000:]}")
    return int(found.group(1))


def per_unit(load, what, count):
    """Twice the work less once the work: what starting takes is in both."""
    return (instructions(load, what, 2 * count) - instructions(load, what, count)) / count


def main():
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target")) / "release"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--load", default=str(target / "weir-load"))
    parser.add_argument("--update", action="store_true")
    args = parser.parse_args()
    if not shutil.which("valgrind"):
        sys.exit("valgrind is missing: deploy/setup.sh bench")
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    counted = {what: round(per_unit(args.load, what, count)) for what, (_, count) in WORK.items()}
    print("| instructions for each | counted | kept |\n|---|--:|--:|")
    for what, (words, _) in WORK.items():
        print(f"| {words} | {counted[what]} | {kept.get(what, '–')} |")
    if args.update:
        KEPT.write_text(json.dumps(counted, indent=2) + "\n")
        return
    worse = [what for what, value in counted.items() if value > kept.get(what, 0) * (1 + TOLERANCE)]
    if worse:
        sys.exit(f"more than {TOLERANCE:.0%} above {KEPT.name}: {', '.join(worse)}; if that is meant: --update")


if __name__ == "__main__":
    main()
