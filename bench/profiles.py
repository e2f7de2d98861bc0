"""Where a server's time goes, by `perf`; without it, that is said."""

import re
import shutil
import subprocess

TOP = 8
LINE = re.compile(r"^\s*([\d.]+)%\s+(\S+)\s+\[(.)\]\s+(.+?)(?:\s+-)*\s*$")


def take(pid, folder, seconds):
    """Markdown: the kernel's share, and the functions that took most."""
    if not shutil.which("perf"):
        return "no profile: `perf` is not installed."
    data = folder / "perf.data"
    record = ["perf", "record", "-q", "-F", "499", "-p", str(pid), "-o", str(data), "--", "sleep", str(seconds)]
    done = subprocess.run(record, capture_output=True, text=True)
    if done.returncode:
        return f"no profile: {done.stderr.strip().splitlines()[-1:]}"
    report = ["perf", "report", "--stdio", "-q", "-i", str(data), "--sort", "dso,symbol", "--percent-limit", "0.1"]
    text = subprocess.run(report, capture_output=True, text=True).stdout
    return describe([m.groups() for m in map(LINE.match, text.splitlines()) if m])


def describe(rows):
    kernel = [(float(share), symbol) for share, _, space, symbol in rows if space == "k"]
    own = [(float(share), short(symbol)) for share, _, space, symbol in rows if space != "k"]
    total = sum(share for share, _ in kernel + own) or 1
    part = sum(share for share, _ in kernel) / total
    return f"{part:.0%} of the time in the kernel ({names(kernel)}), {1 - part:.0%} in user space ({names(own)})."


def names(rows):
    return ", ".join(f"`{symbol}` {share:.1f} %" for share, symbol in rows[:TOP])


def short(symbol):
    """Without hashes, traits and type arguments."""
    symbol = re.sub(r"::h[0-9a-f]{16}$", "", symbol)
    symbol = re.sub(r"^<([^<> ]+)[^ ]* as [^>]*>+", r"\1", symbol)
    while (less := re.sub(r"<[^<>]*>", "", symbol)) != symbol:
        symbol = less
    return symbol[:70].strip(":") or "?"
