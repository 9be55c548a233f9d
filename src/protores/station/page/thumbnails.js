// Small pictures of what is in view, two at a time: the image that is shown, and uploads, come first.

import { picture } from "./api.js";

const SIDE = 256;
const AT_ONCE = 2;
/** Within the window where it scrolls, and within a part of it that does. */
const NEAR = { rootMargin: "400px", scrollMargin: "400px" };

export class Thumbnails {
  /** lost(error): told of what failed. */
  constructor(lost) {
    this.lost = lost;
    this.wanted = new Set();
    this.active = 0;
    this.observer = new IntersectionObserver((seen) => seen.forEach((one) => this.#seen(one)), NEAR);
  }

  /** holder: an element with data-id and an img in it. */
  watch(holder) { this.observer.observe(holder); }

  forget(holder) {
    this.observer.unobserve(holder);
    this.#empty(holder);
  }

  #seen({ target: holder, isIntersecting }) {
    if (!isIntersecting) { this.#empty(holder); return; }
    if (!holder.querySelector("img").src) this.wanted.add(holder);
    this.#next();
  }

  #empty(holder) {
    this.wanted.delete(holder);
    const image = holder.querySelector("img");
    if (!image.src) return;
    URL.revokeObjectURL(image.src);
    image.removeAttribute("src");
  }

  #next() {
    for (const holder of this.wanted) {
      if (this.active >= AT_ONCE) return;
      this.wanted.delete(holder);
      this.#load(holder);
    }
  }

  async #load(holder) {
    this.active += 1;
    try {
      const blob = await picture(holder.dataset.id, "image", { side: SIDE, priority: "low" });
      if (holder.isConnected) holder.querySelector("img").src = URL.createObjectURL(blob);
    } catch (error) {
      this.lost(error);
    } finally {
      this.active -= 1;
      this.#next();
    }
  }
}
