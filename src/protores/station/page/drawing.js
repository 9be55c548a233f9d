// What the canvas shows: photo, heat map, outlines, a painted mask, the brush. One canvas in pixels of the screen, onto which
// only the visible part is drawn: large images stay fluid.

import { magnified } from "./dom.js";

const FOUND = "#ff3ce6", TRUTH = "#00dcff";
const MOST_LABELS = 20;

export function render(view) {
  const { context, canvas } = view, ratio = window.devicePixelRatio;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  if (!view.record) return;
  const wanted = view.width * view.scale * ratio;
  const photo = view.photos.find((one) => one.width >= 0.95 * wanted) ?? view.photos.at(-1);
  if (photo) {
    context.imageSmoothingEnabled = view.scale * ratio < 4;
    context.imageSmoothingQuality = "medium";
    lay(view, context, photo);
    if (photo.width < 0.95 * Math.min(wanted, view.width)) view.told.need();
  }
  context.imageSmoothingEnabled = true;
  if (view.heat && view.shown.heat) {
    context.globalAlpha = view.opacity;
    lay(view, context, view.heat);
    context.globalAlpha = 1;
  }
  if (view.painter) drawMask(view, view.painter.canvas);
  else if (view.truth && view.shown.truth) drawMask(view, view.truth);
  if (view.shown.contours) drawContours(view);
  if (view.painter && view.brush.at) drawCursor(view);
}

/** The visible part of a picture of the whole image, whatever its own size; whole pixels of it, and one more around
 * them, so that smoothing does not change with the view. */
function lay(view, context, picture) {
  const ratio = window.devicePixelRatio, { clientWidth, clientHeight } = view.canvas;
  const [left, width] = visible(view.left, view.width * view.scale, clientWidth, picture.width);
  const [top, height] = visible(view.top, view.height * view.scale, clientHeight, picture.height);
  const fx = (view.width * view.scale * ratio) / picture.width, fy = (view.height * view.scale * ratio) / picture.height;
  context.drawImage(picture, left, top, width, height,
    view.left * ratio + left * fx, view.top * ratio + top * fy, width * fx, height * fy);
}

/** A mask as a rim around a tint: shifted copies of it, its inside thinned, coloured. */
function drawMask(view, mask) {
  const [flat, rim] = view.layers, { width, height } = flat.canvas, thick = 1.6 * magnified() * window.devicePixelRatio;
  for (const layer of [flat, rim]) {
    layer.globalCompositeOperation = "source-over";
    layer.globalAlpha = 1;
    layer.clearRect(0, 0, width, height);
  }
  lay(view, flat, mask);
  for (let k = 0; k < 8; k += 1) rim.drawImage(flat.canvas, thick * Math.cos((k * Math.PI) / 4), thick * Math.sin((k * Math.PI) / 4));
  rim.globalCompositeOperation = "destination-out";
  rim.globalAlpha = 0.65;
  rim.drawImage(flat.canvas, 0, 0);
  rim.globalCompositeOperation = "source-in";
  rim.globalAlpha = 1;
  rim.fillStyle = TRUTH;
  rim.fillRect(0, 0, width, height);
  view.context.drawImage(rim.canvas, 0, 0);
}

function drawContours(view) {
  const { context, scale } = view, ratio = window.devicePixelRatio, unit = magnified();
  const marked = (k) => k === view.selected || k === view.hovered;
  context.setTransform(ratio * scale, 0, 0, ratio * scale, ratio * view.left, ratio * view.top);
  context.lineJoin = "round";
  view.regions.forEach((region, k) => {
    for (const [style, wide] of [["rgb(0 0 0 / .55)", 2.5], [FOUND, 0]]) {
      context.strokeStyle = style;
      context.lineWidth = (unit * ((marked(k) ? 4 : 2) + wide)) / scale;
      context.stroke(region.path);
    }
  });
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.font = `600 ${13 * unit}px system-ui, sans-serif`;
  context.textAlign = "center";
  view.regions.forEach((region, k) => {
    if (view.painter || (k >= MOST_LABELS && !marked(k)) || !inView(view, region.box)) return;
    const text = String(k + 1), wide = (12 + 8 * text.length) * unit;
    const left = Math.max(0, view.left + region.box[0] * scale - wide - 2);
    const top = Math.max(0, view.top + region.box[1] * scale - 20 * unit);
    context.fillStyle = marked(k) ? FOUND : "rgb(0 0 0 / .72)";
    context.fillRect(left, top, wide, 19 * unit);
    context.fillStyle = marked(k) ? "#000" : "#fff";
    context.fillText(text, left + wide / 2, top + 14 * unit);
  });
}

function inView(view, [x, y, wide, tall]) {
  const left = view.left + x * view.scale, top = view.top + y * view.scale, { clientWidth, clientHeight } = view.canvas;
  return left < clientWidth && top < clientHeight && left + wide * view.scale > 0 && top + tall * view.scale > 0;
}

function drawCursor(view) {
  const { context, brush, scale } = view, ratio = window.devicePixelRatio;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  for (const [style, wide] of [["#000", 3], [brush.erase ? "#fff" : TRUTH, 1.5]]) {
    context.strokeStyle = style;
    context.lineWidth = wide;
    context.setLineDash(brush.erase ? [4, 4] : []);
    context.beginPath();
    context.arc(...brush.at, Math.max(1.5, (brush.size * scale) / 2), 0, 2 * Math.PI);
    context.stroke();
  }
  context.setLineDash([]);
}

/** First pixel and number of pixels of a picture of so many pixels, laid from start over length, that fall into [0, room]. */
function visible(start, length, room, pixels) {
  const first = Math.max(0, Math.floor((-start / length) * pixels) - 1);
  return [first, Math.min(pixels, Math.ceil(((room - start) / length) * pixels) + 1) - first];
}
