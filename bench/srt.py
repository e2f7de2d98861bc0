"""SRT players of one stream: Weir beside srt-live-transmit, in interleaved pairs; writes *SRT* in docs/performance.md.

`python3 bench/srt.py --weir PATH`. srt-live-transmit serves one player a process, so there is one for each. All
players are srt-live-transmit too, so that neither server has the better peers. Traffic stays on the loopback.
"""

import argparse
import contextlib
import datetime
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
import ladder
import run
import servers
import table

TITLE = "SRT"
# Of an MPEG-TS in SRT.
PAYLOAD = 1316
SETTLE_S = 3
LATENCY_MS = 120


class Feed(threading.Thread):
    """The same packets to everybody: what an encoder sends, again to each port."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(type=socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.port, self.to = self.socket.getsockname()[1], []

    def run(self):
        while packet := self.socket.recv(PAYLOAD):
            for port in self.to:
                self.socket.sendto(packet, ("127.0.0.1", port))


class Players:
    """Programs that play into a port that counts."""

    def __init__(self, stack, folder, urls):
        self.sink = socket.socket(type=socket.SOCK_DGRAM)
        self.sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.sink.bind(("127.0.0.1", 0))
        self.bytes = 0
        threading.Thread(target=self.count, daemon=True).start()
        to = f"udp://127.0.0.1:{self.sink.getsockname()[1]}"
        for n, url in enumerate(urls):
            own(stack, servers.Process(folder, f"player-{n}", ["srt-live-transmit", "-q", url, to]))

    def count(self):
        block = bytearray(2048)
        while True:
            self.bytes += self.sink.recv_into(block)


def own(stack, process):
    stack.callback(process.stop)
    return process


def resident(pids):
    """KiB."""
    status = (pathlib.Path(f"/proc/{pid}/status").read_text() for pid in pids)
    return sum(int(re.search(r"VmRSS:\s+(\d+)", s)[1]) for s in status)


def measure(pids, urls, args, folder, before):
    """CPU s per GB that players got, and KiB for each."""
    with contextlib.ExitStack() as stack:
        players = Players(stack, folder, urls)
        time.sleep(SETTLE_S)
        spent, had, since = run.cpu(pids), players.bytes, time.monotonic()
        time.sleep(args.seconds)
        spent, had, took = run.cpu(pids) - spent, players.bytes - had, time.monotonic() - since
        each = (resident(pids) - before) / args.viewers
    got = had * 8 / took / args.viewers / 1e3
    return {"cpu": spent / (had / 1e9), "rss": each, "kbps": got}


def weir_trial(args, folder, feed):
    with contextlib.ExitStack() as stack:
        weir = own(stack, servers.Weir(folder, args.weir, f"weir-{time.monotonic_ns()}"))
        port = servers.free_port(socket.SOCK_DGRAM)
        encoder = f"srt://127.0.0.1:{weir.srt}?latency={LATENCY_MS}&streamid=publish:n"
        own(stack, servers.Process(folder, "publisher", ["srt-live-transmit", "-q", f"udp://:{port}", encoder]))
        feed.to = [port]
        time.sleep(2 * SETTLE_S)
        pids = weir.pids()
        url = f"srt://127.0.0.1:{weir.srt}?latency={LATENCY_MS}&streamid=read:n"
        idle = run.cpu(pids)
        time.sleep(SETTLE_S)
        idle = (run.cpu(pids) - idle) / SETTLE_S
        found = measure(pids, [url] * args.viewers, args, folder, resident(pids))
        feed.to = []
        return {**found, "idle": idle}


def libsrt_trial(args, folder, feed):
    with contextlib.ExitStack() as stack:
        ports = [(servers.free_port(socket.SOCK_DGRAM), servers.free_port(socket.SOCK_DGRAM)) for _ in range(args.viewers)]
        pids = []
        for n, (source, serves) in enumerate(ports):
            words = ["srt-live-transmit", "-q", f"udp://:{source}", f"srt://:{serves}?mode=listener&latency={LATENCY_MS}"]
            pids += own(stack, servers.Process(folder, f"server-{n}", words)).pids()
        time.sleep(1)
        feed.to = [source for source, _ in ports]
        urls = [f"srt://127.0.0.1:{serves}?latency={LATENCY_MS}" for _, serves in ports]
        found = measure(pids, urls, args, folder, 0)
        feed.to = []
        return found


def encode(args, port):
    """A tone and pictures at a steady rate, without an end."""
    words = f"-v error -re -f lavfi -i testsrc2=s=640x360:r=25 -f lavfi -i sine=r=48000 -c:v libx264 -preset ultrafast -g 50 \
        -b:v {args.kbps}k -minrate {args.kbps}k -maxrate {args.kbps}k -bufsize {args.kbps}k -x264-params nal-hrd=cbr -c:a aac -f mpegts udp://127.0.0.1:{port}?pkt_size={PAYLOAD}"
    return ["ffmpeg", *words.split()]


def row(name, trials):
    def cell(key, digits):
        values = [t[key] for t in trials]
        return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"

    return f"| {name} | {cell('cpu', 2)} | {cell('rss', 0)} | {cell('kbps', 0)} |"


def report(args, weir, libsrt):
    ratios = [w["cpu"] / l["cpu"] for w, l in zip(weir, libsrt)]
    version = subprocess.run(["srt-live-transmit", "-version"], capture_output=True, text=True)
    version = re.search(r"SRT Library version: ([\d.]+)", version.stdout + version.stderr)[1]
    head = "; ".join([str(datetime.date.today()), table.machine(), f"commit {table.commit()}", f"libsrt {version}"])
    return "\n".join(
        [
            f"{head}; {args.viewers} players at {args.kbps} kb/s, {args.pairs} pairs of {args.seconds} s; median, least and most.",
            "",
            "| server | CPU s/GB | KiB a player | kb/s a player |",
            "|---|--:|--:|--:|",
            row("Weir, one process", weir),
            row("srt-live-transmit, a process for each", libsrt),
            "",
            f"CPU of Weir per GB is {statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f}) of libsrt's, what it does beside",
            f"included: taking the stream in and packaging it, {statistics.median([w['idle'] for w in weir]):.3f} of a core without players.",
        ]
    )


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weir", type=pathlib.Path, default=ladder.RELEASE / "weir")
    parser.add_argument("--seconds", type=int, default=10, help="of each trial")
    parser.add_argument("--viewers", type=int, default=40)
    parser.add_argument("--kbps", type=int, default=4000)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--out", type=pathlib.Path, default=servers.REPOSITORY / "docs/performance.md")
    return parser.parse_args()


def main():
    args = arguments()
    args.weir = args.weir.resolve()
    with tempfile.TemporaryDirectory(prefix="weir-srt-") as folder, contextlib.ExitStack() as stack:
        folder, feed = pathlib.Path(folder), Feed()
        feed.start()
        own(stack, servers.Process(folder, "encoder", encode(args, feed.port)))
        weir, libsrt = [], []
        for _ in range(args.pairs):
            weir.append(weir_trial(args, folder, feed))
            libsrt.append(libsrt_trial(args, folder, feed))
            print(weir[-1], libsrt[-1], file=sys.stderr, flush=True)
        body = report(args, weir, libsrt)
    print(body, flush=True)
    args.out.write_text(put(args.out.read_text(), body))


def put(text, body):
    """The section of this name written anew, or put before *Ladders*."""
    part = f"## {TITLE}\n\n{body.strip()}\n\n"
    found = re.search(rf"^## {TITLE}\n.*?(?=^## |\Z)", text, re.M | re.S)
    if found:
        return text[: found.start()] + part + text[found.end() :]
    at = text.index("## Ladders\n")
    return text[:at] + part + text[at:]


if __name__ == "__main__":
    main()
