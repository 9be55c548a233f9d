// Images on their way to the station: a few at a time, and again after a full queue (429) or a lost network.

import { inspect, Offline } from "./api.js";

const AT_ONCE = 4;
const PATIENCE = [1, 2, 4, 8, 15];
const AWAY = new Set([502, 503, 504]);

export class Queue {
  /** told: {judged(record), failed(name, line), changed(queue)}. */
  constructor(told) {
    this.told = told;
    this.total = this.done = this.losses = 0;
    this.waiting = [];
    this.active = new Map();
    this.pause = null;
  }

  get left() { return this.waiting.length + this.active.size; }

  /** How far all of it is, in [0, 1]: images done, and the share sent of those on their way. */
  get share() {
    const sent = [...this.active.values()].reduce((sum, one) => sum + 0.9 * one.share, 0);
    return this.total ? (this.done + sent) / this.total : 0;
  }

  /** entries: {file, name} each. */
  add(entries) {
    if (!this.left) this.total = this.done = 0;
    this.total += entries.length;
    for (const entry of entries) this.waiting.push(entry);
    this.next();
  }

  stop() {
    this.waiting = [];
    clearTimeout(this.pause?.timer);
    this.pause = null;
    for (const one of this.active.values()) one.control.abort();
    this.total = this.done + this.active.size;
    this.told.changed(this);
  }

  next() {
    while (!this.pause && this.waiting.length && this.active.size < AT_ONCE) this.#send(this.waiting.shift());
    this.told.changed(this);
  }

  async #send(entry) {
    const one = { share: 0, control: new AbortController() };
    this.active.set(entry, one);
    const progress = (share) => { one.share = share; this.told.changed(this); };
    try {
      await readable(entry.file);
      const record = await inspect(entry.file, entry.name, progress, one.control.signal);
      this.losses = 0;
      this.done += 1;
      this.told.judged(record);
    } catch (error) {
      if (error instanceof Offline || AWAY.has(error.status)) this.#again(entry, "lost", PATIENCE[Math.min(this.losses, PATIENCE.length - 1)]);
      else if (error.status === 429) this.#again(entry, "full", error.wait);
      else {
        this.done += 1;
        if (error.name !== "AbortError") this.told.failed(entry.name, error.message);
      }
    } finally {
      this.active.delete(entry);
      this.next();
    }
  }

  /** Back to the front; nothing is sent for so many seconds. why: full or lost. */
  #again(entry, why, seconds) {
    this.waiting.unshift(entry);
    if (this.pause) return;
    this.losses += why === "lost";
    const until = Date.now() + 1000 * seconds;
    const timer = setTimeout(() => { this.pause = null; this.next(); }, 1000 * seconds);
    this.pause = { why, until, timer };
  }
}

/** A file that was moved or deleted since it was picked would look like a lost network. */
async function readable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw new Error("can no longer be read on this computer: pick it again");
  }
}
