// The image and where one looks at it: zoom, pan, and the brush where there is a painter.

import { render } from "./drawing.js";
import { outline } from "./painter.js";

const MOST_ZOOM = 40;
const CLICK = 4;

export class View {
  /** told: {hover(k), pick(k), need(), moved(scale), painted()}; k: of a region, or null; scale: null without an image. */
  constructor(canvas, told) {
    this.canvas = canvas;
    this.told = told;
    this.context = canvas.getContext("2d");
    this.layers = [0, 1].map(() => new OffscreenCanvas(1, 1).getContext("2d"));
    this.show(null);
    this.opacity = 0.7;
    this.shown = { heat: true, contours: true, truth: true };
    this.brush = { size: 20, erase: false, at: null, down: false };
    this.pointers = new Map();
    new ResizeObserver(() => this.#resize()).observe(canvas);
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => this.#up(event));
    canvas.addEventListener("pointerleave", () => { this.brush.at = null; this.told.hover(null); this.draw(); });
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("dblclick", (event) => {
      if (this.painter) return;
      this.fitted ? this.zoomTo(Math.max(1, 2.5 * this.scale), ...this.#place(event)) : this.fit();
    });
  }

  /** record: with size and regions, or null for nothing. */
  show(record) {
    const another = !record || !this.record || record.id !== this.record.id;
    const resized = another && !(record && this.record && String(record.size) === String(this.record.size));
    this.record = record;
    this.regions = record ? record.regions.map((region) => ({ ...region, path: outline(region.polygon) })) : [];
    if (another) {
      this.photos = [];
      this.heat = this.truth = this.painter = this.selected = this.hovered = null;
    }
    // The next part lies where this one lay: the place that is looked at stays.
    if (resized) this.fit();
    this.draw();
  }

  /** One more size of the photo, an ImageBitmap. */
  addPhoto(bitmap) {
    this.photos.push(bitmap);
    this.photos.sort((a, b) => a.width - b.width);
    this.draw();
  }

  set(changes) {
    Object.assign(this, changes);
    this.draw();
  }

  // Zoom

  get width() { return this.record ? this.record.size[1] : 1; }
  get height() { return this.record ? this.record.size[0] : 1; }

  fit() {
    this.fitted = true;
    const { clientWidth: wide, clientHeight: tall } = this.canvas;
    this.scale = Math.min(wide / this.width, tall / this.height) || 1;
    this.#settle(0, 0);
  }

  /** scale: pixels of the screen for one of the image; the point x, y of the canvas stays where it is. */
  zoomTo(scale, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    if (!this.record) return;
    const least = Math.min(this.canvas.clientWidth / this.width, this.canvas.clientHeight / this.height);
    const bounded = Math.min(Math.max(scale, least), Math.max(MOST_ZOOM, 4 * least));
    if (bounded === least) { this.fit(); return; }
    const ratio = bounded / this.scale;
    this.scale = bounded;
    this.fitted = false;
    this.#settle(x - (x - this.left) * ratio, y - (y - this.top) * ratio);
  }
  zoomBy(factor, x, y) { this.zoomTo(this.scale * factor, x, y); }
  /** About the brush while it is over the image, else about the middle. */
  zoomStep(factor) { this.zoomBy(factor, ...((this.painter && this.brush.at) || [])); }
  pan(dx, dy) { this.#settle(this.left + dx, this.top + dy); }

  /** So that a region fills a third of the view. */
  zoomToRegion(k) {
    const [x, y, wide, tall] = this.regions[k].box, { clientWidth, clientHeight } = this.canvas;
    this.zoomTo(Math.min(clientWidth / wide, clientHeight / tall, 3 * MOST_ZOOM) / 3);
    if (!this.fitted) this.#settle(clientWidth / 2 - (x + wide / 2) * this.scale, clientHeight / 2 - (y + tall / 2) * this.scale);
  }

  /** Smaller than the view: in its middle. Larger: no gap at its edges. */
  #settle(left, top) {
    const within = (start, length, room) => (length <= room ? (room - length) / 2 : Math.min(0, Math.max(room - length, start)));
    this.left = within(left, this.width * this.scale, this.canvas.clientWidth);
    this.top = within(top, this.height * this.scale, this.canvas.clientHeight);
    this.canvas.classList.toggle("whole", this.fitted);
    this.told.moved(this.record && this.scale);
    this.draw();
  }

  #resize() {
    const ratio = window.devicePixelRatio, { clientWidth, clientHeight } = this.canvas;
    for (const surface of [this.canvas, ...this.layers.map((layer) => layer.canvas)]) {
      surface.width = Math.max(1, Math.round(clientWidth * ratio));
      surface.height = Math.max(1, Math.round(clientHeight * ratio));
    }
    this.fitted ? this.fit() : this.#settle(this.left, this.top);
    render(this);
  }

  // Pointers

  #place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }
  toImage([x, y]) { return [(x - this.left) / this.scale, (y - this.top) / this.scale]; }

  #down(event) {
    if (!this.record) return;
    this.canvas.setPointerCapture(event.pointerId);
    const place = this.#place(event);
    this.pointers.set(event.pointerId, place);
    if (this.pointers.size === 2) {
      if (this.gesture === "paint") { this.painter.drop(); this.told.painted(); }
      this.gesture = "pinch";
      this.pinched = this.#pinch();
    } else if (this.pointers.size === 1) {
      this.gesture = this.painter && event.button === 0 ? "paint" : "pan";
      this.began = this.last = place;
      if (this.gesture === "paint") {
        this.brush.at = place;
        this.painter.begin(...this.toImage(place), this.brush.size, this.brush.erase);
        this.told.painted();
      }
    }
    this.draw();
  }

  #move(event) {
    const place = this.#place(event);
    if (this.painter) { this.brush.at = place; this.draw(); }
    if (!this.pointers.has(event.pointerId)) {
      if (!this.painter && event.pointerType !== "touch") this.told.hover(this.regionAt(place));
      return;
    }
    this.pointers.set(event.pointerId, place);
    if (this.gesture === "paint") {
      const passed = event.getCoalescedEvents();
      for (const one of passed.length ? passed : [event]) this.painter.extend(...this.toImage(this.#place(one)));
    } else if (this.gesture === "pan") {
      this.pan(place[0] - this.last[0], place[1] - this.last[1]);
    } else if (this.gesture === "pinch") {
      const before = this.pinched, now = this.pinched = this.#pinch();
      this.pan(now.x - before.x, now.y - before.y);
      this.zoomBy(now.apart / before.apart, now.x, now.y);
    }
    this.last = place;
  }

  #up(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    if (this.pointers.size) return;
    const place = this.#place(event), still = Math.hypot(place[0] - this.began[0], place[1] - this.began[1]) < CLICK;
    if (this.gesture === "pan" && still && event.type === "pointerup" && !this.painter) this.told.pick(this.regionAt(place));
    this.gesture = null;
    if (event.pointerType === "touch") this.brush.at = null;
    this.draw();
  }

  #pinch() {
    const [[ax, ay], [bx, by]] = [...this.pointers.values()];
    return { x: (ax + bx) / 2, y: (ay + by) / 2, apart: Math.max(8, Math.hypot(ax - bx, ay - by)) };
  }

  #wheel(event) {
    if (!this.record) return;
    event.preventDefault();
    const step = event.deltaY * (event.deltaMode === 1 ? 30 : 1);
    this.zoomBy(Math.exp(-step * (event.ctrlKey ? 0.01 : 0.0016)), ...this.#place(event));
  }

  /** The smallest region under a point of the canvas, or null. */
  regionAt(place) {
    if (!this.shown.contours) return null;
    const [x, y] = this.toImage(place), near = 6 / this.scale;
    const hit = this.regions.map((region, k) => [region, k]).filter(([{ box }]) =>
      x > box[0] - near && x < box[0] + box[2] + near && y > box[1] - near && y < box[1] + box[3] + near);
    return hit.length ? hit.reduce((a, b) => (a[0].area <= b[0].area ? a : b))[1] : null;
  }

  /** Moves the brush by keys, in pixels of the screen; where it is down it paints. */
  moveBrush(dx, dy) {
    const { clientWidth: wide, clientHeight: tall } = this.canvas;
    const [x, y] = this.brush.at ?? [wide / 2, tall / 2];
    this.brush.at = [Math.min(Math.max(x + dx, 0), wide), Math.min(Math.max(y + dy, 0), tall)];
    if (this.brush.down) { this.painter.extend(...this.toImage(this.brush.at)); this.told.painted(); }
    this.draw();
  }
  putBrush() {
    this.brush.at ??= [this.canvas.clientWidth / 2, this.canvas.clientHeight / 2];
    this.brush.down = !this.brush.down;
    if (this.brush.down) this.painter.begin(...this.toImage(this.brush.at), this.brush.size, this.brush.erase);
    this.told.painted();
    this.draw();
  }

  /** Ends the stroke that is being painted, by pointer or by keys. */
  liftBrush() {
    this.brush.down = false;
    if (this.gesture === "paint") this.gesture = null;
  }

  /** In the next frame, once. */
  draw() { this.frame ??= requestAnimationFrame(() => { this.frame = null; render(this); }); }
}
