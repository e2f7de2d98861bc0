"""What a viewer sees of an encoder's failure: Weir beside nginx-rtmp with a script that publishes anew, in interleaved pairs.

`python3 bench/failover.py`. Each trial has fresh servers, two encoders that push the same picture at two bitrates, main
and backup, and one RTMP player, which is restarted at once where it is cut off. Then main is killed or stopped
(SIGSTOP: its connection stays). The silence is the longest wall time between two pictures that can be shown, from the
failure until two seconds of backup were seen. Standard library only; traffic stays on the loopback.
"""

import argparse
import contextlib
import datetime
import pathlib
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass

sys.dont_write_bytecode = True
import run
import servers
import table

OURS = servers.REPOSITORY / ".tools/ffmpeg"
FFMPEG = OURS if OURS.exists() else shutil.which("ffmpeg") or sys.exit("ffmpeg is missing: deploy/setup.sh test")
KBPS = {"main": 1200, "backup": 900}
FPS, GROUP_S, FILM_S = 30, 1, 20
# From both inputs being there to the failure: an input is known by then.
SETTLE_S = 5
# What is watched of backup: its arrival alone would hide a second silence.
WATCHED_S = 2
STARTING_S = 15
PATIENCE_S = 15
# As quick as ffmpeg starts with sound and pictures; `nobuffer` would lose the first group. The same for both.
PLAYER = ["-fpsprobesize", "0"]


def weir(args, folder, _):
    return servers.Weir(folder, args.weir, "weir", KBPS)


def republished(_, folder, idle_s):
    return servers.Republished(folder, "nginx", FFMPEG, idle_s)


PEERS = {"Weir": weir, "nginx-rtmp": republished}


@dataclass
class Picture:
    at: float
    # Whose it is, by its bytes.
    source: str


class Film:
    """What the encoders push, encoded once; every picture is known by length and checksum."""

    def __init__(self, folder):
        self.folder, self.sources = folder, {}
        for which, kbps in KBPS.items():
            inputs = ["-f", "lavfi", "-i", f"testsrc2=size=640x360:rate={FPS}", "-f", "lavfi", "-i", "sine=440:sample_rate=48000"]
            video = ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", FPS * GROUP_S, "-sc_threshold", 0, "-b:v", f"{kbps}k"]
            ffmpeg(*inputs, "-t", FILM_S, *video, "-c:a", "aac", "-b:a", "96k", self.file(which))
            for line in ffmpeg("-i", self.file(which), "-map", "0:v", "-c", "copy", "-f", "framecrc", "-").splitlines():
                if not line.startswith("#"):
                    self.sources[self.known_by(line)] = which

    def file(self, which):
        return self.folder / f"{which}.flv"

    @staticmethod
    def known_by(line):
        return tuple(line.replace(" ", "").strip().split(",")[4:6])

    @contextlib.contextmanager
    def encoder(self, folder, which, url):
        command = [FFMPEG, "-nostdin", "-v", "warning", "-re", "-stream_loop", -1, "-i", self.file(which), "-c", "copy", "-f", "flv", url]
        process = servers.Process(folder, which, command)
        yield process.child
        # One that is stopped hears nothing else.
        process.child.kill()
        process.child.wait()


def ffmpeg(*arguments):
    command = [FFMPEG, "-nostdin", "-v", "error", *arguments]
    return subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE, text=True).stdout


class Viewer(threading.Thread):
    """A player that comes back at once where it is cut off, and when each of its pictures arrived."""

    def __init__(self, film, url, log):
        super().__init__(daemon=True)
        self.film, self.log, self.pictures, self.cuts, self.stopping = film, log, [], [], False
        command = [FFMPEG, "-nostdin", "-v", "warning", *PLAYER, "-i", url, "-map", "0:v", "-c", "copy", "-flush_packets", "1", "-f", "framecrc", "-"]
        self.command = [str(c) for c in command]
        self.start()

    def run(self):
        with self.log.open("wb") as log:
            while not self.stopping:
                with subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=log, text=True) as self.player:
                    self.watch(self.player.stdout)
                self.cuts.append(time.monotonic())

    def watch(self, lines):
        # A picture without its keyframe cannot be shown.
        group = None
        for line in lines:
            at = time.monotonic()
            if line.startswith("#"):
                continue
            source = self.film.sources.get(self.film.known_by(line), "?")
            group = group if "F=0x0" in line else source
            if source == group:
                self.pictures.append(Picture(at, source))

    def wait_for(self, source, since, patience):
        """The first picture of a source, or None."""
        deadline, seen = time.monotonic() + patience, 0
        while time.monotonic() < deadline:
            for seen in range(seen, len(self.pictures)):
                if self.pictures[seen].source == source and self.pictures[seen].at >= since:
                    return self.pictures[seen]
            time.sleep(0.05)

    def stop(self):
        self.stopping = True
        # It may be about to start another one.
        while self.is_alive():
            self.player.kill()
            self.join(0.2)


class Ticker(threading.Thread):
    """How long a thread that sleeps a millisecond at a time was away."""

    def __init__(self):
        super().__init__(daemon=True)
        self.worst_ms, self.stopping = 0, False
        self.start()

    def run(self):
        last = time.monotonic()
        while not self.stopping:
            time.sleep(0.001)
            now = time.monotonic()
            self.worst_ms, last = max(self.worst_ms, (now - last) * 1000), now

    def stop(self):
        self.stopping = True
        self.join()
        return self.worst_ms


def await_quiet():
    """Until two seconds had no long tick, a minute at most: what disturbs often goes on for a while."""
    for _ in range(30):
        ticker = Ticker()
        time.sleep(2)
        if ticker.stop() <= run.WORST_GAP_MS:
            break


@dataclass
class Failure:
    title: str
    signal: int
    idle_s: float


@dataclass
class Seen:
    silence_ms: float
    # The longest distance of two pictures before anything failed.
    usual_ms: float
    # Whether the player was cut off, timestamps went back, backup never came.
    cut: bool
    back: bool
    never: bool
    # Whether something else than main was seen before it failed: no trial at all.
    early: bool
    gap_ms: float

    def quiet(self):
        return self.gap_ms <= run.WORST_GAP_MS


def longest_ms(moments):
    return max((b - a for a, b in zip(moments, moments[1:])), default=0) * 1000


def await_phase(began, phase):
    """Until main is that far into one of its groups."""
    time.sleep((phase - (time.monotonic() - began) / GROUP_S) % 1 * GROUP_S)


def trial(args, film, peer, failure, phases):
    with tempfile.TemporaryDirectory(prefix="weir-failover-") as folder, contextlib.ExitStack() as stack:
        folder = pathlib.Path(folder)
        server = PEERS[peer](args, folder, failure.idle_s)
        stack.callback(server.stop)
        began = time.monotonic()
        main = stack.enter_context(film.encoder(folder, "main", server.ingest("main")))
        viewer = Viewer(film, server.live, folder / "player.log")
        stack.callback(viewer.stop)
        if not viewer.wait_for("main", 0, STARTING_S):
            raise SystemExit(f"{peer}: main is not seen\n{viewer.log.read_text()[-2000:]}")
        await_phase(began, phases[0])
        stack.enter_context(film.encoder(folder, "backup", server.ingest("backup")))
        time.sleep(SETTLE_S)
        await_phase(began, phases[1])
        ticker = Ticker()
        main.send_signal(failure.signal)
        failed = time.monotonic()
        first = viewer.wait_for("backup", failed, failure.idle_s + PATIENCE_S)
        time.sleep(WATCHED_S if first else 0)
        gap_ms = ticker.stop()
        # Where it never came, the silence is as long as was waited.
        until = first.at + WATCHED_S if first else time.monotonic()
        before = [p for p in viewer.pictures if failed - SETTLE_S / 2 < p.at < failed]
        after = [*before[-1:], *(p for p in viewer.pictures if failed <= p.at < until)]
        return Seen(
            silence_ms=longest_ms([p.at for p in after] + ([] if first else [until])),
            usual_ms=longest_ms([p.at for p in before]),
            cut=any(failed < at < until for at in viewer.cuts),
            back="Non-monotonic DTS" in viewer.log.read_text(),
            never=not first,
            early=not before or any(p.source != "main" for p in before),
            gap_ms=gap_ms,
        )


def failures(args):
    if "kill" in args.only:
        yield Failure("killed", signal.SIGKILL, min(args.idle))
    for idle_s in args.idle if "stop" in args.only else ():
        yield Failure(f"stopped; nginx drops it after {idle_s:g} s", signal.SIGSTOP, idle_s)


def measure(args, film, failure):
    """Pairs of what was seen, Weir's first, until so many are quiet; at most three times as many."""
    pairs = []
    for number in range(3 * args.trials):
        if sum(quiet(pair) for pair in pairs) == args.trials:
            break
        await_quiet()
        # Both fail at the same point of a group, at the same distance of the two encoders.
        dice = random.Random(number)
        phases = [dice.random() for _ in KBPS]
        # Who is first alternates: what grows with time is in both.
        seen = {peer: trial(args, film, peer, failure, phases) for peer in list(PEERS)[:: -1 if number % 2 else 1]}
        said = [f"{peer} {seen[peer].silence_ms:.0f} ms, gap {seen[peer].gap_ms:.1f} ms" for peer in PEERS]
        early = any(s.early for s in seen.values())
        print(f"{failure.title}, {number + 1}: {'; '.join(said)}{'; not counted: main was left before' if early else ''}", file=sys.stderr)
        pairs += [] if early else [[seen[peer] for peer in PEERS]]
    return pairs


def quiet(pair):
    return all(s.quiet() for s in pair)


HEAD = """| main is | pairs | viewer of | silence ms, median / p99 / max | before, max | cut off | DTS back | never back |
|---|--:|---|--:|--:|--:|--:|--:|"""


def p99(values):
    return statistics.quantiles(values, n=100, method="inclusive")[98] if len(values) > 1 else values[0]


def rows(title, pairs):
    """One of each peer, and what lies between them; none of no pairs."""
    if not pairs:
        return
    silences = [[s.silence_ms for s in seen] for seen in zip(*pairs)]
    for peer, seen, values in zip(PEERS, zip(*pairs), silences):
        figures = " / ".join(f"{f(values):.0f}" for f in (statistics.median, p99, max))
        counts = " | ".join(str(sum(getattr(s, sign) for s in seen)) for sign in ("cut", "back", "never"))
        yield f"| {title} | {len(pairs)} | {peer} | {figures} | {max(s.usual_ms for s in seen):.0f} | {counts} |"
    ratios = [ours / theirs for ours, theirs in zip(*silences)]
    figures = " / ".join(f"{f(silences[0]) / f(silences[1]):.3f}" for f in (statistics.median, p99, max))
    yield f"| | | Weir / it | **{figures}**, of pairs {statistics.median(ratios):.3f}, at most {max(ratios):.3f} | | | | |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weir", type=pathlib.Path, default=run.RELEASE / "weir")
    parser.add_argument("--trials", type=int, default=20, help="quiet ones of each server and each failure")
    parser.add_argument("--idle", type=float, nargs="+", default=[1, 10], help="seconds of silence after which nginx drops a publisher")
    parser.add_argument("--only", nargs="+", choices=("kill", "stop"), default=("kill", "stop"))
    args = parser.parse_args()
    # So that nothing is left running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="weir-film-") as folder:
        film = Film(pathlib.Path(folder))
        print(f"{datetime.date.today()}, {table.machine()}; commit {table.commit()}; nginx {servers.Nginx.version()} of Debian.\n\n{HEAD}", flush=True)
        for failure in failures(args):
            pairs = measure(args, film, failure)
            calm = [pair for pair in pairs if quiet(pair)]
            for title, kept in ((failure.title, pairs), (f"{failure.title}; the quiet ones", calm if len(calm) < len(pairs) else [])):
                print("\n".join(rows(title, kept)), end="\n" if kept else "", flush=True)


if __name__ == "__main__":
    main()
