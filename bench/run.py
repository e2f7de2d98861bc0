"""Weir beside its peers under the same load, in interleaved pairs; writes docs/performance.md.

`make bench`, or `python3 bench/run.py --weir PATH --load PATH`. Standard library only; traffic stays on the loopback.
"""

import argparse
import contextlib
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field

sys.dont_write_bytecode = True
import profiles
import servers
import table

RELEASE = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", servers.REPOSITORY / "target")) / "release"
WORST_GAP_MS = 10
HLS_STALL_MS = 4500
TRIES = 2


@dataclass
class Contender:
    """One server under one load: what is run, and what came of it."""

    name: str
    kind: str
    url: str
    server: servers.Process
    # Whether no crowd was there before: later ones find memory that is there already.
    fresh: bool = True
    trials: list = field(default_factory=list)
    discarded: list = field(default_factory=list)
    idle: float = float("nan")

    def counted(self):
        """Quiet trials; where there was none, all of them, and the table says so."""
        return self.trials or self.discarded


@dataclass
class Stage:
    """One load for all of its contenders, Weir first."""

    title: str
    viewers: int
    contenders: list
    targets: dict
    sample: int = 30
    profile: str = ""


class Bench:
    def __init__(self, args, folder, stack):
        self.args, self.folder, self.stack = args, folder, stack
        self.publishers = {}

    def own(self, process):
        self.stack.callback(process.stop)
        return process

    def weir(self, name, **stream):
        return self.own(servers.Weir(self.folder, self.args.weir, name, **stream))

    def publish(self, name, server, kbps):
        command = [self.args.load, "publish", server.live, "--kbps", kbps]
        self.publishers[name] = self.own(servers.Process(self.folder, f"publish-{len(self.publishers)}", command, pipe=True))

    def load(self, contender, stage, seconds):
        ramp, stall = (2000, HLS_STALL_MS) if contender.kind == "hls" else (1000, 1000)
        command = [self.args.load, contender.kind, contender.url, "--viewers", stage.viewers, "--seconds", seconds, "--sample", stage.sample]
        command += ["--ramp-ms", ramp, "--settle-ms", 2000, "--stall-ms", stall, "--watch", ",".join(map(str, contender.server.pids()))]
        return subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True)

    def trial(self, contender, stage):
        for _ in range(TRIES):
            out, _ = self.load(contender, stage, self.args.seconds).communicate(timeout=self.args.seconds + 60)
            seen = json.loads(out)
            if seen["ticker_gap_ms"] <= WORST_GAP_MS:
                contender.trials.append(seen)
                break
            contender.discarded.append(seen)
        print(f"  {contender.name}: {table.brief(seen)}", flush=True)
        time.sleep(0.5)

    def run(self, stage):
        print(f"{stage.title}", flush=True)
        for contender, core in zip(stage.contenders, idle([c.server for c in stage.contenders])):
            contender.idle = core
        for _ in range(self.args.pairs):
            for contender in stage.contenders:
                self.trial(contender, stage)
        load = self.load(stage.contenders[0], stage, 6)
        time.sleep(3.5)
        stage.profile = profiles.take(stage.contenders[0].server.child.pid, self.folder, 5)
        load.communicate()


def idle(compared, seconds=5):
    """What each costs with its stream and without viewers, of a core."""
    before = [cpu(server.pids()) for server in compared]
    time.sleep(seconds)
    return [(cpu(server.pids()) - spent) / seconds for server, spent in zip(compared, before)]


def cpu(pids):
    ticks = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


RTMP_4M = {"cpu": 0.8, "rss": 32, "p50": 1, "p99": 5}
# Too few bytes to tell what one costs.
FEW = {"p50": 1, "p99": 5}
RTMP_1M = {"cpu": 1.6, "rss": 32, "p50": 1, "p99": 5}
HLS_3M = {"cpu": 0.6, "rss": 32}
LL_HLS = {"p50": 3, "p99": 10}
LL_DASH = {"p50": 3}


def rtmp_stages(bench, viewers):
    for kbps, targets in ((4000, RTMP_4M), (1000, RTMP_1M)):
        weir = bench.weir(f"weir-{kbps}")
        peer = bench.own(servers.NginxRtmp(bench.folder, f"nginx-rtmp-{kbps}"))
        floor = bench.own(servers.Floor(bench.folder, bench.args.load, kbps))
        fed = [("Weir", weir), ("nginx-rtmp", peer)]
        compared = [*fed, ("floor: writes alone", floor)]
        for name, server in fed:
            bench.publish(f"{name}, {kbps / 1000:g} Mb/s", server, kbps)
        for crowd, sample in ((viewers, 30), (10, 1)) if kbps == 4000 else ((viewers, 30),):
            contenders = [Contender(name, "rtmp", server.live, server, sample > 1) for name, server in compared]
            targets = targets if sample > 1 else FEW
            yield Stage(f"RTMP, {crowd} viewers at {kbps / 1000:g} Mb/s", crowd, contenders, targets, sample)


def hls_stages(bench, viewers):
    weir = bench.weir("weir-hls")
    bench.publish("Weir, 3 Mb/s", weir, 3000)
    whole = bench.weir("weir-parts", dash={"chunk": "part"})
    bench.publish("Weir with a chunk for each part, 3 Mb/s", whole, 3000)
    floor = bench.own(servers.Floor(bench.folder, bench.args.load, 3000))
    root = bench.folder / "segments"
    root.mkdir()
    bench.own(servers.Mirror(weir.playlist, root))
    on, off = (bench.own(servers.NginxStatic(bench.folder, f"nginx-{s}", root, s)) for s in (True, False))
    contenders = [
        Contender("Weir", "hls", f"{weir.playlist}?ll=0", weir),
        Contender("Weir, a chunk for each part", "hls", f"{whole.playlist}?ll=0", whole),
        Contender("nginx, sendfile", "hls", on.playlist, on),
        Contender("nginx, no sendfile", "hls", off.playlist, off),
    ]
    yield Stage(f"HLS and DASH, {viewers} viewers at 3 Mb/s, whole segments of 2 s", viewers, contenders, HLS_3M)
    crowd = max(1, viewers // 3)
    low = [Contender(c.name, "llhls", c.server.playlist, c.server, fresh=False) for c in contenders[:2]]
    yield Stage(f"LL-HLS, {crowd} viewers at 3 Mb/s, parts of 0.2 s", crowd, low, LL_HLS, 10)
    chunks = [
        Contender("Weir", "lldash", weir.mpd, weir, fresh=False),
        Contender("floor: writes alone", "rtmp", floor.live, floor, fresh=False),
    ]
    yield Stage(f"LL-DASH, {crowd} viewers at 3 Mb/s, growing segments of 2 s", crowd, chunks, LL_DASH, 10)


def open_sockets():
    """As many as may be: one for each viewer, on both sides."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weir", type=pathlib.Path, default=RELEASE / "weir")
    parser.add_argument("--load", type=pathlib.Path, default=RELEASE / "weir-load")
    parser.add_argument("--seconds", type=int, default=8, help="of one trial")
    parser.add_argument("--viewers", type=int, default=300)
    parser.add_argument("--pairs", type=int, default=3, help="trials of each contender, interleaved")
    parser.add_argument("--warm-up", type=int, default=40, help="seconds until retained media has its size")
    parser.add_argument("--only", default="", help="stages whose title holds this")
    parser.add_argument("--out", type=pathlib.Path, default=servers.REPOSITORY / "docs/performance.md")
    return parser.parse_args()


def main():
    args = arguments()
    open_sockets()
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as folder, contextlib.ExitStack() as stack:
        bench = Bench(args, pathlib.Path(folder), stack)
        stages = [*rtmp_stages(bench, args.viewers), *hls_stages(bench, args.viewers)]
        stages = [s for s in stages if args.only in s.title]
        time.sleep(args.warm_up)
        for stage in stages:
            bench.run(stage)
        writes = {name: json.loads(p.stop() or "{}").get("write_ms") for name, p in bench.publishers.items()}
        document = table.document(stages, writes, args)
    print(document)
    table.write(args.out, document)


if __name__ == "__main__":
    main()
