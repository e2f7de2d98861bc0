"""The servers that are compared, each a process of its own on private ports, and what feeds them."""

import getpass
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
PRIVATE_NGINX = REPOSITORY / ".tools/nginx"
TOKEN = "a-token-for-benchmarks"
STARTING_S = 20


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(type=kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Process:
    """A child that is stopped by its own id, and its log."""

    def __init__(self, folder, name, command, env=None, pipe=False):
        self.log, self.said = folder / f"{name}.log", None
        with self.log.open("wb") as log:
            self.child = subprocess.Popen(
                [str(c) for c in command],
                env=dict(os.environ, **(env or {})),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if pipe else log,
                stderr=log,
            )

    def pids(self):
        """Its own id and those of its children: nginx works in workers."""
        me = self.child.pid
        children = pathlib.Path(f"/proc/{me}/task/{me}/children").read_text()
        return [me, *map(int, children.split())]

    def stop(self):
        """Whatever it printed at its end."""
        if self.said is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                said = self.child.communicate(timeout=15)[0]
            except subprocess.TimeoutExpired:
                self.child.kill()
                said = self.child.communicate()[0]
            self.said = (said or b"").decode()
        return self.said

    def wait_for(self, port):
        deadline = time.monotonic() + STARTING_S
        while time.monotonic() < deadline and self.child.poll() is None:
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        raise SystemExit(f"{self.log}: not up\n{self.log.read_text()[-2000:]}")


class Weir(Process):
    """With one stream, `n`, that anybody may feed; a short window, so that memory is full soon."""

    window_s = 8

    def __init__(self, folder, binary, name, inputs=("main",), **stream):
        self.http, self.rtmp, self.srt = free_port(), free_port(), free_port(socket.SOCK_DGRAM)
        env = {
            "WEIR_DATA__DIR": str(folder / f"{name}.data"),
            "WEIR_HTTP__LISTEN": f"127.0.0.1:{self.http}",
            "WEIR_RTMP__LISTEN": f"127.0.0.1:{self.rtmp}",
            "WEIR_SRT__LISTEN": f"127.0.0.1:{self.srt}",
            "WEIR_AUTH__ADMIN_TOKEN": TOKEN,
            "WEIR_LOG__LEVEL": "warn",
        }
        super().__init__(folder, name, [binary, "serve"], env)
        self.wait_for(self.http)
        inputs = [{"id": i, "url": "publish://", "key": None, "priority": rank} for rank, i in enumerate(inputs)]
        stream = {"name": "n", "inputs": inputs, "hls": {"window_s": self.window_s}, **stream}
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        url = f"http://127.0.0.1:{self.http}/api/v1/streams"
        urllib.request.urlopen(urllib.request.Request(url, json.dumps(stream).encode(), headers)).close()

    @property
    def live(self):
        return f"rtmp://127.0.0.1:{self.rtmp}/live/n"

    def ingest(self, which):
        return f"{self.live}?input={which}"

    @property
    def playlist(self):
        return f"http://127.0.0.1:{self.http}/n/v0.m3u8"

    @property
    def mpd(self):
        return f"http://127.0.0.1:{self.http}/n/index.mpd"


def nginx_binary():
    """The private copy of `setup.sh bench`, or the system's, and its RTMP module."""
    private = PRIVATE_NGINX / "usr/sbin/nginx"
    binary = private if private.exists() else shutil.which("nginx")
    module = next((m for root in (PRIVATE_NGINX, pathlib.Path("/")) if (m := root / "usr/lib/nginx/modules/ngx_rtmp_module.so").exists()), None)
    if not binary or not module:
        raise SystemExit("nginx and its rtmp module are missing: deploy/setup.sh bench")
    return binary, module


class Nginx(Process):
    """In the foreground, with a private configuration: `body` goes beside `events`."""

    def __init__(self, folder, name, workers, body):
        binary, module = nginx_binary()
        home = folder / name
        home.mkdir()
        load = f"load_module {module};" if "rtmp {" in body else ""
        (home / "nginx.conf").write_text(
            f"{load}\nuser {getpass.getuser()};\nworker_processes {workers};\npid {home}/pid;\nerror_log {home}/error.log warn;\n"
            f"daemon off;\nworker_rlimit_nofile 65536;\nevents {{ worker_connections 20000; }}\n{body}\n"
        )
        super().__init__(folder, name, [binary, "-p", home, "-e", home / "error.log", "-c", home / "nginx.conf"])

    @staticmethod
    def version():
        said = subprocess.run([str(nginx_binary()[0]), "-v"], capture_output=True, text=True).stderr
        return re.sub(r".*/", "", said.strip())


class NginxRtmp(Nginx):
    """One worker: the module's streams live in one."""

    def __init__(self, folder, name):
        self.rtmp = free_port()
        super().__init__(folder, name, 1, f"rtmp {{ server {{ listen 127.0.0.1:{self.rtmp}; access_log off; application live {{ live on; }} }} }}")
        self.wait_for(self.rtmp)

    @property
    def live(self):
        return f"rtmp://127.0.0.1:{self.rtmp}/live/n"


class Republished(Nginx):
    """With a script beside it that makes up for failover, set up as well as it can be: README.md says why each."""

    def __init__(self, folder, name, ffmpeg, idle_s):
        self.rtmp = free_port()
        idle = f"idle_streams off; drop_idle_publisher {idle_s * 1000:.0f}ms;"
        applications = {"main": idle, "backup": idle, "live": ""}
        applications = [f"application {which} {{ live on; wait_key on; wait_video on; {more} }}" for which, more in applications.items()]
        super().__init__(folder, name, 1, f"rtmp {{ server {{ listen 127.0.0.1:{self.rtmp}; access_log off; {' '.join(applications)} }} }}")
        self.wait_for(self.rtmp)
        self.script = Process(folder, "republish", [REPOSITORY / "bench/republish.sh", ffmpeg, f"rtmp://127.0.0.1:{self.rtmp}"])

    def stop(self):
        self.script.stop()
        return super().stop()

    @property
    def live(self):
        return self.ingest("live")

    def ingest(self, which):
        return f"rtmp://127.0.0.1:{self.rtmp}/{which}/n"


class Floor(Process):
    """The load tool's own: writes each frame to each player and does nothing else."""

    def __init__(self, folder, load, kbps):
        self.rtmp = free_port()
        super().__init__(folder, f"floor-{kbps}", [load, "floor", f"127.0.0.1:{self.rtmp}", "--kbps", kbps])
        self.wait_for(self.rtmp)

    @property
    def live(self):
        return f"rtmp://127.0.0.1:{self.rtmp}/live/n"


class NginxStatic(Nginx):
    """Serves a folder."""

    def __init__(self, folder, name, root, sendfile):
        self.http = free_port()
        temporary = " ".join(f"{kind}_temp_path {folder / name}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        state = "on" if sendfile else "off"
        server = f"server {{ listen 127.0.0.1:{self.http}; root {root}; }}"
        options = f"access_log off; sendfile {state}; tcp_nopush {state}; keepalive_requests 1000000;"
        super().__init__(folder, name, "auto", f"http {{ {temporary} {options} {server} }}")
        self.wait_for(self.http)

    @property
    def playlist(self):
        return f"http://127.0.0.1:{self.http}/v0.m3u8"


class Mirror(threading.Thread):
    """Saves what Weir serves under the same names, as it comes: the very bytes, the very moments."""

    kept = 30

    def __init__(self, playlist, folder):
        super().__init__(daemon=True)
        self.playlist, self.folder, self.stopping = playlist, folder, threading.Event()
        self.names, self.failure = [], None
        self.start()

    def run(self):
        while not self.stopping.wait(0.1):
            try:
                self.copy()
            except OSError as e:
                self.failure = e

    def copy(self):
        with urllib.request.urlopen(f"{self.playlist}?ll=0", timeout=5) as answer:
            text = answer.read().decode()
        for name in re.findall(r"^[^#\s].*$", text, re.M):
            if name not in self.names:
                self.save(name, urllib.request.urlopen(self.playlist.rpartition("/")[0] + f"/{name}", timeout=5).read())
                self.names.append(name)
        self.save("v0.m3u8", text.encode())
        while len(self.names) > self.kept:
            (self.folder / self.names.pop(0)).unlink(missing_ok=True)

    def save(self, name, data):
        part = self.folder / f".{name}"
        part.write_bytes(data)
        part.rename(self.folder / name)

    def stop(self):
        self.stopping.set()
        self.join(10)
