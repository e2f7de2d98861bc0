import assert from "node:assert/strict";
import { test } from "node:test";
import { Growth, backoff, dashFatal, dashRemedy, mpdIsLive, pageUrl, remedy, streamName, streamUrl, tooFarBehind } from "./recovery.js";

test("the stream's address follows the page's", () => {
  assert.equal(streamUrl("/demo/"), "/demo/index.m3u8");
  assert.equal(streamUrl("/demo"), "/demo/index.m3u8");
  assert.equal(streamUrl("/tenant/a/news/", "?player=native"), "/tenant/a/news/index.m3u8");
  assert.equal(streamUrl("/demo/", "?ll=0"), "/demo/index.m3u8?ll=0");
  assert.equal(streamUrl("/demo/", "?player=native&token=a%26b"), "/demo/index.m3u8?token=a%26b");
  assert.equal(streamUrl("/demo/", "?player=dash&ll=0&token=a", "index.mpd"), "/demo/index.mpd?ll=0&token=a");
  assert.equal(streamName("/tenant/news/"), "tenant/news");
});

test("another player is given what the address had", () => {
  assert.equal(pageUrl("", {}), "?");
  assert.equal(pageUrl("?player=native&ll=0&token=a%26b", {}), "?token=a%26b");
  assert.equal(pageUrl("?token=a", { player: "dash", ll: 0 }), "?token=a&player=dash&ll=0");
});

test("retries slow down, to 3 s at most", () => {
  assert.equal(backoff(0, 1), 0.5);
  assert.equal(backoff(1, 0), 0.75);
  for (let n = 0; n < 2000; n += 1) assert.ok(backoff(n) > 0.3 && backoff(n) <= 3);
});

test("a stream that is not live yet is asked for again", () => {
  for (const details of ["manifestLoadError", "manifestLoadTimeOut", "manifestParsingError"]) {
    assert.equal(remedy({ type: "networkError", details }, 9), "reload");
  }
});

test("a refused connection resumes, and now and then looks at the stream afresh", () => {
  const fault = { type: "networkError", details: "levelLoadError" };
  assert.deepEqual([0, 1, 2, 3, 4].map((n) => remedy(fault, n)), ["resume", "resume", "resume", "reload", "resume"]);
});

test("a decoder that fails twice gets a new player", () => {
  const fault = { type: "mediaError", details: "bufferAppendError" };
  assert.deepEqual([0, 1, 2].map((n) => remedy(fault, n)), ["recover", "recover", "rebuild"]);
  assert.equal(remedy({ type: "muxError", details: "remuxAllocError" }, 0), "rebuild");
});

test("what dash.js gave up is asked for anew, but not for the sake of its clock", () => {
  for (const code of [3, 10, 20, 25, 27, 28, undefined]) assert.ok(dashFatal(code), code);
  assert.equal(dashFatal(16), false);
});

test("a silent dash.js is attached anew, later where segments are long", () => {
  const quiet = (silence, segment) => dashRemedy({ silence, growing: 0, target: 2.5, segment });
  assert.deepEqual([14, 16].map((s) => quiet(s, 2)), ["wait", "attach"]);
  assert.deepEqual([16, 29, 31].map((s) => quiet(s, 10)), ["wait", "wait", "attach"]);
  assert.equal(dashRemedy({ silence: 16, growing: 0, target: null, segment: null }), "attach");
});

test("after a hole dash.js may wait for as long as its delay", () => {
  const still = (growing, target) => dashRemedy({ silence: 0, growing, target, segment: 2 });
  assert.deepEqual([6, 7, 13].map((s) => still(s, 2.5)), ["wait", "seek", "attach"]);
  assert.deepEqual([11, 13, 19].map((s) => still(s, 8)), ["wait", "seek", "attach"]);
});

test("an MPD that says when it ends is over", () => {
  assert.equal(mpdIsLive('<?xml version="1.0"?>\n<MPD type="dynamic" id="a">\n<Period/></MPD>'), true);
  assert.equal(mpdIsLive('<MPD type="dynamic" mediaPresentationDuration="PT9S">'), false);
  assert.equal(mpdIsLive('<MPD type="static">'), false);
  assert.equal(mpdIsLive("not found\n"), false);
});

test("only a long delay is worth a jump", () => {
  assert.equal(tooFarBehind(2.5, 0.65, 2), false);
  assert.equal(tooFarBehind(8, 0.65, 2), true);
});

test("a playlist grows from the end of its last pause", () => {
  const growth = new Growth();
  assert.equal(growth.seconds, 0);
  growth.grew(1000, 2);
  growth.grew(2500, 2);
  assert.equal(growth.seconds, 1.5);
  growth.grew(62_500, 2);
  growth.grew(68_500, 2);
  assert.equal(growth.seconds, 6);
});
