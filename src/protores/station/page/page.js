// The inspection station's page: puts its parts together.

import * as api from "./api.js";
import { Camera } from "./camera.js";
import { $, plural, press, pressed } from "./dom.js";
import { dropped, picked, sorted } from "./files.js";
import { coloured } from "./heat.js";
import { History } from "./history.js";
import { listen } from "./keys.js";
import { Labels } from "./labels.js";
import { opaque } from "./painter.js";
import { Painting } from "./painting.js";
import { Queue } from "./queue.js";
import { Regions } from "./regions.js";
import { Strip } from "./strip.js";
import { View } from "./view.js";
import { NAMES, shape, short } from "./verdict.js";

const PREVIEW = 1600;
const POLL = 3000;
const PATIENCE = 250;
const WAITED = 400;

let model = null;
let current = null;
let wanted = null;
let loading = new AbortController();

const tell = (line) => { $("status").textContent = line; };

const view = new View($("canvas"), {
  hover: (k) => regions.hover(k),
  pick: (k) => regions.pick(k),
  need: () => loadWhole(),
  moved: () => { $("zoomed").textContent = current ? `${Math.round(100 * view.scale)} %` : ""; },
  painted: () => { painting.stay(); painting.draw(); },
});
const regions = new Regions(view);
const strip = new Strip(() => retried());
const verdictOf = (record) => strip.verdictOf(record);
const history = new History({
  picked: (record) => { follow(false); select(record); },
  changed: () => {
    strip.show(history.records, current);
    labels.offer(history.records.map((record) => record.feedback?.kind).filter(Boolean));
  },
  trial: () => strip.trial,
  verdictOf,
  lost,
});
const labels = new Labels({ said, lost, verdictOf });
const painting = new Painting(view, {
  changed: drawMode,
  save: (mask) => labels.say("bad", { mask }),
  tell,
  lost,
});
const queue = new Queue({
  judged: (record) => {
    history.add(record);
    checkModel(record);
    if (pressed($("follow")) && !(current?.time > record.time)) select(record);
    online();
    if (queue.left === 1) poll();
  },
  failed: (name, line) => failed(name, line),
  changed: drawWork,
});
const camera = new Camera({ changed: drawMode, failed: (line) => tell(`Camera: ${line}`) });

// The image shown

/** Shows a record: verdict and picture together, or the verdict first where the picture is slow. */
async function select(record) {
  if (record.id !== current?.id && !painting.leave()) return;
  if (record.id === current?.id) { show(record); return; }
  wanted = record.id;
  loading.abort();
  const { signal } = (loading = new AbortController());
  const side = Math.max(...record.size) > PREVIEW ? PREVIEW : undefined;
  const pictures = Promise.all([
    api.picture(record.id, "image", { side, signal }).then(createImageBitmap),
    api.picture(record.id, "map", { signal }).then(createImageBitmap).then(coloured),
    record.feedback?.has_mask ? api.picture(record.id, "mask", { signal }).then(createImageBitmap).then(opaque) : null,
  ]);
  pictures.catch(() => {});
  await Promise.race([pictures.catch(() => {}), new Promise((resolve) => setTimeout(resolve, PATIENCE))]);
  if (wanted !== record.id) return;
  show(record);
  try {
    const [photo, heat, truth] = await pictures;
    if (wanted !== record.id) return;
    view.addPhoto(photo);
    view.set({ heat, truth });
  } catch (error) {
    if (error.name !== "AbortError") lost(error);
  }
}

let whole = null;
/** The photo at its full size, once zooming asks for it. */
async function loadWhole() {
  if (!current || whole === current.id || Math.max(...current.size) <= PREVIEW) return;
  const { id } = current;
  whole = id;
  try {
    const photo = await createImageBitmap(await api.picture(id, "image", { signal: loading.signal }));
    if (current.id === id) view.addPhoto(photo);
  } catch (error) {
    whole = null;
    if (error.name !== "AbortError") lost(error);
  }
}

function show(record) {
  const another = record.id !== current?.id;
  current = record;
  $("empty").hidden = true;
  if (another) {
    whole = null;
    view.show(record);
    regions.show(record);
    if (camera.on) enlarge(false);
    window.history.replaceState(null, "", `#${record.id}`);
  }
  history.select(record);
  labels.show(record);
  drawVerdict();
  drawMode();
  strip.show(history.records, current);
}

function drawVerdict() {
  if (!current) return;
  const verdict = verdictOf(current), name = NAMES[verdict], band = $("verdict");
  const changed = band.dataset.verdict !== verdict || band.dataset.id !== current.id;
  band.dataset.verdict = verdict;
  band.dataset.id = current.id;
  band.querySelector(".shape").replaceWith(shape(verdict));
  $("word").textContent = name;
  $("score").textContent = current.score.toFixed(3);
  const at = strip.trial ? strip.at : { good_below: current.good_below, bad_above: current.bad_above };
  $("distance").textContent = distance(verdict, current.score, at);
  const time = new Date(current.time).toLocaleTimeString("en-GB");
  $("name").textContent = `${current.name || "unnamed"} · ${time}`;
  $("trial").hidden = !strip.trial;
  $("trial-text").textContent = `thresholds; by those in use: ${NAMES[current.verdict ?? "none"]}`;
  document.body.classList.toggle("on-trial", strip.trial);
  if (!changed) return;
  const found = plural(current.regions.length, "region", "regions");
  $("announced").textContent = `${strip.trial ? "on trial: " : ""}${name}, score ${current.score.toFixed(3)}, ${found}, ${current.name}`;
  $("canvas").setAttribute("aria-label", `${current.name || "image"}: ${name}, ${found} outlined`);
}

function distance(verdict, score, at) {
  if (verdict === "bad") return `${short(score - at.bad_above)} above the threshold of bad`;
  if (verdict === "good") return `${short(at.good_below - score)} below the threshold of good`;
  return verdict === "none" ? "no thresholds: calibrate the bundle" : `between ${short(at.good_below)} and ${short(at.bad_above)}`;
}

let onTrial = false;
/** After thresholds moved: everything shown is judged again. */
function retried() {
  if (onTrial !== strip.trial) {
    onTrial = strip.trial;
    if (history.filter.verdict) history.reload();
  }
  history.rejudge();
  strip.show(history.records, current);
  labels.draw();
  drawVerdict();
  const { good_below, bad_above } = strip.at ?? {};
  tell(strip.trial ? `Nothing is changed. To keep them: protores calibrate BUNDLE --good-below ${short(good_below)} --bad-above ${short(bad_above)}` : "");
}

async function said(record) {
  const masked = record.feedback?.has_mask ?? false;
  history.update(record);
  poll();
  if (record.id !== current?.id) return;
  show(record);
  if (!masked) { view.set({ truth: null }); return; }
  try {
    const truth = opaque(await createImageBitmap(await api.picture(record.id, "mask")));
    if (current.id === record.id) view.set({ truth });
  } catch (error) {
    lost(error);
  }
}

// What comes in

function take(found) {
  const { images, others } = sorted(found);
  if (others) tell(`${plural(others, "file is no image and was", "files are no images and were")} left out`);
  if (!images.length) return;
  if (!painting.on) follow(true, false);
  queue.add(images);
}

function failed(name, line) {
  const item = document.createElement("li");
  item.textContent = `${name}: ${line}`;
  $("failures").prepend(item);
  $("failed").hidden = false;
  $("failed-count").textContent = $("failures").children.length;
  tell(`${name}: ${line}`);
}

let ticking = null;
function drawWork() {
  const { left, pause } = queue;
  document.body.classList.toggle("working", left > 0);
  $("progress").value = queue.share;
  $("stop").disabled = !left;
  const seconds = pause ? Math.max(0, Math.ceil((pause.until - Date.now()) / 1000)) : 0;
  $("worked").textContent = !left ? "" : `${queue.done} of ${queue.total}`
    + (pause ? `, ${pause.why === "full" ? "the station is full" : "no answer"}: again in ${seconds} s` : "");
  if (pause?.why === "lost") offline();
  clearTimeout(ticking);
  if (pause) ticking = setTimeout(drawWork, 500);
  waiting(left === 1 && pressed($("follow")));
}

let patience = null;
/** The verdict of the last part must not pass for that of the part that is being inspected. */
function waiting(on) {
  if (!on) { clearTimeout(patience); patience = null; document.body.classList.remove("waiting"); return; }
  patience ??= setTimeout(() => document.body.classList.add("waiting"), WAITED);
}

/** Whether each new image is shown as it comes; the newest at once, unless some are on their way. */
function follow(on, now = true) {
  press($("follow"), on);
  if (on && now && history.records.length) select(history.records[0]);
}

async function capture() {
  if (!camera.on) return;
  follow(true, false);
  $("stage").classList.remove("flash");
  void $("stage").offsetWidth;
  $("stage").classList.add("flash");
  queue.add([await camera.picture()]);
}

function enlarge(on) { $("live").classList.toggle("large", on); }

function drawMode() {
  $("paint").disabled = !current;
  $("view-bar").hidden = painting.on;
  $("paint-bar").hidden = !painting.on;
  $("canvas").classList.toggle("painting", painting.on);
  document.body.classList.toggle("painting", painting.on);
  press($("camera"), camera.on);
  const was = !$("live").hidden;
  $("live").hidden = !camera.on || painting.on;
  $("empty").hidden = current !== null || camera.on;
  if (camera.on && !was && !painting.on) enlarge(current === null || pressed($("follow")));
}

// The station at the other end

function lost(error) {
  if (error instanceof api.Offline) offline();
  else if (error.name !== "AbortError") tell(error.message);
}
function offline() { connection("lost", "no connection, trying again"); }
function online() { connection("there", "connected"); }
function connection(state, words) {
  if ($("connection").dataset.state === state) return;
  $("connection").dataset.state = state;
  $("connection").lastElementChild.textContent = words;
}

async function readModel() {
  model = await api.model();
  $("product").textContent = model.product;
  document.title = `${model.product} · inspection station`;
  const { good_below, bad_above } = model.thresholds;
  strip.use(good_below === null ? null : { good_below, bad_above });
  labels.offer(model.kinds);
  if (model.warning) tell(model.warning);
}

/** A record of another model than the page knows: its thresholds are others. */
function checkModel(record) {
  if (model && record.model !== model.digest) readModel().catch(lost);
}

let polling = null;
async function poll() {
  clearTimeout(polling);
  try {
    if (model === null) {
      await readModel();
      await history.reload();
      await begin();
    }
    const fresh = await history.poll();
    if (fresh) checkModel(fresh);
    if (fresh && pressed($("follow")) && !queue.left && !painting.on) select(fresh);
    $("feedback-count").textContent = history.counts.feedback;
    $("download").disabled = !history.counts.feedback;
    online();
  } catch (error) {
    lost(error);
  }
  clearTimeout(polling);
  polling = setTimeout(() => (document.hidden ? null : poll()), POLL);
}

/** At first: the image that the address names, else the newest. */
async function begin() {
  const id = /^#([0-9a-f]+)$/.exec(location.hash)?.[1];
  if (id) {
    try {
      const record = await api.verdict(id);
      follow(record.id === history.records[0]?.id, false);
      await select(record);
      return;
    } catch (error) {
      if (error.status !== 404) throw error;
    }
  }
  if (history.records.length) await select(history.records[0]);
}

async function download() {
  $("download").disabled = true;
  tell("Packing the feedback");
  try {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await api.exported());
    link.download = `feedback-${model.product}.zip`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    tell("Feedback downloaded: unpack it and give it to protores train --add");
  } catch (error) {
    lost(error);
  }
  $("download").disabled = false;
}

function askToken(again) {
  $("token-wrong").textContent = again ? "That was not it." : "";
  $("token").value = "";
  $("token-dialog").showModal();
  return new Promise((resolve) => {
    $("token-dialog").addEventListener("close", () => resolve($("token").value), { once: true });
  });
}

// Controls

function toggle(id, layer) {
  const on = !pressed($(id));
  press($(id), on);
  view.set({ shown: { ...view.shown, [layer]: on } });
}
function setOpacity(value) {
  $("opacity").value = value;
  view.set({ opacity: $("opacity").value / 100 });
  localStorage.setItem("protores-opacity", $("opacity").value);
}
const moreOpaque = (by) => setOpacity(Number($("opacity").value) + by);
const paint = () => { if (current && !painting.on) { follow(false); painting.enter(current); } };
const go = (by) => { const record = history.step(by); if (record) { follow(false); select(record); } };
const toggleCamera = () => (camera.on ? camera.stop() : camera.start());

const clicks = {
  open: () => $("files").click(),
  "open-folder": () => $("folder").click(),
  camera: toggleCamera,
  capture,
  enlarge: () => enlarge(!$("live").classList.contains("large")),
  follow: () => follow(!pressed($("follow"))),
  download,
  heat: () => toggle("heat", "heat"),
  contours: () => toggle("contours", "contours"),
  truth: () => toggle("truth", "truth"),
  paint,
  "zoom-in": () => view.zoomBy(1.5),
  "zoom-out": () => view.zoomBy(1 / 1.5),
  fit: () => view.fit(),
  stop: () => queue.stop(),
  forget: () => { $("failures").replaceChildren(); $("failed").hidden = true; },
};
for (const [id, act] of Object.entries(clicks)) $(id).addEventListener("click", act);
for (const id of ["files", "folder"]) {
  $(id).addEventListener("change", () => { take(picked($(id))); $(id).value = ""; });
}
$("opacity").addEventListener("input", () => setOpacity($("opacity").value));
$("token-dialog").addEventListener("cancel", (event) => event.preventDefault());

let depth = 0;
const carriesFiles = (event) => [...event.dataTransfer.types].includes("Files");
document.addEventListener("dragenter", (event) => { if (carriesFiles(event)) { depth += 1; $("drop").hidden = false; } });
document.addEventListener("dragleave", (event) => { if (carriesFiles(event)) { depth -= 1; $("drop").hidden = depth > 0 ? $("drop").hidden : true; } });
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", async (event) => {
  event.preventDefault();
  depth = 0;
  $("drop").hidden = true;
  try {
    take(await dropped(event.dataTransfer));
  } catch (error) {
    tell(`The folder cannot be read: ${error.message}`);
  }
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });
window.addEventListener("online", poll);
window.addEventListener("beforeunload", (event) => { if (painting.dirty || queue.left) event.preventDefault(); });

listen({
  o: clicks.open,
  "Shift o": clicks["open-folder"],
  c: toggleCamera,
  " ": capture,
  l: clicks.enlarge,
  n: clicks.follow,
  g: () => labels.say("good"),
  b: () => labels.say("bad"),
  Delete: () => labels.takeBack(),
  Backspace: () => labels.takeBack(),
  p: paint,
  t: () => $("good-below").focus(),
  h: clicks.heat,
  k: clicks.contours,
  m: clicks.truth,
  i: () => regions.next(),
  "+": clicks["zoom-in"],
  "=": clicks["zoom-in"],
  "-": clicks["zoom-out"],
  0: clicks.fit,
  ",": () => moreOpaque(-10),
  ".": () => moreOpaque(10),
  ArrowDown: () => go(1),
  ArrowUp: () => go(-1),
  "?": () => $("keys").showModal(),
  Escape: () => { if (strip.trial) strip.reset(); else regions.pick(null); },
}, {
  b: () => painting.erase(false),
  e: () => painting.erase(true),
  "[": () => painting.resize(-4),
  "]": () => painting.resize(4),
  "Ctrl z": () => painting.undo(),
  "Ctrl y": () => painting.redo(),
  "Ctrl Shift z": () => painting.redo(),
  r: () => painting.fromRegions(),
  x: () => painting.clear(),
  g: () => {},
  Delete: () => {},
  Backspace: () => {},
  " ": () => view.putBrush(),
  Enter: () => painting.save(),
  Escape: () => painting.leave(),
}, { painting: () => painting.on, moveBrush: (dx, dy) => view.moveBrush(dx, dy) });

api.onTokenNeeded(askToken);
setOpacity(localStorage.getItem("protores-opacity") ?? 70);
drawWork();
poll();
