"""The layers of Weir, held: who may depend on whom, and what pure means. `docs/architecture.md` has the reasons.

Reads `cargo metadata` and the sources; prints what is wrong and exits 1. Standard library only.
"""

import json
import pathlib
import re
import subprocess
import sys
import tomllib

ARROWS = {
    "media": set(),
    "container": {"media"},
    "packager": {"media", "container"},
    "hub": {"media"},
    "failover": {"media", "hub"},
    "rtmp": {"media", "container", "hub"},
    "srt": {"media", "container", "hub"},
    "rtsp": {"media", "container", "hub"},
    "webrtc": {"media", "container", "hub"},
    "udp": {"media", "container", "hub"},
    "file": {"media", "container", "hub"},
    "remux": {"media", "container", "hub"},
    "http_media": {"media", "container", "packager", "hub"},
    "dvr": {"media", "packager", "hub"},
    "ladder": {"media"},
    "transcode": {"media", "container", "hub", "ladder"},
    "transcoder": {"media", "container", "ladder"},
    "store": set(),
    "webhook": set(),
    "testkit": {"media", "container", "hub", "ladder", "srt"},
    "bench": {"media", "container", "packager", "hub", "rtmp"},
}
ARROWS["server"] = set(ARROWS) - {"transcoder", "testkit", "bench"}
PURE = {"media", "container", "packager", "ladder"}
BINARIES = {"server", "transcoder"}
DEV_ONLY = "testkit"
# Measures the server from outside, so that its own tests start one; nobody depends on it.
BENCH = "bench"
IMPURE_CRATES = {"tokio", "mio", "socket2", "async-std", "smol"}
IMPURE_SOURCE = re.compile(r"std::(net|fs|process)\b|\btokio::|Instant::now|SystemTime")
MAX_LINES = 800


def arrows(packages):
    """Every dependency between our crates is in the table; the test kit only helps tests."""
    for package in packages:
        name = package["name"]
        if name not in ARROWS:
            yield f"{name}: not a crate of the design; add its row to {pathlib.Path(__file__).name} and to docs/architecture.md"
            continue
        for dep in package["dependencies"]:
            if dep["name"] not in ARROWS or not dep.get("path"):
                continue
            if dep["name"] == BENCH:
                yield f"{name} -> {BENCH}: nothing depends on it"
            elif dep["name"] == DEV_ONLY:
                if dep["kind"] != "dev":
                    yield f"{name} -> {DEV_ONLY}: only as a dev-dependency"
            elif dep["kind"] != "dev" and dep["name"] not in ARROWS[name]:
                yield f"{name} -> {dep['name']}: the design has no such arrow"
            elif dep["kind"] == "dev" and dep["name"] in BINARIES and name != BENCH:
                yield f"{name} -> {dep['name']}: nothing below a binary is tested through it"


def places(packages):
    """Folder name = package name; only binaries have a `main`."""
    for package in packages:
        name = package["name"]
        folder = pathlib.Path(package["manifest_path"]).parent.name
        if folder != name:
            yield f"{name}: lives in {folder}/"
        kinds = {kind for target in package["targets"] for kind in target["kind"]}
        if "bin" in kinds and name not in BINARIES | {DEV_ONLY, BENCH}:
            yield f"{name}: only {' and '.join(sorted(BINARIES))} have a main"


def purity(packages, resolve):
    """A pure crate reaches no runtime or socket, not even through another crate."""
    names = {p["id"]: p["name"] for p in packages}
    nodes = {node["id"]: node for node in resolve["nodes"]}
    for start in (i for i, name in names.items() if name in PURE and i in resolve["members"]):
        seen, queue = {start}, [start]
        while queue:
            for dep in nodes[queue.pop()]["deps"]:
                if dep["pkg"] not in seen and any(k["kind"] is None for k in dep["dep_kinds"]):
                    seen.add(dep["pkg"])
                    queue.append(dep["pkg"])
        for found in sorted(IMPURE_CRATES & {names[i] for i in seen}):
            yield f"{names[start]}: pure, yet it reaches {found}"


def source(name, path, text):
    """A pure crate names no socket, file or clock outside its tests; no file is too long to read."""
    lines = text.splitlines()
    if len(lines) > MAX_LINES:
        yield f"{path}: {len(lines)} lines, {MAX_LINES} is the most"
    if name not in PURE or pathlib.Path(path).name == "tests.rs":
        return
    for number, line in enumerate(lines, 1):
        if line.strip() == "#[cfg(test)]" and lines[number : number + 1] and "mod tests {" in lines[number]:
            return
        code = line.split("//")[0]
        if hit := IMPURE_SOURCE.search(code):
            yield f"{path}:{number}: pure, yet it says {hit.group()}"


def sources(packages):
    for package in packages:
        folder = pathlib.Path(package["manifest_path"]).parent
        for path in sorted((folder / "src").rglob("*.rs")):
            yield from source(package["name"], str(path), path.read_text())


def lints(packages):
    """`unsafe_code = "forbid"` and the rest hold only where the crate asks for them."""
    for package in packages:
        manifest = tomllib.loads(pathlib.Path(package["manifest_path"]).read_text())
        if package["name"] != "transcoder" and manifest.get("lints") != {"workspace": True}:
            yield f"{package['name']}: [lints] workspace = true is missing"


def metadata():
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"]
    done = subprocess.run(command, stdout=subprocess.PIPE)
    if done.returncode:
        sys.exit("cargo metadata failed: see above")
    return json.loads(done.stdout)


def main():
    data = metadata()
    members = set(data["workspace_members"])
    ours = [p for p in data["packages"] if p["id"] in members]
    resolve = {"nodes": data["resolve"]["nodes"], "members": members}
    wrong = [*arrows(ours), *places(ours), *purity(data["packages"], resolve), *sources(ours), *lints(ours)]
    for line in wrong:
        print(f"layers: {line}", file=sys.stderr)
    print(f"layers: {len(ours)} crates, {len(wrong)} violations")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
