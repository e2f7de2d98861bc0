// dash.js behind the face of `engine.js`, with what it lacks: it never asks again for what it once gave up, and after a
// start that it did not hear it keeps the MPD that it has. Then it is attached anew.
import { backoff, dashFatal, dashRemedy } from "./recovery.js";

const LIBRARY = new URL("dash.min.js", import.meta.url);
// A server that starts again is away for seconds, after which dash.js would have given up.
const TRIES = { MPD: 30, MediaSegment: 30, InitializationSegment: 30, lowLatencyMultiplyFactor: 1 };
const PAUSE_MS = { MPD: 500, MediaSegment: 500, InitializationSegment: 500, lowLatencyReductionFactor: 1 };
const LOOKS_PER_S = 4;
// Numbers without media are answered by a box or two.
const FILLER_BYTES = 200;

export class DashEngine {
  /** Whether there is such a player here; fetches it. */
  static async supported() {
    if (!globalThis.MediaSource && !globalThis.ManagedMediaSource) return false;
    const script = Object.assign(document.createElement("script"), { src: LIBRARY });
    await new Promise((done) => {
      script.onload = script.onerror = done;
      document.head.append(script);
    });
    return Boolean(globalThis.dashjs);
  }

  constructor(video, url, lowLatency, on) {
    Object.assign(this, { video, url, lowLatency, on, faults: 0 });
    const { ERROR, PLAYBACK_ENDED, PLAYBACK_NOT_ALLOWED, STREAM_INITIALIZED } = globalThis.dashjs.MediaPlayer.events;
    const player = globalThis.dashjs.MediaPlayer().create();
    player.updateSettings({ streaming: { retryAttempts: TRIES, retryIntervals: PAUSE_MS } });
    player.addResponseInterceptor(async (response) => {
      this.answered(response);
      return response;
    });
    player.on(ERROR, ({ error }) => this.fault(error));
    player.on(STREAM_INITIALIZED, () => (this.ready = true));
    player.on(PLAYBACK_NOT_ALLOWED, () => (this.starting = false));
    player.on(PLAYBACK_ENDED, ({ isLast }) => isLast && on.ended());
    player.initialize(video, null, true);
    this.player = player;
    this.attach();
  }

  get kind() {
    return this.lowLatency ? "dash.js, low latency" : "dash.js";
  }

  attach() {
    this.retry = null;
    this.on.restart();
    // Looks since the last answer, not seconds: a page in the background is slow in everything.
    Object.assign(this, { starting: true, ready: false, sought: false, unheard: { MPD: 0, MediaSegment: 0 } });
    // It starts by itself, and has to hear it.
    this.video.pause();
    // Relative, the address is one that its reports cannot read.
    this.player.attachSource(new URL(this.url, location).href);
  }

  answered({ request, status, length, data }) {
    const { type } = request.customData.request;
    const good = status >= 200 && status < 300;
    if (good && type in this.unheard) this.unheard[type] = 0;
    if (!good && type === "MPD") this.on.fault({ type: "network", details: "mpdLoadError", fatal: true, status, why: "" });
    // One of them, by how it was fetched, has the size.
    const bytes = Math.max(length || 0, data?.byteLength ?? 0);
    if (good && type === "MediaSegment" && bytes > FILLER_BYTES) this.on.progress(this.segment);
  }

  fault({ code, message, data }) {
    const fatal = dashFatal(code);
    this.on.fault({ type: "dash", details: `dash${code}`, fatal, status: data?.response?.status ?? 0, why: message ?? "" });
    if (!fatal || this.retry) return;
    this.retry = setTimeout(() => this.attach(), backoff(this.faults) * 1000);
    this.faults += 1;
  }

  /** Media moves: past faults no longer count. That the MPD stays old shows no other way until a Period ends. */
  healthy() {
    Object.assign(this, { starting: false, faults: 0, sought: false });
    this.look(0);
  }

  /** Nothing moves, though media has come in for `growing` seconds; or loading died without a word. */
  stuck(_, growing) {
    this.look(growing);
  }

  /** Nothing has moved yet. Before there is media it would not hear its start. */
  begin() {
    if (this.video.readyState >= 2) this.video.play().catch(() => {});
  }

  look(growing) {
    for (const type of Object.keys(this.unheard)) this.unheard[type] += 1;
    if (this.retry) return;
    const silence = Math.max(...Object.values(this.unheard)) / LOOKS_PER_S;
    const action = dashRemedy({ silence, growing, target: this.target, segment: this.segment });
    if (action === "attach") {
      this.attach();
    } else if (action === "seek" && !this.sought) {
      this.sought = true;
      this.toLive();
    }
  }

  /** Never into a hole: dash.js would wait in it for what does not come. */
  toLive() {
    const { buffered, currentTime, readyState } = this.video;
    const goal = currentTime + this.player.getCurrentLiveLatency() - this.target;
    const held = Array.from(buffered, (_, i) => i).some((i) => buffered.start(i) <= goal && goal < buffered.end(i));
    if (readyState >= 3 || held) this.player.seekToOriginalLive();
  }

  get segment() {
    return (this.ready && this.player.getManifest()?.maxSegmentDuration) || null;
  }

  get target() {
    return this.ready ? this.player.getTargetLiveDelay() : null;
  }

  figures() {
    return {
      latency: this.ready ? this.player.getCurrentLiveLatency() : null,
      target: this.target,
      segment: this.segment,
      // Media time is UTC. Only as good as the two clocks agree.
      wallLatency: this.ready ? Date.now() / 1000 - this.video.currentTime : null,
    };
  }

  close() {
    clearTimeout(this.retry);
    this.player.destroy();
  }
}
