"""What a ladder costs, beside ffmpeg and beside itself, in interleaved pairs, and how long it holds pictures up.

`python3 bench/ladder.py --load PATH --worker PATH`; writes its parts of docs/performance.md. Standard library only.
"""

import argparse
import datetime
import json
import math
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field

sys.dont_write_bytecode = True
import servers
import table

RELEASE = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", servers.REPOSITORY / "target")) / "release"
FPS, GOP_MS = 30, 2000
# The mean that a ladder gives a height, in kb/s (docs/transcoding.md).
KBPS = {720: 2500, 480: 1200, 360: 700, 180: 250}
SOUND_KBPS = 128
# Numbers of outputs from here on are sound.
SOUND = 0x100
# Of an encoder's pictures, those that look-ahead and reordering may keep at the end.
KEPT = 60
# More, and the two did not make the same.
OTHER_BYTES = 0.03
ONE_FRAME_MS = 1000 / FPS
CPU_TARGET, DELAY_TARGET_MS = 1.05, ONE_FRAME_MS + 10


@dataclass
class Rung:
    height: int
    preset: str = "veryfast"
    tune: str = None

    @property
    def width(self):
        """As `ladder::Decision` scales 1280x720."""
        wide = round(1280 * self.height / 720)
        return wide + wide % 2

    def limits(self):
        """The mean, the most, the buffer."""
        mean = KBPS[self.height]
        return mean, mean * 3 // 2, mean * 2

    def told(self):
        """A `ladder::VideoRung`."""
        control = dict(zip(("kbps", "max_kbps", "buffer_kbits"), self.limits()))
        untold = dict.fromkeys(("width", "profile", "level", "b_frames", "refs"))
        named = {"name": f"{self.height}p", "codec": "h264", "height": self.height, "fit": "fit", "rate": "source"}
        return {**untold, **named, "control": {"bitrate": control}, "preset": self.preset, "tune": self.tune}


def told(rungs, sound):
    """A `ladder::Ladder`."""
    rung = {"name": "audio", "codec": "aac", "from": "all", "kbps": SOUND_KBPS, "sample_rate": None, "channels": None}
    video = [rung.told() for rung in rungs]
    return {"gop_ms": GOP_MS, "deinterlace": "auto", "video": video, "audio": [rung] * sound}


@dataclass
class Made:
    """What one run cost and what came of it, rung by rung."""

    cpu_s: float
    pictures: list
    bytes: list

    def per_picture(self):
        return self.cpu_s / self.pictures[0]

    def __add__(self, other):
        return Made(self.cpu_s + other.cpu_s, self.pictures + other.pictures, self.bytes + other.bytes)


class Bench:
    def __init__(self, args, folder):
        self.args, self.folder = args, folder

    def clip(self, name, more):
        """Pictures that move, and a tone, as an encoder sends them."""
        path = self.folder / f"{name}.flv"
        inputs = f"-f lavfi -i testsrc2=s=1280x720:r={FPS} -f lavfi -i sine=f=440:r=48000 -t {self.args.seconds} -pix_fmt yuv420p"
        video = f"-c:v libx264 -preset veryfast -b:v 4M -maxrate 6M -bufsize 8M -g {2 * FPS} -sc_threshold 0 {more}"
        command = f"{self.args.ffmpeg} -v error -nostdin -y {inputs} {video} -c:a aac -b:a 128k -ac 2 -f flv {path}"
        subprocess.run(command.split(), check=True)
        return path

    def run(self, clip, rungs, sound=True, paced=False):
        ladder = self.folder / "ladder.json"
        ladder.write_text(json.dumps(told(rungs, sound)))
        command = [self.args.load, "ladder", clip, "--worker", self.args.worker, "--ladder", ladder] + ["--paced"] * paced
        return json.loads(subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE).stdout)

    def weir(self, clip, rungs, sound=True):
        seen = self.run(clip, rungs, sound)
        pictures = [o for o in seen["outputs"] if o["number"] < SOUND]
        return Made(seen["cpu_s"], [o["units"] for o in pictures], [o["bytes"] for o in pictures])

    def singles(self, clip, rungs):
        made = [self.weir(clip, [rung], sound=False) for rung in rungs]
        return sum(made[1:], made[0])

    def ffmpeg(self, clip, rungs):
        command = ffmpeg(self.args.ffmpeg, clip, rungs)
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        said = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        # It has been waited for.
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            sys.exit(f"{' '.join(command)}\n{said[-3000:]}")
        made = re.findall(r"\(video\): \d+ frames encoded; (\d+) packets muxed \((\d+) bytes\)", said)
        return Made(usage.ru_utime + usage.ru_stime, [int(n) for n, _ in made], [int(n) for _, n in made])


def ffmpeg(binary, clip, rungs):
    """With what the worker sets: a decoder that divides pictures, filters of one thread, IDRs on order; encoders choose theirs."""
    ends = range(len(rungs))
    chains = [f"[s{n}]scale={r.width}:{r.height}:flags=bicubic,format=yuv420p,setsar=1[v{n}]" for n, r in enumerate(rungs)]
    split = f"[0:v]split={len(rungs)}" + "".join(f"[s{n}]" for n in ends)
    threads = min(len(os.sched_getaffinity(0)), 4)
    command = f"{binary} -nostdin -nostats -v verbose -threads {threads} -thread_type slice -i {clip} -filter_complex_threads 1"
    command += f" -filter_complex {';'.join([split, *chains])} {' '.join(f'-map [v{n}]' for n in ends)} -map 0:a -r {FPS}"
    command += " -c:v libx264 -flags:v +global_header+cgop -x264-params keyint=infinite:scenecut=0"
    command += f" -forced-idr 1 -force_key_frames expr:gte(t,n_forced*{GOP_MS / 1000:g})"
    for n, rung in enumerate(rungs):
        mean, most, buffer = rung.limits()
        command += f" -preset:v:{n} {rung.preset} -b:v:{n} {mean}k -maxrate:v:{n} {most}k -bufsize:v:{n} {buffer}k"
        command += f" -tune:v:{n} {rung.tune}" if rung.tune else ""
    return f"{command} -c:a aac -b:a {SOUND_KBPS}k -f null -".split()


@dataclass
class Comparison:
    """Two ways to the same pictures, in pairs; who is first alternates."""

    title: str
    ours: object
    theirs: object
    pairs: list = field(default_factory=list)

    def run(self, pairs):
        for n in range(pairs):
            turn = 1 if n % 2 == 0 else -1
            first, second = (self.ours, self.theirs)[::turn]
            a, b = (first(), second())[::turn]
            check(self.title, a, b)
            self.pairs.append((a, b))
            print(f"  {self.title}: {a.cpu_s:.2f} s, {b.cpu_s:.2f} s", file=sys.stderr, flush=True)
        return self

    def ratio(self):
        return interval([a.per_picture() / b.per_picture() for a, b in self.pairs])

    def row(self):
        ours, theirs = zip(*self.pairs)
        low, middle, high = self.ratio()
        cells = [self.title, milliseconds(ours), milliseconds(theirs), f"**{middle:.3f}** ({low:.3f}–{high:.3f})", alike(*self.pairs[0])]
        return "| " + " | ".join(cells) + " |"


def check(title, a, b):
    """Ratios mean nothing where the two did not make the same."""
    for mine, other, size, beside in zip(a.pictures, b.pictures, a.bytes, b.bytes, strict=True):
        if abs(mine - other) > KEPT or abs(size / mine / (beside / other) - 1) > OTHER_BYTES:
            sys.exit(f"{title}: {mine} pictures in {size} bytes, beside {other} in {beside}")


def interval(values):
    """The median between the order statistics that hold it in 95 of 100 cases, whatever the distribution; few values: all."""
    ranked, n = sorted(values), len(values)
    below = lambda k: sum(math.comb(n, i) for i in range(k + 1)) / 2**n
    k = max((k for k in range(n // 2) if 2 * below(k) <= 0.05), default=0)
    return ranked[k], statistics.median(ranked), ranked[n - 1 - k]


def milliseconds(runs):
    per_picture = [run.per_picture() * 1000 for run in runs]
    return f"{statistics.median(per_picture):.2f} ({min(per_picture):.2f}–{max(per_picture):.2f})"


def alike(a, b):
    parts = [f"{n} / {m}, {size / n / (beside / m) - 1:+.1%}" for n, m, size, beside in zip(a.pictures, b.pictures, a.bytes, b.bytes)]
    return "; ".join(parts)


def verdict(met, words):
    return f"- {'Met' if met else '**Short of the target**'}: {words}."


HEAD = "| {} | {} | ratio, median | pictures and bytes of each, rung by rung |\n|---|--:|--:|--:|---|"
ENCODERS = {"`ultrafast`, `zerolatency`": ("ultrafast", "zerolatency"), "`veryfast` (default)": ("veryfast", None)}


def beside_ffmpeg(bench):
    """Both make two rungs and the sound of one clip."""
    clip = bench.clip("clip", "-bf 2")
    rows, verdicts = [HEAD.format("640x360, 320x180, sound", "CPU, ms per picture | ffmpeg")], [""]
    for title, how in ENCODERS.items():
        rungs = [Rung(360, *how), Rung(180, *how)]
        compared = Comparison(title, lambda: bench.weir(clip, rungs), lambda: bench.ffmpeg(clip, rungs)).run(bench.args.pairs)
        middle = compared.ratio()[1]
        rows.append(compared.row())
        verdicts.append(verdict(middle <= CPU_TARGET, f"{title}, {middle:.3f} of ffmpeg's CPU, target {CPU_TARGET}"))
    return rows + verdicts


def one_process(bench):
    """Without sound: what is decoded once instead of once for each rung."""
    clip = bench.clip("clip", "-bf 2")
    rows, verdicts = [HEAD.format("`veryfast`, no sound", "CPU, ms per picture | a process for each rung")], [""]
    for heights in (360, 180), (720, 480, 360, 180):
        rungs, title = [Rung(h) for h in heights], ", ".join(f"{h}p" for h in heights)
        compared = Comparison(title, lambda: bench.weir(clip, rungs, sound=False), lambda: bench.singles(clip, rungs)).run(bench.args.pairs)
        _, middle, high = compared.ratio()
        rows.append(compared.row())
        verdicts.append(verdict(high < 1, f"{title} in one process, {middle:.3f} of the CPU of {len(rungs)}, target less than 1"))
    return rows + verdicts


def delay(bench):
    """At the pictures' own pace, without B-frames in the source: those have a delay of their own."""
    clip = bench.clip("even", "-bf 0")
    rows, verdicts, gaps = ["| | | delay, ms p50 / p99 / max | pictures |\n|---|---|--:|--:|"], [""], []
    for title, how in ENCODERS.items():
        rungs = [Rung(360, *how), Rung(180, *how)]
        seen = bench.run(clip, rungs, paced=True)
        gaps.append(seen["ticker_gap_ms"])
        for rung, made in zip(rungs, seen["outputs"]):
            held = made["delay_ms"]
            rows.append(f"| {title} | {rung.height}p | {held['p50']:.1f} / {held['p99']:.1f} / {held['max']:.1f} | {held['count']} |")
            if rung.tune:
                words = f"{rung.height}p, p99 of {held['p99']:.1f} ms, target {DELAY_TARGET_MS:.1f} (one picture and 10 ms)"
                verdicts.append(verdict(held["p99"] <= DELAY_TARGET_MS, words))
    return rows + ["", f"A ticker of a millisecond was away for {max(gaps):.1f} ms at most."] + verdicts


PARTS = {"Beside ffmpeg": beside_ffmpeg, "One process": one_process, "Delay": delay}


def heading(bench, title):
    spread = "the median's 95 % interval" if bench.args.pairs >= 6 else "the least and the most"
    paired = "" if title == "Delay" else f"; {bench.args.pairs} pairs; of CPU the least and the most, of ratios {spread}"
    said = subprocess.run([bench.args.ffmpeg, "-version"], capture_output=True, text=True).stdout
    version = re.match(r"ffmpeg version (\S+)", said)[1]
    parts = [str(datetime.date.today()), table.machine(), f"commit {table.commit()}", f"ffmpeg {version}"]
    return f"{'; '.join(parts)}; {bench.args.seconds} s of 1280x720 at {FPS} fps{paired}.\n"


def put(text, title, body):
    """The part of the document below a heading, up to the next one, written anew; at its end where there is none."""
    part = f"### {title}\n\n{body.strip()}\n\n"
    found = re.search(rf"^### {title}\n.*?(?=^##|\Z)", text, re.M | re.S)
    if found:
        return (text[: found.start()] + part + text[found.end() :]).rstrip() + "\n"
    return f"{text.rstrip()}\n\n{part}".rstrip() + "\n"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--load", type=pathlib.Path, default=RELEASE / "weir-load")
    parser.add_argument("--worker", type=pathlib.Path, default=RELEASE / "weir-transcoder")
    parser.add_argument("--ffmpeg", default="/usr/bin/ffmpeg", help="the distribution's: it has the worker's libav")
    parser.add_argument("--seconds", type=int, default=20, help="of programme in each run")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--only", default="", help="parts whose title holds this; others stay as they are")
    parser.add_argument("--out", type=pathlib.Path, default=servers.REPOSITORY / "docs/performance.md")
    return parser.parse_args()


def main():
    args = arguments()
    with tempfile.TemporaryDirectory(prefix="weir-ladder-") as folder:
        bench = Bench(args, pathlib.Path(folder))
        for title in (t for t in PARTS if args.only in t):
            print(title, file=sys.stderr, flush=True)
            body = "\n".join([heading(bench, title), *PARTS[title](bench)])
            print(body, flush=True)
            args.out.write_text(put(args.out.read_text(), title, body))


if __name__ == "__main__":
    main()
