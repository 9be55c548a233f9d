// The image that is shown: its verdict, its pictures, and what people said.

import { Offline, picture } from "./api.js";
import { $, plural } from "./dom.js";
import { coloured } from "./heat.js";
import { opaque } from "./painter.js";
import { NAMES, shape, short } from "./verdict.js";

const PREVIEW = 1600;
/** Milliseconds: how long a verdict waits for its picture, and how long the one before stands while another is awaited. */
const TOGETHER = 250, WAITED = 400;

export class Shown {
  /** told: {shown(record, another), lost(error)}. */
  constructor(view, strip, told) {
    this.view = view;
    this.strip = strip;
    this.told = told;
    this.record = null;
    this.loading = new AbortController();
    this.reasons = new Set();
  }

  /** Verdict and picture together, or the verdict first where the picture is slow. */
  async select(record) {
    this.wanted = record.id;
    if (record.id === this.record?.id) { this.show(record); return; }
    this.loading.abort();
    const { signal } = (this.loading = new AbortController());
    this.pending("picture", true);
    const side = Math.max(...record.size) > PREVIEW ? PREVIEW : undefined;
    const pictures = Promise.all([
      bitmap(record.id, "image", { side, signal }), bitmap(record.id, "map", { signal }).then(coloured),
      record.feedback?.has_mask ? bitmap(record.id, "mask", { signal }).then(opaque) : null,
    ]);
    await Promise.race([pictures.catch(() => {}), new Promise((resolve) => setTimeout(resolve, TOGETHER))]);
    if (this.wanted === record.id) this.show(record);
    await this.#try(async () => {
      const [photo, heat, truth] = await pictures;
      if (this.record?.id !== record.id) return;
      this.view.addPhoto(photo);
      this.view.set({ heat, truth });
    });
  }

  /** The photo at its full size, once zooming asks for it. */
  async loadWhole() {
    const { record } = this;
    if (!record || this.whole === record.id || Math.max(...record.size) <= PREVIEW) return;
    this.whole = record.id;
    const came = await this.#try(async () => {
      const photo = await bitmap(record.id, "image", { signal: this.loading.signal });
      if (this.record?.id === record.id) this.view.addPhoto(photo);
    });
    if (!came) this.whole = null;
  }

  show(record) {
    const another = record.id !== this.record?.id;
    this.record = record;
    this.pending("picture", false);
    if (another) {
      this.whole = null;
      this.view.show(record);
      history.replaceState(null, "", `#${record.id}`);
    }
    this.told.shown(record, another);
    this.draw();
  }

  /** The same record with other feedback: its mask may be another. */
  async correct(record) {
    this.show(record);
    if (!record.feedback?.has_mask) { this.view.set({ truth: null }); return; }
    await this.#try(async () => {
      const truth = opaque(await bitmap(record.id, "mask"));
      if (this.record?.id === record.id) this.view.set({ truth });
    });
  }

  /** The verdict of the last part must not pass for that of the part that is awaited. why: image or picture. */
  pending(why, on) {
    if (on) this.reasons.add(why);
    else this.reasons.delete(why);
    if (this.reasons.size) {
      this.patience ??= setTimeout(() => document.body.classList.add("waiting"), WAITED);
    } else {
      clearTimeout(this.patience);
      this.patience = null;
      document.body.classList.remove("waiting");
    }
  }

  draw() {
    const { record, strip } = this;
    if (!record) return;
    const verdict = strip.verdictOf(record), word = NAMES[verdict], name = record.name || "unnamed", band = $("verdict");
    const changed = band.dataset.verdict !== verdict || band.dataset.id !== record.id;
    band.dataset.verdict = verdict;
    band.dataset.id = record.id;
    band.querySelector(".shape").replaceWith(shape(verdict));
    $("word").textContent = word;
    $("score").textContent = record.score.toFixed(3);
    $("distance").textContent = distance(verdict, record.score, strip.trial ? strip.at : record);
    $("name").textContent = `${name} · ${new Date(record.time).toLocaleTimeString("en-GB")}`;
    $("trial").hidden = !strip.trial;
    $("trial-text").textContent = `thresholds; by those in use: ${NAMES[record.verdict ?? "none"]}`;
    document.body.classList.toggle("on-trial", strip.trial);
    if (!changed) return;
    const found = plural(record.regions.length, "region", "regions");
    $("announced").textContent = `${strip.trial ? "on trial: " : ""}${word}, score ${record.score.toFixed(3)}, ${found}, ${name}`;
    $("canvas").setAttribute("aria-label", `${name}: ${word}, ${found} outlined`);
  }

  /** Whether it came; what went wrong is told, unless another image was chosen meanwhile. */
  async #try(load) {
    try {
      await load();
      return true;
    } catch (error) {
      if (error.name !== "AbortError") this.told.lost(error);
      return false;
    }
  }
}

/** A picture of a record as an ImageBitmap. */
async function bitmap(id, part, options) {
  const blob = await picture(id, part, options);
  return createImageBitmap(blob).catch(() => { throw new Offline("a picture came in part"); });
}

function distance(verdict, score, at) {
  if (verdict === "bad") return `${short(score - at.bad_above)} above the threshold of bad`;
  if (verdict === "good") return `${short(at.good_below - score)} below the threshold of good`;
  return verdict === "none" ? "no thresholds: calibrate the bundle" : `between ${short(at.good_below)} and ${short(at.bad_above)}`;
}
