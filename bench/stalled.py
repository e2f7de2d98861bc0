"""Whether those who take nothing slow the writer: its writes with and without them, in interleaved pairs.

`python3 bench/stalled.py`. Healthy RTMP players come first, then in one half of each pair a player that reads nothing
and, once there is a segment, an HTTP client that reads nothing of it; then a programme is published. What is compared
is how long the publisher's write of a frame took. How long the push into the hub takes: `cargo bench -p hub`.
"""

import argparse
import contextlib
import fcntl
import json
import pathlib
import re
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
import urllib.error
import urllib.request

sys.dont_write_bytecode = True
import run
import servers

HANDSHAKE = 1536
# So little is taken that the server's socket is full after a few frames.
ROOM = 4096
COMING_S = 1.5


def text(word):
    return struct.pack(">BH", 2, len(word)) + word.encode()


def number(value):
    return struct.pack(">Bd", 0, value)


def message(body, stream=0):
    """A command in chunks of 128 bytes, as before any chunk size was set."""
    head = struct.pack(">BI", 3, 0)[:4] + struct.pack(">I", len(body))[1:] + b"\x14" + struct.pack("<I", stream)
    return head + b"\xc3".join(body[at : at + 128] for at in range(0, len(body), 128))


def connect(port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
    s.connect(("127.0.0.1", port))
    return s


def deaf_player(weir):
    s = connect(weir.rtmp)
    s.sendall(b"\x03" + bytes(HANDSHAKE))
    s.recv(1 + 2 * HANDSHAKE, socket.MSG_WAITALL)
    app = b"\x03" + text("app")[1:] + text("live") + b"\x00\x00\x09"
    play = text("play") + number(3) + b"\x05" + text("n")
    s.sendall(bytes(HANDSHAKE) + message(text("connect") + number(1) + app))
    s.sendall(message(text("createStream") + number(2) + b"\x05") + message(play, 1))
    return s


def deaf_client(weir):
    """Asks for the newest segment as soon as there is one."""
    for _ in range(100):
        with contextlib.suppress(urllib.error.URLError):
            names = re.findall(r"^[^#\s].*$", urllib.request.urlopen(f"{weir.playlist}?ll=0", timeout=5).read().decode(), re.M)
            if names:
                break
        time.sleep(0.05)
    s = connect(weir.http)
    s.sendall(f"GET /n/{names[-1]} HTTP/1.1\r\nHost: weir\r\n\r\n".encode())
    return s


def waits(peer):
    """Whether media lies in a peer's socket that it does not read."""
    return struct.unpack("i", fcntl.ioctl(peer, termios.FIONREAD, bytes(4)))[0] > ROOM // 2


def trial(args, stalled):
    with tempfile.TemporaryDirectory(prefix="weir-stalled-") as folder, contextlib.ExitStack() as stack:
        folder = pathlib.Path(folder)
        weir = servers.Weir(folder, args.weir, "weir")
        stack.callback(weir.stop)
        crowd = [args.load, "rtmp", weir.live, "--viewers", args.viewers, "--seconds", args.seconds + 2, "--settle-ms", 0]
        crowd = subprocess.Popen([str(c) for c in crowd], stdout=subprocess.PIPE, text=True)
        time.sleep(COMING_S)
        deaf = [stack.enter_context(deaf_player(weir))] if stalled else []
        publish = [args.load, "publish", weir.live, "--kbps", 4000, "--fps", 60, "--gop", 60, "--seconds", args.seconds]
        publish = subprocess.Popen([str(c) for c in publish], stdout=subprocess.PIPE, text=True)
        if stalled:
            deaf.append(stack.enter_context(deaf_client(weir)))
        writes = json.loads(publish.communicate()[0])["write_ms"]
        if not all(map(waits, deaf)):
            sys.exit("one that should stall was sent nothing")
        seen = json.loads(crowd.communicate()[0])
        if seen["lost"] or seen["behind"]:
            sys.exit(f"healthy players fell behind: {seen}")
        return writes, seen["ticker_gap_ms"]


def interval(ratios):
    """The median and the values around it between which the true one lies in about 95 of 100 cases, by rank."""
    ratios, n = sorted(ratios), len(ratios)
    rank = max(0, round(n / 2 - 0.98 * n**0.5) - 1)
    return statistics.median(ratios), ratios[rank], ratios[n - 1 - rank]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weir", type=pathlib.Path, default=run.RELEASE / "weir")
    parser.add_argument("--load", type=pathlib.Path, default=run.RELEASE / "weir-load")
    parser.add_argument("--viewers", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=8, help="of one trial")
    parser.add_argument("--pairs", type=int, default=12)
    args = parser.parse_args()
    run.open_sockets()
    ratios, quiet = [], []
    for pair in range(args.pairs):
        # Who is first alternates: what grows with time is in both.
        order = (True, False) if pair % 2 else (False, True)
        seen = {stalled: trial(args, stalled) for stalled in order}
        (with_them, gap), (without, other) = seen[True], seen[False]
        ratios.append(with_them["p99"] / without["p99"])
        quiet.append(max(gap, other) <= run.WORST_GAP_MS)
        print(f"p50 / p99 ms: with {with_them['p50']:.3f} / {with_them['p99']:.3f}, without {without['p50']:.3f} / {without['p99']:.3f}, gap {max(gap, other):.1f} ms", flush=True)
    for name, kept in (("all", ratios), ("quiet", [r for r, q in zip(ratios, quiet) if q])):
        if kept:
            print("p99 with stalled / without, %s %d pairs: %.2f, 95 %% within %.2f to %.2f" % (name, len(kept), *interval(kept)))


if __name__ == "__main__":
    main()
