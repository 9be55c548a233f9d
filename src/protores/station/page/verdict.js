// What a score means, and how the page says so: by word, colour and shape.

import { drawn } from "./dom.js";

export const NAMES = { good: "good", "look-again": "look again", bad: "bad", none: "not judged" };
export const OUTCOMES = ["good", "look-again", "bad"];

/** Good below the first threshold, bad above the second, look again in between and at them; "none" without thresholds. */
export function outcome(score, at) {
  if (at === null) return "none";
  return score < at.good_below ? "good" : score > at.bad_above ? "bad" : "look-again";
}

/** What a label says about a verdict. */
export function meaning(label, verdict) {
  if (verdict === "look-again" || verdict === "none") return "your decision";
  if (label === verdict) return "verdict is right";
  return label === "bad" ? "missed defect" : "false alarm";
}

export const shape = (verdict) =>
  drawn("svg", { class: "shape", "aria-hidden": "true" }, drawn("use", { href: `#shape-${verdict}` }));

export const short = (score) => Number(score.toPrecision(4)).toString();

/** Scores crowd near 0 and 1: they are laid out by their logits. */
export const logit = (score) => Math.log(Math.max(score, 1e-6) / Math.max(1 - score, 1e-6));
export const fromLogit = (value) => 1 / (1 + Math.exp(-value));
