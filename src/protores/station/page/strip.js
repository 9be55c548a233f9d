// Scores on a line with the two thresholds as handles. Moved, they are a trial: everything shown is judged by them, nothing is kept.

import { $, drawn, magnified, plural } from "./dom.js";
import { fromLogit, logit, NAMES, OUTCOMES, outcome, short } from "./verdict.js";

const HANDLES = { "good-below": "good_below", "bad-above": "bad_above" };
const BIN = 6, LANE = 18, TOP = 18;
const STEPS = { ArrowLeft: -0.005, ArrowDown: -0.005, ArrowRight: 0.005, ArrowUp: 0.005, PageDown: -0.05, PageUp: 0.05 };

export class Strip {
  /** changed(): thresholds moved or were put back. */
  constructor(changed) {
    this.changed = changed;
    this.inUse = undefined; // not known yet
    this.at = null;
    this.records = [];
    this.current = null;
    this.range = [-4, 4];
    new ResizeObserver(() => this.draw()).observe($("plot"));
    $("reset").addEventListener("click", () => this.reset());
    for (const [id, key] of Object.entries(HANDLES)) this.#handle($(id), key);
    for (const [id, key] of Object.entries(HANDLES)) {
      const field = $(`${id}-number`);
      field.addEventListener("change", () => (field.value === "" ? this.draw() : this.#move(key, Number(field.value))));
    }
  }

  get trial() {
    const { at, inUse } = this;
    return at !== null && (!inUse || at.good_below !== inUse.good_below || at.bad_above !== inUse.bad_above);
  }

  /** What a record counts as here: by the thresholds on trial, else as it was judged. */
  verdictOf(record) { return this.trial ? outcome(record.score, this.at) : record.verdict ?? "none"; }

  /** inUse: {good_below, bad_above}, or null where none were calibrated. */
  use(inUse) {
    const same = JSON.stringify(inUse) === JSON.stringify(this.inUse);
    if (same) return;
    this.inUse = inUse;
    this.at = inUse && { ...inUse };
    this.changed();
  }

  reset() {
    if (!this.trial) return;
    this.at = this.inUse && { ...this.inUse };
    this.changed();
  }

  show(records, current) {
    this.records = records;
    this.current = current;
    this.draw();
  }

  #place(score) { return (logit(score) - this.range[0]) / (this.range[1] - this.range[0]); }
  #score(share) { return fromLogit(this.range[0] + share * (this.range[1] - this.range[0])); }

  #move(key, score) {
    if (!(score >= 0 && score <= 1)) { this.draw(); return; }
    const at = { ...(this.at ?? { good_below: 0.5, bad_above: 0.5 }), [key]: score };
    if (at.good_below > at.bad_above) at[key === "good_below" ? "bad_above" : "good_below"] = score;
    this.at = at;
    this.waiting ??= requestAnimationFrame(() => { this.waiting = null; this.changed(); });
  }

  #handle(handle, key) {
    const at = () => this.at?.[key] ?? 0.5;
    handle.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      handle.setPointerCapture(event.pointerId);
      this.grabbed = event.clientX - $("plot").getBoundingClientRect().left - this.#place(at()) * this.width;
    });
    handle.addEventListener("pointermove", (event) => {
      if (!handle.hasPointerCapture(event.pointerId)) return;
      const x = event.clientX - $("plot").getBoundingClientRect().left - this.grabbed;
      this.#move(key, this.#score(Math.min(1, Math.max(0, x / this.width))));
    });
    handle.addEventListener("keydown", (event) => {
      const ends = { Home: 0, End: 1 };
      const share = event.key in STEPS ? this.#place(at()) + STEPS[event.key] : ends[event.key];
      if (share === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      this.#move(key, this.#score(Math.min(1, Math.max(0, share))));
    });
  }

  /** Wide enough for all scores and thresholds; it changes only where one lies outside, so that nothing jumps. */
  #fitRange() {
    const values = this.records.map((one) => logit(one.score));
    for (const at of [this.at, this.inUse]) if (at) values.push(logit(at.good_below), logit(at.bad_above));
    if (!values.length) return;
    const low = Math.min(...values), high = Math.max(...values);
    if (low < this.range[0] + 0.1) this.range[0] = low - 0.5;
    if (high > this.range[1] - 0.1) this.range[1] = high + 0.5;
  }

  draw() {
    this.#fitRange();
    const { at, trial } = this, plot = $("plot"), width = (this.width = plot.clientWidth), height = plot.clientHeight;
    if (!width) return;
    const unit = (this.unit = magnified()), x = (score) => this.#place(score) * width, floor = height - LANE * unit;
    const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "scores of the images in the history" });
    if (at) this.#zones(svg, x, floor);
    this.#bars(svg, x, floor);
    for (const record of this.records.filter((one) => one.feedback)) this.#mark(svg, record, x(record.score), floor + (LANE * unit) / 2);
    if (trial && this.inUse) {
      for (const score of Object.values(this.inUse)) svg.append(drawn("line", { class: "in-use", x1: x(score), x2: x(score), y1: 0, y2: floor }));
    }
    if (this.current) {
      const place = x(this.current.score);
      svg.append(drawn("path", { class: "current", d: `M${place - 7 * unit} 0h${14 * unit}l${-7 * unit} ${11 * unit}z` }), drawn("line", { class: "current", x1: place, x2: place, y1: 8, y2: floor }));
    }
    plot.replaceChildren(svg);
    for (const [id, key] of Object.entries(HANDLES)) this.#setHandle(id, at?.[key]);
    $("reset").disabled = !trial;
    this.#tell();
  }

  #zones(svg, x, floor) {
    const edges = [0, x(this.at.good_below), x(this.at.bad_above), this.width];
    OUTCOMES.forEach((verdict, k) => {
      const wide = Math.max(0, edges[k + 1] - edges[k]);
      svg.append(drawn("rect", { class: `zone ${verdict}`, x: edges[k], y: 0, width: wide, height: floor }));
      if (wide > 90 * this.unit) svg.append(drawn("text", { class: verdict, x: edges[k] + 8 * this.unit, y: 14 * this.unit }, `${NAMES[verdict]} ${this.#count(verdict)}`));
    });
  }

  #bars(svg, x, floor) {
    const bins = new Map(), wide = BIN * this.unit;
    for (const record of this.records) {
      const bin = Math.floor(x(record.score) / wide), verdict = this.verdictOf(record);
      if (!bins.has(bin)) bins.set(bin, new Map());
      bins.get(bin).set(verdict, (bins.get(bin).get(verdict) ?? 0) + 1);
    }
    const most = Math.max(6, ...[...bins.values()].map((bin) => [...bin.values()].reduce((a, b) => a + b)));
    for (const [bin, counts] of bins) {
      let base = floor;
      for (const verdict of ["none", ...OUTCOMES]) {
        const tall = ((counts.get(verdict) ?? 0) / most) * (floor - TOP * this.unit);
        if (tall) svg.append(drawn("rect", { class: `score ${verdict}`, x: bin * wide + 0.5, y: (base -= tall), width: wide - 1, height: tall }));
      }
    }
    svg.append(drawn("line", { class: "axis", x1: 0, x2: this.width, y1: floor, y2: floor }));
  }

  /** What was said about an image: a ring for good, a cross for bad; larger where the verdict differs. */
  #mark(svg, record, x, y) {
    const { label } = record.feedback, r = this.unit * (this.#right(record) ? 3.5 : 6);
    svg.append(label === "good" ? drawn("circle", { class: "said good", cx: x, cy: y, r })
      : drawn("path", { class: "said bad", d: `M${x - r} ${y - r}l${2 * r} ${2 * r}M${x + r} ${y - r}l${-2 * r} ${2 * r}` }));
  }
  #right(record) { return this.verdictOf(record) === record.feedback.label; }

  #setHandle(id, score) {
    const handle = $(id), field = $(`${id}-number`), value = score ?? 0.5;
    handle.style.left = `${this.#place(value) * this.width}px`;
    handle.setAttribute("aria-valuenow", short(value));
    handle.setAttribute("aria-valuetext", score === undefined ? "not set" : `score ${short(value)}`);
    if (document.activeElement !== field) field.value = score === undefined ? "" : short(score);
  }

  #count(verdict) { return this.records.filter((one) => this.verdictOf(one) === verdict).length; }

  #tell() {
    const { records, trial } = this, corrected = records.filter((one) => one.feedback);
    const parts = [];
    if (trial) {
      const others = records.filter((one) => this.verdictOf(one) !== (one.verdict ?? "none")).length;
      parts.push(`trial: ${others} of ${records.length} differ`);
    } else {
      parts.push(this.inUse === null ? "none in this bundle: drag the handles to try some" : plural(records.length, "image", "images"));
    }
    if (corrected.length) parts.push(`${corrected.filter((one) => this.#right(one)).length} of ${corrected.length} corrected agree`);
    const line = parts.join(" · ");
    if ($("tally").textContent !== line) $("tally").textContent = line; // it is read out where it changes
  }
}
