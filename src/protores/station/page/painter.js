// A mask that is painted: what was done is kept as a list, so that undo is the list without its last entry, and the mask
// of a large image is drawn at its own size only when it is saved.

const THRESHOLD = 128;
const MOST_SHOWN = 3e6;
/** A line of no length is not drawn everywhere; one of this is, as a dot. */
const SPECK = 0.01;
/** Pixels as little-endian words: alpha, blue, green, red. */
const WHITE = 0xffffffff, BLACK = 0xff000000;

export class Painter {
  /** width, height: of the image, pixels. before: an ImageBitmap of an earlier mask (0/255), or null. */
  constructor(width, height, before = null) {
    Object.assign(this, { width, height });
    const scale = Math.min(1, Math.sqrt(MOST_SHOWN / (width * height)));
    this.context = surface(Math.round(width * scale), Math.round(height * scale));
    this.context.scale(this.canvas.width / width, this.canvas.height / height);
    this.done = before ? [{ kind: "mask", canvas: opaque(before) }] : [];
    this.undone = [];
    this.kept = this.done.length;
    this.#replay(this.context);
  }

  /** What is painted, of MOST_SHOWN pixels at most. */
  get canvas() { return this.context.canvas; }
  get dirty() { return this.done.length !== this.kept || this.undone.length > 0; }
  /** What is painted now was saved. */
  keep() {
    this.kept = this.done.length;
    this.undone = [];
  }

  get canUndo() { return this.done.length > 0; }
  get canRedo() { return this.undone.length > 0; }

  /** size: diameter of the brush in pixels of the image. */
  begin(x, y, size, erase) {
    this.#add({ kind: "stroke", size, erase, points: [[x, y]] });
  }

  /** The stroke goes on to here. */
  extend(x, y) {
    const stroke = this.done.at(-1), last = stroke.points.at(-1);
    stroke.points.push([x, y]);
    line(this.context, stroke, [last, [x, y]]);
  }

  clear() { this.#add({ kind: "clear" }); }

  /** polygons: outlines through the centres of pixels, as regions have them. */
  fill(polygons) { this.#add({ kind: "fill", polygons }); }

  /** As if the last step had not been begun. */
  drop() {
    this.done.pop();
    this.#replay(this.context);
  }

  undo() {
    if (!this.canUndo) return;
    this.undone.push(this.done.pop());
    this.#replay(this.context);
  }

  redo() {
    if (!this.canRedo) return;
    this.done.push(this.undone.pop());
    apply(this.context, this.done.at(-1));
  }

  /** {area: pixels painted, png: a Blob, white where painted} at the image's own size. */
  async mask() {
    const { width, height } = this, context = surface(width, height);
    this.#replay(context);
    const pixels = context.getImageData(0, 0, width, height), words = new Uint32Array(pixels.data.buffer);
    let area = 0;
    for (let k = 0; k < words.length; k += 1) {
      const inside = words[k] >>> 24 >= THRESHOLD;
      area += inside;
      words[k] = inside ? WHITE : BLACK;
    }
    context.putImageData(pixels, 0, 0);
    return { area, png: await context.canvas.convertToBlob({ type: "image/png" }) };
  }

  #add(step) {
    this.undone = [];
    this.done.push(step);
    apply(this.context, step);
  }

  #replay(context) {
    context.clearRect(0, 0, this.width, this.height);
    const cleared = this.done.findLastIndex((step) => step.kind === "clear");
    for (const step of this.done.slice(cleared + 1)) apply(context, step);
  }
}

function surface(width, height) {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.lineCap = context.lineJoin = "round";
  return context;
}

function apply(context, step) {
  context.globalCompositeOperation = "source-over";
  if (step.kind === "clear") context.clearRect(0, 0, 1e6, 1e6);
  if (step.kind === "mask") context.drawImage(step.canvas, 0, 0);
  if (step.kind === "stroke") line(context, step, step.points);
  if (step.kind === "fill") {
    context.lineWidth = 1;
    for (const polygon of step.polygons) {
      const path = outline(polygon);
      context.fill(path);
      context.stroke(path);
    }
  }
}

function line(context, stroke, points) {
  context.globalCompositeOperation = stroke.erase ? "destination-out" : "source-over";
  context.lineWidth = stroke.size;
  context.beginPath();
  context.moveTo(...points[0]);
  for (const point of points.slice(1)) context.lineTo(...point);
  if (points.length === 1) context.lineTo(points[0][0] + SPECK, points[0][1]);
  context.stroke();
}

/** A polygon through centres of pixels as a path in an image's coordinates. */
export function outline(polygon) {
  const path = new Path2D();
  for (const [x, y] of polygon) path.lineTo(x + 0.5, y + 0.5);
  path.lineTo(polygon[0][0] + 0.5 + SPECK, polygon[0][1] + 0.5);
  path.closePath();
  return path;
}

/** A mask of white on black as one of black on nothing. */
export function opaque(mask) {
  const context = surface(mask.width, mask.height);
  context.drawImage(mask, 0, 0);
  const pixels = context.getImageData(0, 0, mask.width, mask.height), words = new Uint32Array(pixels.data.buffer);
  for (let k = 0; k < words.length; k += 1) words[k] = words[k] & 0xff ? BLACK : 0;
  context.putImageData(pixels, 0, 0);
  return context.canvas;
}
