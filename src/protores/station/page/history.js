// What was inspected, newest first: loaded by scrolling, filtered, kept by the station and not by the page.

import { verdicts } from "./api.js";
import { $, element } from "./dom.js";
import { Thumbnails } from "./thumbnails.js";
import { NAMES, OUTCOMES, shape } from "./verdict.js";

const PAGE = 60;
/** A page that stays open for days forgets the older ones, down to KEPT, and loads them again by scrolling. */
const MOST = 1200, KEPT = 600;

export class History {
  /** told: {picked(record), changed(), trial(), verdictOf(record), lost(error)}. */
  constructor(told) {
    this.told = told;
    this.records = [];
    this.items = new Map();
    this.counts = null;
    this.filter = { verdict: "", feedback: "" };
    this.selected = null;
    this.thumbnails = new Thumbnails(told.lost);
    this.end = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && this.#more(), { rootMargin: "600px", scrollMargin: "600px" });
    this.end.observe($("more"));
    $("list").addEventListener("click", (event) => {
      const item = event.target.closest("button");
      if (item) told.picked(this.items.get(item.dataset.id).record);
    });
    $("feedback").addEventListener("change", () => { this.filter.feedback = $("feedback").value; this.reload(); });
    this.#chips();
  }

  #chips() {
    for (const verdict of ["", ...OUTCOMES]) {
      const chip = element("button", { type: "button", "data-verdict": verdict, "aria-pressed": String(verdict === "") },
        ...(verdict ? [shape(verdict)] : ["all"]), element("span", { class: "count" }));
      if (verdict) chip.setAttribute("aria-label", NAMES[verdict]);
      chip.title = verdict ? NAMES[verdict] : "all verdicts";
      chip.addEventListener("click", () => {
        this.filter.verdict = verdict;
        for (const one of $("verdicts").children) one.setAttribute("aria-pressed", String(one === chip));
        this.reload();
      });
      $("verdicts").append(chip);
    }
  }

  /** The newest page, in place of all that is there. */
  async reload() {
    this.loading?.abort();
    const asked = (this.loading = new AbortController());
    try {
      const page = await verdicts({ ...this.#asked(), limit: PAGE }, asked.signal);
      for (const { item } of this.items.values()) this.thumbnails.forget(item.firstChild);
      this.records = [];
      this.items.clear();
      $("list").replaceChildren();
      $("scroll").scrollTop = 0;
      this.#append(page);
    } catch (error) {
      if (error.name !== "AbortError") this.told.lost(error);
    } finally {
      if (this.loading === asked) this.loading = null;
    }
  }

  async #more() {
    if (this.loading || !this.next) return;
    const asked = (this.loading = new AbortController());
    try {
      this.#append(await verdicts({ ...this.#asked(), limit: PAGE, before: this.next }, asked.signal));
    } catch (error) {
      if (error.status === 404) { this.reload(); return; } // the station has forgotten the last one that is here
      if (error.name !== "AbortError") this.told.lost(error);
    } finally {
      if (this.loading === asked) this.loading = null;
    }
    // An observer tells of changes only: where the end is still in view it would stay silent.
    this.end.unobserve($("more"));
    this.end.observe($("more"));
  }

  /** What others sent meanwhile; gives the newest record that is new here, or null. */
  async poll() {
    const asked = this.#asked();
    const page = await verdicts({ ...asked, limit: PAGE });
    if (this.loading || String(Object.values(asked)) !== String(Object.values(this.#asked()))) return null;
    const fresh = page.verdicts.filter((one) => !this.items.has(one.id));
    if (this.records.length && fresh.length === page.verdicts.length && page.next) await this.reload();
    else fresh.reverse().forEach((one) => this.#insert(one));
    this.#count(page.counts);
    if (fresh.length) this.told.changed();
    return fresh.at(-1) ?? null;
  }

  /** On trial, verdicts are this page's alone, and the station cannot filter by them. */
  #asked() { return { feedback: this.filter.feedback, verdict: this.told.trial() ? "" : this.filter.verdict }; }

  #append(page) {
    this.next = page.next;
    for (const record of page.verdicts) {
      if (this.items.has(record.id)) continue;
      this.records.push(record);
      $("list").append(this.#item(record));
    }
    this.#count(page.counts);
    const { verdict, feedback } = this.filter;
    $("more").textContent = this.next ? "loading" : this.records.length ? "no older ones" : verdict || feedback ? "none of these" : "nothing inspected yet";
    this.told.changed();
  }

  #count(counts) {
    this.counts = counts;
    $("history-count").textContent = counts.all ? counts.all.toLocaleString("en") : "";
    for (const chip of $("verdicts").children) {
      chip.querySelector(".count").textContent = chip.dataset.verdict ? counts[chip.dataset.verdict].toLocaleString("en") : "";
    }
  }

  /** A new record, where the filter lets it through. */
  add(record) {
    if (this.items.has(record.id)) return;
    if (["good", "bad", "any"].includes(this.filter.feedback)) return;
    if (this.filter.verdict && !this.told.trial() && record.verdict !== this.filter.verdict) return;
    this.#insert(record);
    this.told.changed();
  }

  #insert(record) {
    const place = this.records.findIndex((one) => one.time <= record.time);
    const at = place < 0 ? this.records.length : place;
    $("list").insertBefore(this.#item(record), $("list").children[at] ?? null);
    this.records.splice(at, 0, record);
    this.#trim();
    $("more").textContent = this.next ? "loading" : "no older ones";
  }

  #trim() {
    if (this.records.length <= MOST || $("scroll").scrollTop > $("scroll").scrollHeight / 3) return;
    for (const record of this.records.splice(KEPT)) {
      const { item } = this.items.get(record.id);
      this.thumbnails.forget(item.firstChild);
      item.remove();
      this.items.delete(record.id);
    }
    this.next = this.records.at(-1).id;
  }

  /** A record that has changed; it stays where it is even if the filter would leave it out now. */
  update(record) {
    const known = this.items.get(record.id);
    if (!known) return;
    known.record = record;
    this.records[this.records.findIndex((one) => one.id === record.id)] = record;
    this.#badge(known);
    this.told.changed();
  }

  /** All badges anew, after thresholds moved. */
  rejudge() {
    for (const known of this.items.values()) this.#badge(known);
  }

  select(record) {
    this.items.get(this.selected)?.item.firstChild.removeAttribute("aria-current");
    this.selected = record?.id ?? null;
    const item = this.items.get(this.selected)?.item;
    if (!item) return;
    item.firstChild.setAttribute("aria-current", "true");
    // Where the list has no scroll bar of its own the page would move away from the image.
    if ($("scroll").scrollHeight > $("scroll").clientHeight) item.scrollIntoView({ block: "nearest" });
  }

  /** The record so many places below the selected one that is shown, or null. */
  step(by) {
    const visible = this.records.filter((one) => !this.items.get(one.id).item.hidden);
    const at = visible.findIndex((one) => one.id === this.selected);
    return visible[at < 0 ? 0 : Math.min(Math.max(at + by, 0), visible.length - 1)] ?? null;
  }

  #item(record) {
    const button = element("button", { type: "button", "data-id": record.id },
      element("span", { class: "thumb" }, element("img", { alt: "" })),
      element("span", { class: "badge" }), element("span", { class: "number" }),
      element("span", { class: "mark" }), element("small", {}, record.name.split("/").at(-1) || "unnamed"));
    const known = { record, item: element("li", {}, button) };
    this.items.set(record.id, known);
    this.#badge(known);
    if (record.id === this.selected) button.setAttribute("aria-current", "true");
    this.thumbnails.watch(button);
    return known.item;
  }

  #badge({ record, item }) {
    const verdict = this.told.verdictOf(record), button = item.firstChild, said = record.feedback;
    button.dataset.verdict = verdict;
    button.querySelector(".badge").replaceChildren(shape(verdict));
    button.querySelector(".number").textContent = record.score.toFixed(3);
    button.querySelector(".mark").textContent = said ? "✎" : "";
    const time = new Date(record.time).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });
    button.title = `${record.name || "unnamed"}, ${time}`;
    button.setAttribute("aria-label", `${NAMES[verdict]}, score ${record.score.toFixed(3)}, ${button.title}${said ? `, said to be ${said.label}` : ""}`);
    item.hidden = this.told.trial() && this.filter.verdict !== "" && verdict !== this.filter.verdict;
  }
}
