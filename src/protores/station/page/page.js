// The inspection station's page: puts its parts together.

import * as api from "./api.js";
import { Camera } from "./camera.js";
import { $, press, pressed } from "./dom.js";
import { History } from "./history.js";
import { Intake } from "./intake.js";
import { listen } from "./keys.js";
import { Labels } from "./labels.js";
import { Painting } from "./painting.js";
import { Regions } from "./regions.js";
import { Shown } from "./shown.js";
import { Strip } from "./strip.js";
import { View } from "./view.js";
import { short } from "./verdict.js";

const POLL = 3000;

let model = null;

const tell = (line) => { $("status").textContent = line; };
const verdictOf = (record) => strip.verdictOf(record);

const view = new View($("canvas"), {
  hover: (k) => regions.hover(k),
  pick: (k) => regions.pick(k),
  need: () => shown.loadWhole(),
  moved: (scale) => { $("zoomed").textContent = scale === null ? "" : `${Math.round(100 * scale)} %`; },
  painted: () => { painting.stay(); painting.draw(); },
});
const regions = new Regions(view);
const strip = new Strip(retried);
const shown = new Shown(view, strip, {
  shown: (record, another) => {
    if (another) regions.show(record);
    if (another && camera.on) enlarge(false);
    history.select(record);
    labels.show(record);
    drawMode();
    strip.show(history.records, record);
  },
  lost,
});
const history = new History({
  picked: (record) => { follow(false); select(record); $("judged").scrollIntoView(); },
  changed: () => {
    strip.show(history.records, shown.record);
    labels.offer(history.records.map((record) => record.feedback?.kind).filter(Boolean));
  },
  trial: () => strip.trial,
  verdictOf,
  lost,
});
const labels = new Labels({
  said: (record) => {
    history.update(record);
    if (record.id === shown.record?.id) shown.correct(record);
    poll();
  },
  lost,
  verdictOf,
});
const painting = new Painting(view, { changed: drawMode, save: (mask) => labels.say("bad", { mask }), tell, lost });
const intake = new Intake({
  taken: () => { if (!painting.on) follow(true, false); },
  judged: (record) => {
    history.add(record);
    checkModel(record);
    if (pressed($("follow")) && !(shown.record?.time > record.time)) select(record);
    connection("there");
    if (intake.left === 1) poll();
  },
  changed: () => {
    if (intake.lost) connection("lost");
    shown.pending("image", intake.left === 1 && pressed($("follow")));
  },
  tell,
});
const camera = new Camera({ changed: drawMode, failed: (line) => tell(`Camera: ${line}`) });

// What is shown

/** Shows a record, unless a mask that is not saved stands against it. */
function select(record) {
  if (record.id === shown.record?.id || painting.leave()) return shown.select(record);
  return null;
}

/** Whether each new image is shown as it comes; the newest at once, unless some are on their way. */
function follow(on, now = true) {
  press($("follow"), on);
  if (on && now && history.records.length) select(history.records[0]);
}

let onTrial = false;
/** After thresholds moved: everything shown is judged again. */
function retried() {
  if (onTrial !== strip.trial) {
    onTrial = strip.trial;
    if (history.filter.verdict) history.reload();
  }
  history.rejudge();
  strip.show(history.records, shown.record);
  labels.draw();
  shown.draw();
  const { good_below, bad_above } = strip.at ?? {};
  tell(strip.trial ? `Nothing is changed. To keep them: protores calibrate BUNDLE --good-below ${short(good_below)} --bad-above ${short(bad_above)}` : "");
}

async function capture() {
  if (!camera.on) return;
  follow(true, false);
  $("stage").classList.remove("flash");
  void $("stage").offsetWidth; // so that the animation begins anew
  $("stage").classList.add("flash");
  intake.take([await camera.picture()]);
}

function enlarge(on) { $("live").classList.toggle("large", on); }

function drawMode() {
  $("paint").disabled = !shown.record;
  $("view-bar").hidden = painting.on;
  $("paint-bar").hidden = !painting.on;
  $("canvas").classList.toggle("painting", painting.on);
  press($("camera"), camera.on);
  const was = !$("live").hidden;
  $("live").hidden = !camera.on || painting.on;
  $("empty").hidden = shown.record !== null || camera.on;
  if (camera.on && !was && !painting.on) enlarge(shown.record === null || pressed($("follow")));
}

// The station at the other end

function lost(error) {
  if (error instanceof api.Offline) connection("lost");
  else if (error.name !== "AbortError") tell(error.message);
}

/** state: there or lost. */
function connection(state) {
  $("connection").dataset.state = state;
  $("connection").lastElementChild.textContent = state === "there" ? "connected" : "no connection, trying again";
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
    if (model === null) await readModel();
    if (history.counts === null) {
      await history.reload();
      await begin();
    }
    const fresh = await history.poll();
    if (fresh) checkModel(fresh);
    if (fresh && pressed($("follow")) && !intake.left && !painting.on) select(fresh);
    $("feedback-count").textContent = history.counts.feedback;
    $("download").disabled = !history.counts.feedback;
    connection("there");
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
const paint = () => { if (shown.record && !painting.on) { follow(false); painting.enter(shown.record); } };
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
  "zoom-in": () => view.zoomStep(1.5),
  "zoom-out": () => view.zoomStep(1 / 1.5),
  fit: () => view.fit(),
};
for (const [id, act] of Object.entries(clicks)) $(id).addEventListener("click", act);
$("opacity").addEventListener("input", () => setOpacity($("opacity").value));
$("token-dialog").addEventListener("cancel", (event) => event.preventDefault());

document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });
window.addEventListener("online", poll);
window.addEventListener("beforeunload", (event) => { if (painting.dirty || intake.left) event.preventDefault(); });

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
poll();
