// What a person says about the image shown: good or bad, which kind, or nothing any more.

import { say, takeBack } from "./api.js";
import { $, element, press } from "./dom.js";
import { meaning, NAMES } from "./verdict.js";

export class Labels {
  /** told: {said(record), lost(error), verdictOf(record)}. */
  constructor(told) {
    this.told = told;
    this.record = null;
    this.known = [];
    for (const label of ["good", "bad"]) $(`say-${label}`).addEventListener("click", () => this.say(label));
    $("take-back").addEventListener("click", () => this.takeBack());
    $("kind").addEventListener("change", () => this.say("bad", { kind: $("kind").value.trim() || null }));
  }

  /** kinds: names to offer. */
  offer(kinds) {
    const all = [...new Set([...this.known, ...kinds])].sort();
    if (String(all) === String(this.known)) return;
    this.known = all;
    $("known-kinds").replaceChildren(...all.map((kind) => element("option", { value: kind })));
    $("kinds").replaceChildren(...all.map((kind) => {
      const chip = element("button", { type: "button", "data-kind": kind, "aria-pressed": "false" }, kind.replaceAll("_", " "));
      chip.addEventListener("click", () => this.say("bad", { kind: this.record.feedback?.kind === kind ? null : kind }));
      return chip;
    }));
    this.draw();
  }

  show(record) {
    this.record = record;
    this.draw();
  }

  draw() {
    const { record } = this, said = record?.feedback ?? null;
    const verdict = record ? this.told.verdictOf(record) : "none";
    $("question").textContent = record && verdict !== "none" && verdict !== "look-again" ? `Is it really ${NAMES[verdict]}?` : "What is it really?";
    for (const label of ["good", "bad"]) {
      $(`say-${label}`).disabled = !record;
      press($(`say-${label}`), said?.label === label);
      $(`means-${label}`).textContent = record ? meaning(label, verdict) : "";
    }
    const mask = said?.has_mask ? "mask painted" : said?.label === "bad" && "paint a mask to train on it";
    const parts = said ? [meaning(said.label, verdict), said.kind?.replaceAll("_", " "), mask] : [];
    $("said").textContent = said ? parts.filter(Boolean).join(" · ") : record ? "nothing said yet" : "";
    $("take-back").disabled = !said;
    $("kind").disabled = !record;
    for (const chip of $("kinds").children) {
      chip.disabled = !record;
      press(chip, said?.kind === chip.dataset.kind);
    }
    if (document.activeElement !== $("kind")) $("kind").value = said?.kind ?? "";
  }

  /** more: kind, and mask as base64 of a PNG; what is not given stays as it was. Gives whether it was kept. */
  async say(label, more = {}) {
    const { record } = this;
    if (!record) return false;
    const kind = label === "good" ? null : "kind" in more ? more.kind : record.feedback?.kind ?? null;
    return this.#send(() => say({ id: record.id, label, ...more, kind }));
  }

  takeBack() {
    const { record } = this;
    return record?.feedback ? this.#send(() => takeBack(record.id)) : false;
  }

  async #send(request) {
    try {
      this.told.said(await request());
      return true;
    } catch (error) {
      this.told.lost(error);
      return false;
    }
  }
}
