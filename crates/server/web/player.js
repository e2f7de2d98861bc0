// The page at `/{name}/`: picks an engine, watches that the picture moves, and says what it sees.
// `?ll=0` asks for no low latency, `?player=native` for the browser's own player, `?player=dash` for DASH.
// `weir()` returns the figures for scripts.
import { DashEngine } from "./dash_engine.js";
import { HlsEngine, NativeEngine } from "./engine.js";
import { Growth, mpdIsLive, pageUrl, streamName, streamUrl, tooFarBehind } from "./recovery.js";

const TICK_MS = 250;
const NUDGE_S = 0.03;
const KEPT_ERRORS = 50;
// The links to other players, by id.
const CHOICES = {
  ll: {},
  classic: { ll: 0 },
  native: { player: "native" },
  dash: { player: "dash" },
  "dash-classic": { player: "dash", ll: 0 },
};
const UNDECODABLE = ["manifestIncompatibleCodecsError", "dash32"];

const query = new URLSearchParams(location.search);
const lowLatency = query.get("ll") !== "0";
const element = (id) => document.getElementById(id);
const video = element("video");
const playlist = streamUrl(location.pathname, location.search);

const seen = {
  since: performance.now(),
  position: 0,
  moved: performance.now(),
  started: false,
  // Of the playlist, while the picture stands still.
  growth: new Growth(),
  following: true,
  faulty: false,
  ended: false,
  stalls: 0,
  stalledMs: 0,
  stalledAt: null,
  errors: [],
  errorCount: 0,
  fatalCount: 0,
};

const engine = await start();

async function start() {
  const on = { fault, progress, restart, ended };
  if (query.get("player") === "dash") {
    if (await DashEngine.supported()) return new DashEngine(video, streamUrl(location.pathname, location.search, "index.mpd"), lowLatency, on);
    notice("This browser has no Media Source Extensions, or this server was built without dash.js, so HLS is used. To add it: `make setup`, then build again.");
  }
  const native = NativeEngine.supported(video);
  if (query.get("player") !== "native" && HlsEngine.supported()) return new HlsEngine(video, playlist, lowLatency, on);
  if (native) {
    if (!globalThis.Hls) notice("This server was built without hls.js, so the browser's own HLS is used. To add it: `make setup`, then build again.");
    return new NativeEngine(video, playlist, on);
  }
  notice(globalThis.Hls
    ? "This browser has neither Media Source Extensions nor HLS of its own. Open the playlist below in another player."
    : "This server was built without hls.js and this browser has no HLS of its own. Run `make setup` and build again.");
  return null;
}

function fault(error) {
  seen.errorCount += 1;
  if (error.fatal) {
    seen.fatalCount += 1;
    // 404 is no broken line: the stream exists or will exist, but nobody publishes it yet.
    seen.faulty = error.status !== 404;
  }
  seen.errors.push({ at: Date.now(), ...error });
  if (seen.errors.length > KEPT_ERRORS) seen.errors.shift();
  if (UNDECODABLE.includes(error.details)) notice("This browser cannot decode the stream's codecs.");
}

function progress(segment) {
  seen.growth.grew(performance.now(), segment);
  seen.faulty = false;
}

/** A fresh source counts its own positions: no step back by the viewer. */
function restart() {
  Object.assign(seen, { position: 0, growth: new Growth(), following: true });
}

/** The programme is over; look now and then whether it began again. */
function ended() {
  if (seen.ended) return;
  seen.ended = true;
  const again = setInterval(async () => {
    if (video.ended && (await isLive())) {
      clearInterval(again);
      location.reload();
    }
  }, 5000);
}

async function isLive() {
  try {
    const index = await (await fetch(engine.url, { cache: "no-store" })).text();
    if (engine instanceof DashEngine) return mpdIsLive(index);
    const line = index.split("\n").find((line) => line && !line.startsWith("#"));
    const media = await (await fetch(new URL(line, new URL(engine.url, location)), { cache: "no-store" })).text();
    return media.startsWith("#EXTM3U") && !media.includes("#EXT-X-ENDLIST");
  } catch {
    return false;
  }
}

function notice(text) {
  element("notice").textContent = text;
  element("notice").hidden = false;
}

video.addEventListener("waiting", () => {
  if (seen.started && !video.seeking && !video.paused) seen.stalledAt ??= performance.now();
});
video.addEventListener("seeking", () => {
  // Players only jump forward; a step back is the viewer's wish and is left alone.
  if (seen.started && video.currentTime < seen.position - 1) seen.following = false;
});
element("live").addEventListener("click", () => {
  seen.following = true;
  engine?.toLive();
  video.play().catch(() => {});
});

function tick() {
  const now = performance.now();
  // Players nudge a starved element on by a hair: that is no motion.
  if (Math.abs(video.currentTime - seen.position) > NUDGE_S && video.readyState >= 2) moved(now);
  const still = (now - seen.moved) / 1000;
  if (!paused() && !seen.ended && still > 1) engine?.stuck(still, seen.growth.seconds);
  if (still > 1 && document.visibilityState === "visible" && video.paused && !seen.started) engine?.begin();
  show(state(still), engine?.figures() ?? {});
}

function moved(now) {
  if (seen.stalledAt !== null) {
    seen.stalls += 1;
    seen.stalledMs += now - seen.stalledAt;
    seen.stalledAt = null;
  }
  Object.assign(seen, { position: video.currentTime, moved: now, started: true, growth: new Growth(), faulty: false });
  engine.healthy();
  const { latency, target, segment } = engine.figures();
  if (seen.following && segment && tooFarBehind(latency, target, segment)) engine.toLive();
}

/** By the viewer: some engines pause while they start. */
function paused() {
  return video.paused && !engine?.starting;
}

function state(still) {
  if (seen.ended && video.ended) return "ended";
  if (seen.started && still < 1.5) return "live";
  if (seen.started && paused()) return "paused";
  return seen.faulty ? "reconnecting" : "waiting";
}

const VEIL = {
  waiting: () => (seen.started ? "Waiting for the encoder to come back …" : "Waiting for the stream to start …"),
  reconnecting: () => "Reconnecting to the server …",
  ended: () => "The stream has ended.",
};

const seconds = (value) => (value === null || value === undefined || !Number.isFinite(value) ? "–" : `${value.toFixed(2)} s`);

function write(id, text) {
  if (element(id).textContent !== text) element(id).textContent = text;
}

function show(now, { latency, target, segment }) {
  if (element("state").dataset.state !== now) {
    element("state").dataset.state = now;
    write("state", now);
  }
  element("veil").hidden = !VEIL[now];
  if (VEIL[now]) write("veil", VEIL[now]());
  // Behind the veil there may be nothing newer.
  element("live").hidden = Boolean(VEIL[now]) || !(seen.started && segment && tooFarBehind(latency, target, segment));
  const { totalVideoFrames, droppedVideoFrames } = video.getVideoPlaybackQuality();
  write("latency", seen.started ? seconds(latency) : "–");
  write("buffer", seen.started ? seconds(ahead()) : "–");
  write("picture", video.videoWidth ? `${video.videoWidth} × ${video.videoHeight}` : seen.started ? "sound only" : "–");
  write("dropped", totalVideoFrames ? `${droppedVideoFrames} of ${totalVideoFrames}` : "–");
  write("stalls", seen.started ? String(seen.stalls) : "–");
}

/** Seconds of media held in front of the playhead. */
function ahead() {
  const { buffered, currentTime } = video;
  for (let i = 0; i < buffered.length; i += 1) {
    if (buffered.start(i) <= currentTime + 0.1 && currentTime <= buffered.end(i)) return buffered.end(i) - currentTime;
  }
  return 0;
}

function current() {
  if (engine instanceof NativeEngine) return "native";
  if (engine instanceof DashEngine) return lowLatency ? "dash" : "dash-classic";
  return lowLatency ? "ll" : "classic";
}

function label() {
  const name = streamName(location.pathname);
  document.title = `${name} – Weir`;
  element("name").textContent = name;
  element("player").textContent = engine?.kind ?? "none";
  element("playlist").href = engine?.url ?? playlist;
  if (engine instanceof DashEngine) element("playlist").textContent = "MPD";
  for (const [id, choice] of Object.entries(CHOICES)) element(id).href = pageUrl(location.search, choice);
  element(current()).setAttribute("aria-current", "page");
}

/** For tests and for the curious: everything the page knows, as plain data. */
globalThis.weir = () => {
  const { totalVideoFrames, droppedVideoFrames } = video.getVideoPlaybackQuality();
  const stalling = seen.stalledAt === null ? 0 : performance.now() - seen.stalledAt;
  return {
    name: streamName(location.pathname),
    player: engine?.kind ?? "none",
    state: element("state").dataset.state,
    ageMs: performance.now() - seen.since,
    currentTime: video.currentTime,
    paused: video.paused,
    playbackRate: video.playbackRate,
    stalls: seen.stalls + (stalling > 0 ? 1 : 0),
    stalledMs: seen.stalledMs + stalling,
    buffer: ahead(),
    width: video.videoWidth,
    height: video.videoHeight,
    frames: totalVideoFrames,
    dropped: droppedVideoFrames,
    errorCount: seen.errorCount,
    fatalCount: seen.fatalCount,
    errors: [...seen.errors],
    ...(engine?.figures() ?? {}),
  };
};

label();
setInterval(tick, TICK_MS);
