// Two ways to play one HLS stream, behind one face: hls.js on MediaSource, and the browser's own HLS. `dash_engine.js` has a third.
// An engine reports through `on`: `fault(error)`, `progress(segment)` (the playlist grew; seconds), `restart()` (positions begin anew), `ended()`.
import { backoff, remedy } from "./recovery.js";

/** hls.js with the recovery that live streams need; by itself it stops at the first refused connection. */
export class HlsEngine {
  static supported() {
    return globalThis.Hls?.isSupported() ?? false;
  }

  constructor(video, url, lowLatency, on) {
    Object.assign(this, { video, url, lowLatency, on });
    this.faults = {};
    this.heard = performance.now();
    this.build();
  }

  get kind() {
    return this.lowLatency ? "hls.js, low latency" : "hls.js";
  }

  build() {
    this.hls?.destroy();
    this.on.restart();
    const hls = new globalThis.Hls({
      lowLatencyMode: this.lowLatency,
      maxLiveSyncPlaybackRate: this.lowLatency ? 1.1 : 1,
      backBufferLength: 30,
    });
    const { ERROR, LEVEL_UPDATED, LEVEL_LOADED, MANIFEST_PARSED } = globalThis.Hls.Events;
    hls.on(ERROR, (_, data) => this.fault(data));
    hls.on(LEVEL_LOADED, () => (this.heard = performance.now()));
    hls.on(LEVEL_UPDATED, (_, { details }) => this.updated(details));
    hls.on(MANIFEST_PARSED, () => this.video.play().catch(() => {}));
    hls.attachMedia(this.video);
    hls.loadSource(this.url);
    this.hls = hls;
  }

  updated(details) {
    if (details.advanced) this.on.progress(details.targetduration);
    if (!details.live) this.on.ended();
  }

  fault(data) {
    const { type, details, fatal, response } = data;
    // hls.js calling off a request of its own.
    if (details === "aborted") return;
    this.on.fault({ type, details, fatal, status: response?.code ?? 0, why: data.error?.message ?? "" });
    if (!fatal || this.retry) return;
    const seen = this.faults[type] ?? 0;
    this.faults[type] = seen + 1;
    const action = remedy(data, seen);
    // A first decoder fault is mended at once; all else gives the server time to come back.
    const wait = action === "recover" ? 0 : backoff(seen) * 1000;
    this.retry = setTimeout(() => this.act(action), wait);
  }

  act(action) {
    this.retry = null;
    this.heard = performance.now();
    if (action === "reload") this.reload();
    else if (action === "resume") this.hls.startLoad();
    else if (action === "recover") this.hls.recoverMediaError();
    else this.build();
  }

  reload() {
    this.on.restart();
    this.hls.loadSource(this.url);
  }

  /** Media moves: past faults no longer count. */
  healthy() {
    this.faults = {};
  }

  /** Nothing has moved yet. */
  begin() {
    this.video.play().catch(() => {});
  }

  /** Nothing moves, though the playlist has grown for `growing` seconds; or loading died without a word. */
  stuck(_, growing) {
    if (this.retry) return;
    const silent = performance.now() - this.heard > 15_000;
    if (silent || growing > 12) {
      this.act("rebuild");
    } else if (growing > 5 && growing < 6.5) {
      this.toLive();
      this.hls.startLoad();
    }
  }

  /** Never back: in front of a frozen edge that would show the same again and again. */
  toLive() {
    const position = this.hls.liveSyncPosition;
    if (position > this.video.currentTime) this.video.currentTime = position;
  }

  figures() {
    const { latency, targetLatency, latestLevelDetails: details, playingDate } = this.hls;
    return {
      latency: details ? latency : null,
      target: targetLatency,
      segment: details?.targetduration ?? null,
      // Only as good as the two clocks agree.
      wallLatency: playingDate ? (Date.now() - playingDate) / 1000 : null,
    };
  }

  close() {
    clearTimeout(this.retry);
    this.hls.destroy();
  }
}

/** The browser's own HLS: all it can be told is to load again. */
export class NativeEngine {
  static supported(video) {
    return video.canPlayType("application/vnd.apple.mpegurl") !== "";
  }

  kind = "browser's own HLS";

  constructor(video, url, on) {
    Object.assign(this, { video, url, on, attempt: 0 });
    this.onError = () => this.fault();
    this.onEnded = () => on.ended();
    video.addEventListener("error", this.onError);
    video.addEventListener("ended", this.onEnded);
    this.load();
  }

  load() {
    this.retry = null;
    this.loaded = performance.now();
    this.on.restart();
    this.video.src = this.url;
    this.video.play().catch(() => {});
  }

  fault() {
    const error = this.video.error;
    this.on.fault({ type: "native", details: `mediaError${error?.code ?? ""}`, fatal: true, status: 0, why: error?.message ?? "" });
    this.retry ??= setTimeout(() => this.load(), backoff(this.attempt++) * 1000);
  }

  healthy() {
    this.attempt = 0;
  }

  begin() {
    this.video.play().catch(() => {});
  }

  // A frozen playlist looks the same as a dead player from here, and the browser does come back by itself.
  stuck(seconds) {
    if (!this.retry && seconds > 45 && performance.now() - this.loaded > 45_000) this.load();
  }

  toLive() {
    const edge = this.edge();
    if (edge === null) this.load();
    else if (edge > this.video.currentTime) this.video.currentTime = edge;
  }

  /** Where the browser says live is; some say only that there is no end. */
  edge() {
    const { seekable } = this.video;
    const end = seekable.length ? seekable.end(seekable.length - 1) : Infinity;
    return Number.isFinite(end) ? end : null;
  }

  figures() {
    const edge = this.edge();
    return { latency: edge && edge - this.video.currentTime, target: null, segment: null, wallLatency: null };
  }

  close() {
    clearTimeout(this.retry);
    this.video.removeEventListener("error", this.onError);
    this.video.removeEventListener("ended", this.onEnded);
    this.video.removeAttribute("src");
    this.video.load();
  }
}
