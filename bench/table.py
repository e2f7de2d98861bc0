"""Figures as a document: medians, spread, ratios in pairs, and what falls short."""

import datetime
import pathlib
import platform
import statistics
import subprocess

import servers

# From here on the document is written by hand, and kept.
BY_HAND = "## Reading it"
WORDS = {
    "cpu": ("CPU-s/GB", ""),
    "rss": ("KiB per viewer", ""),
    "p50": ("latency p50", " ms"),
    "p99": ("latency p99", " ms"),
}


def brief(seen):
    troubles = [f"{seen[k]} {k}" for k in ("stalled", "lost", "behind") if seen[k]]
    figures = f"{per_gb(seen):.3f} CPU-s/GB, {seen['bytes'] / 1e9:.2f} GB, gap {seen['ticker_gap_ms']:.1f} ms"
    return ", ".join([figures, *troubles, *filter(None, [seen["failure"]])])


def per_gb(seen):
    return seen["server"]["cpu_s"] / (seen["bytes"] / 1e9 or float("nan"))


def percentile(seen, samples, which):
    return (seen[samples] or {}).get(which, float("nan"))


def rss_per_viewer(contender):
    if not contender.fresh:
        return float("nan")
    first = min(contender.trials + contender.discarded, key=lambda t: t["server"]["rss_before_kib"])
    last = max(t["server"]["rss_kib"] for t in contender.trials + contender.discarded)
    return (last - first["server"]["rss_before_kib"]) / first["viewers"]


def spread(values, digits=2):
    middle = f"{statistics.median(values):.{digits}f}"
    return middle if len(values) < 2 else f"{middle} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def middle(contender, samples, which):
    return statistics.median(percentile(t, samples, which) for t in contender.counted())


def ms(value):
    return "–" if value != value else f"{value:.0f}" if value >= 100 else f"{value:.2f}"


def triple(contender, samples):
    return " / ".join(ms(middle(contender, samples, p)) for p in ("p50", "p99", "p999"))


def row(contender, stage):
    counted = contender.counted()
    # Whole segments in a short time: a viewer may have one less than its neighbour and miss nothing.
    signs = ("stalled", "lost") if contender.kind == "hls" else ("stalled", "lost", "behind")
    kept = sum(t["viewers"] - max(t[sign] for sign in signs) for t in counted)
    cells = [
        contender.name,
        spread([per_gb(t) for t in counted]),
        ratio(stage.contenders[0], contender),
        f"{rss_per_viewer(contender):.0f}" if contender.fresh else "–",
        triple(contender, "latency_ms"),
        triple(contender, "fetch_ms") if counted[0]["fetch_ms"] else "–",
        ms(middle(contender, "first_frame_ms", "p50")),
        f"{kept} of {sum(t['viewers'] for t in counted)}",
        f"{contender.idle * 100:.1f} %",
        f"{len(contender.trials)}, {len(contender.discarded)}" + ("" if contender.trials else " *"),
    ]
    return "| " + " | ".join(cells) + " |"


def ratio(weir, peer):
    """Weir's cost over the peer's, trial by trial."""
    if peer is weir:
        return ""
    return spread([per_gb(a) / per_gb(b) for a, b in zip(weir.counted(), peer.counted())])


HEAD = """| server | CPU-s/GB | Weir / it | KiB RSS per viewer | latency ms p50 / p99 / p99.9 | fetch ms | first frame ms | kept up | core, no viewers | trials, discarded |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"""


def section(stage):
    rows = [row(c, stage) for c in stage.contenders]
    return "\n".join([f"## {stage.title}", "", HEAD, *rows, "", *short_of(stage), f"Profile of Weir: {stage.profile}", ""])


def measured(stage):
    weir = stage.contenders[0]
    return {
        "cpu": statistics.median(map(per_gb, weir.counted())),
        "rss": rss_per_viewer(weir),
        "p50": middle(weir, "latency_ms", "p50"),
        "p99": middle(weir, "latency_ms", "p99"),
    }


def short_of(stage):
    seen = measured(stage)
    for key, most in stage.targets.items():
        if seen[key] != seen[key]:
            continue
        name, unit = WORDS[key]
        verdict = "Met" if seen[key] <= most else "**Short of the target**"
        yield f"- {verdict}: {name} {seen[key]:.2f}{unit}, target {most}{unit}."
    yield ""


def writer(writes):
    rows = [f"| {name} | {' / '.join(ms(w[p]) for p in ('p50', 'p99', 'p999'))} | {ms(w['max'])} | {w['count']} |" for name, w in writes.items() if w]
    head = "| publisher to | write of a frame, ms p50 / p99 / p99.9 | max | frames |\n|---|--:|--:|--:|"
    return "\n".join(["## Writer", "", "How long a publisher's write of one frame took, over the whole run.", "", head, *rows, ""])


def machine():
    model = next((l.split(":", 1)[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.machine())
    cores = sum(l.startswith("processor") for l in open("/proc/cpuinfo"))
    return f"{model}, {cores} cores, Linux {platform.release()}"


def commit():
    git = ["git", "-C", str(servers.REPOSITORY)]
    head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    changed = subprocess.run([*git, "status", "--porcelain", "--", "crates", "Cargo.lock"], capture_output=True, text=True).stdout
    return head + (" with changes" if changed else "")


def load_average():
    return " ".join(pathlib.Path("/proc/loadavg").read_text().split()[:3])


def document(stages, writes, args):
    intro = f"""# Performance

Written by `make bench` ([bench/](../bench/README.md)): {datetime.date.today()}, {machine()}; commit {commit()}; nginx {servers.Nginx.version()} of Debian.
{args.pairs} interleaved trials of {args.seconds} s each, loopback without TLS, synthetic H.264 at 30 fps with a keyframe every 2 s, no sound.
CPU is user and system time of the server alone, packaging included; the load ran on the same cores. Medians, with the least and the most.
A trial counts only if a 1 ms ticker saw no gap above 10 ms; `*`: none was that quiet, and the discarded ones are shown.
Latency is from the encoder's write to the viewer's last byte: over RTMP of each frame, over HLS of the newest frame of a segment or part.
Load average at the end: {load_average()}.
"""
    return "\n".join([intro, *map(section, stages), writer(writes)])


def write(path, document):
    old = path.read_text() if path.exists() else ""
    kept = old[old.index(BY_HAND) :] if BY_HAND in old else ""
    path.write_text(document.rstrip() + "\n" + ("\n" + kept if kept else ""))
