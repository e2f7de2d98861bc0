// Several players at once in one headless Chromium, each watched frame by frame.
// `node watch.mjs ORIGIN NAME KIND,KIND,… [skew=SECONDS]` with KIND one of page, page-dash, native, or hls, shaka, dash,
// shaka-dash, with `-ll` for low latency. `skew` sets the players' clocks fast, or slow. Lines on stdin:
// `mark WORD` notes the moment, `shot FILE` saves a picture of the first player, `level low|high|auto` chooses a variant,
// `sound LANGUAGE` what is heard, `link KBPS [KIND]` narrows the links of players (0: as they were), `report` answers
// with one line of JSON.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [origin, name, list, extra] = process.argv.slice(2);
const kinds = list.split(",");
const skewMs = Number(extra?.match(/^skew=(.+)/)?.[1] ?? 0) * 1000;
const stream = `${origin}/${name}/`;
const LONG_MS = 500;

const browserPath = ["chromium", "google-chrome"].map((b) => spawnSync("which", [b]).stdout.toString().trim()).find(Boolean);
if (!browserPath) throw new Error("no Chromium; run `make setup`");

const file = (path) => readFileSync(new URL(path, import.meta.url));
const files = {
  "/": ["text/html", file("player.html")],
  "/hls.js": ["text/javascript", file("node_modules/hls.js/dist/hls.min.js")],
  "/dash.js": ["text/javascript", file("node_modules/dashjs/dist/modern/umd/dash.all.min.js")],
  "/shaka.js": ["text/javascript", file("node_modules/shaka-player/dist/shaka-player.compiled.js")],
};
const site = createServer((request, response) => {
  const [type, body] = files[request.url.split("?")[0]] ?? ["text/plain", ""];
  response.setHeader("content-type", type);
  response.end(body);
});
await new Promise((ready) => site.listen(0, "127.0.0.1", ready));

const browser = await chromium.launch({
  executablePath: browserPath,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
    "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding", "--disable-background-timer-throttling",
  ],
});

/** Another clock for the page, as on a machine whose time is wrong. */
function skew(ms) {
  globalThis.Date = new Proxy(Date, {
    construct: (real, given, as) => Reflect.construct(real, given.length ? given : [real.now() + ms], as),
    apply: (real) => new real(real.now() + ms).toString(),
    get: (real, key) => (key === "now" ? () => real.now() + ms : Reflect.get(real, key)),
  });
}

/** Notes each picture that is shown: when, by the true clock, and its media time. */
function watchFrames() {
  const video = document.querySelector("video");
  const shown = (globalThis.shown = []);
  const note = (_, { mediaTime, height }) => {
    shown.push([performance.timeOrigin + performance.now(), mediaTime, height]);
    video.requestVideoFrameCallback(note);
  };
  video.requestVideoFrameCallback(note);
}

function look() {
  const own = globalThis.weir?.();
  return {
    frames: globalThis.shown.splice(0),
    latency: own ? own.latency : globalThis.watched.latency(),
    sound: globalThis.watched?.sound() ?? null,
    errors: own ? own.errors.map((e) => e.details + (e.fatal ? "!" : "")) : globalThis.watched.errors,
    dead: document.querySelector("video").error?.message ?? null,
  };
}

function address(kind) {
  if (kind === "page") return stream;
  if (kind === "page-dash") return `${stream}?player=dash`;
  const index = kind.includes("dash") ? "index.mpd" : "index.m3u8";
  const classic = kind === "native" || kind.endsWith("-ll") ? "" : "?ll=0";
  const query = new URLSearchParams({ kind, url: `${stream}${index}${classic}` });
  return `http://127.0.0.1:${site.address().port}/?${query}`;
}

const players = [];
for (const kind of kinds) {
  // The certificate of a server under test is its own.
  const page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
  const player = { kind, page, frames: [], latencies: [], sound: null, errors: [], dead: null, pageErrors: [], protocols: {}, refused: [] };
  const network = await page.context().newCDPSession(page);
  network.on("Network.responseReceived", ({ response: { url, protocol, status } }) => {
    if (!url.startsWith(stream)) return;
    player.protocols[protocol] = (player.protocols[protocol] ?? 0) + 1;
    if (status >= 400) player.refused.push(`${status} ${url.slice(origin.length)}`);
  });
  await network.send("Network.enable");
  player.network = network;
  page.on("pageerror", (error) => player.pageErrors.push(error.message));
  if (skewMs) await page.addInitScript(skew, skewMs);
  await page.goto(address(kind));
  await page.evaluate(watchFrames);
  players.push(player);
}

async function sample(player) {
  const { frames, latency, sound, errors, dead } = await player.page.evaluate(look);
  player.frames.push(...frames);
  if (Number.isFinite(latency)) player.latencies.push(latency);
  Object.assign(player, { sound, errors, dead });
}

const narrow = (network, kbps) =>
  network.send("Network.emulateNetworkConditions", { offline: false, latency: 0, downloadThroughput: kbps ? kbps * 125 : -1, uploadThroughput: -1 });

const marks = [];
const seconds = (ms) => Math.round(ms / 100) / 10;

function spread(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return { first: values[0] ?? null, median: sorted[sorted.length >> 1] ?? null, last: values.at(-1) ?? null };
}

function report(player) {
  const { kind, frames, latencies, sound, errors, dead, pageErrors, protocols, refused } = player;
  const stalls = [];
  for (let i = 1; i < frames.length; i += 1) {
    const gap = frames[i][0] - frames[i - 1][0];
    if (gap > LONG_MS) stalls.push({ at: frames[i - 1][0], seconds: seconds(gap), jumped: Math.round((frames[i][1] - frames[i - 1][1]) * 10) / 10 });
  }
  // Media that was in hand may play on at first: back is where the last pause ended.
  const after = marks.map(({ word, at }) => {
    const since = frames.filter(([shown]) => shown > at);
    const pauses = stalls.filter((stall) => stall.at + stall.seconds * 1000 > at);
    const last = pauses.at(-1);
    const back = last ? Math.max(0, seconds(last.at - at) + last.seconds) : 0;
    return { mark: word, seconds: since.length ? back : null, frames: since.length };
  });
  const heights = [];
  for (const [at, , height] of frames) if (heights.at(-1)?.height !== height) heights.push({ at, height });
  const last = frames.at(-1);
  // Media times of this size count from 1970.
  const wall = frames.filter(([, time]) => time > 1e9).map(([at, time]) => at / 1000 - time);
  return {
    kind,
    frames: frames.length,
    silent: last ? seconds(Date.now() - last[0]) : null,
    latency: spread(latencies),
    wall: spread(wall),
    stalls,
    after,
    heights,
    sound,
    errors: { count: errors.length, last: errors.slice(-5) },
    pageErrors: pageErrors.slice(-5),
    protocols,
    refused: { count: refused.length, last: refused.slice(-5) },
    dead,
  };
}

setInterval(() => players.forEach((player) => sample(player).catch(() => {})), 500);
console.log(JSON.stringify({ open: kinds }));
for await (const line of createInterface({ input: process.stdin })) {
  const [verb, word, of] = line.split(" ");
  if (verb === "mark") marks.push({ word, at: Date.now() });
  else if (verb === "shot") await players[0].page.screenshot({ path: word });
  else if (verb === "level") await Promise.all(players.map(({ page }) => page.evaluate((which) => globalThis.watched.level(which), word)));
  else if (verb === "sound") await Promise.all(players.map(({ page }) => page.evaluate((language) => globalThis.watched.hear(language), word)));
  else if (verb === "link") await Promise.all(players.filter(({ kind }) => !of || kind === of).map(({ network }) => narrow(network, Number(word))));
  else if (verb === "report") {
    await Promise.all(players.map(sample));
    console.log(JSON.stringify(players.map(report)));
  }
}
await browser.close();
process.exit(0);
