// What the player does about faults, as plain values: no DOM, no clock, no network.

/** The stream's address for a page at `/{name}/`; names may contain slashes. What is not for the page goes along. */
export function streamUrl(pathname, search = "", index = "index.m3u8") {
  const base = pathname.endsWith("/") ? pathname : `${pathname}/`;
  const query = new URLSearchParams(search);
  query.delete("player");
  if (query.get("ll") !== "0") query.delete("ll");
  return `${base}${index}${query.size > 0 ? `?${query}` : ""}`;
}

/** The page's own address with another player. What is not for the page stays. */
export function pageUrl(search, choice) {
  const query = new URLSearchParams(search);
  query.delete("player");
  query.delete("ll");
  for (const [key, value] of Object.entries(choice)) query.set(key, value);
  return `?${query}`;
}

/** The stream's name as an operator wrote it. */
export function streamName(pathname) {
  return decodeURIComponent(pathname.replace(/^\/+|\/+$/g, ""));
}

/** Seconds to wait before retry `attempt` (0, 1, 2, …): doubling to 3 s, spread so that viewers do not return as one. */
export function backoff(attempt, random = Math.random()) {
  const ceiling = Math.min(3, 0.5 * 2 ** attempt);
  return ceiling * (0.75 + 0.25 * random);
}

/**
 * What to do about a fatal hls.js error. `seen` counts the fatal errors of that type since media last moved.
 * - `reload`: ask for the multivariant playlist again (nothing is live yet, or what we hold no longer fits)
 * - `resume`: go on loading where we stand
 * - `recover`: give the media element a new MediaSource
 * - `rebuild`: start over
 */
export function remedy({ type, details }, seen) {
  if (details.startsWith("manifest")) return "reload";
  if (details === "levelParsingError" || details === "levelEmptyError") return "reload";
  if (type === "networkError") return seen % 4 === 3 ? "reload" : "resume";
  if (type === "mediaError") return seen < 2 ? "recover" : "rebuild";
  return "rebuild";
}

/** Whether an error of dash.js ends playback: all do but those of clocks, xlink and captions, which it can do without. */
export function dashFatal(code) {
  return ![16, 29, 33].includes(code);
}

/**
 * What to do about a dash.js that heard nothing for `silence` seconds, or whose picture stands still though media has
 * come in for `growing` seconds. `target` is the delay that it keeps, `segment` the longest segment.
 */
export function dashRemedy({ silence, growing, target, segment }) {
  if (silence > Math.max(15, 3 * segment)) return "attach";
  // After a hole it rightly waits until the first new media is that old.
  const late = growing - target;
  if (late > 10) return "attach";
  return late > 4 ? "seek" : "wait";
}

/** Whether an MPD is of a programme that goes on. */
export function mpdIsLive(text) {
  const head = text.match(/<MPD[^>]*>/)?.[0] ?? "";
  return head.includes('type="dynamic"') && !head.includes("mediaPresentationDuration=");
}

/** How far behind the live edge is too far to make up by playing faster. */
export function tooFarBehind(latency, target, segment) {
  return latency > target + Math.max(2 * segment, 3);
}

/** For how long a playlist has been growing without a pause. What it says last before it freezes counts for little. */
export class Growth {
  first = null;
  last = null;

  /** `now` in milliseconds, the longest segment in seconds. */
  grew(now, segment) {
    if (this.last === null || now - this.last > 3000 * segment) this.first = now;
    this.last = now;
  }

  get seconds() {
    return this.last === null ? 0 : (this.last - this.first) / 1000;
  }
}
