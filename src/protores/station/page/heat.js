// The anomaly map in inferno's colours, the more transparent the lower: a good part stays as it is (report/heatmap.py).

const STOPS = "0000040b0724210c4a3d096557106e71196e8a226aa32c61bc3754d24644e45a31f1731df98e09fcac11f9cb35f2ea69fcffa4"
  .match(/../g).map((hex) => parseInt(hex, 16));
const PIECES = STOPS.length / 3 - 1;

const TABLE = new Uint8ClampedArray(4 * 256);
for (let value = 0; value < 256; value += 1) {
  const place = (value / 255) * PIECES, k = Math.min(Math.floor(place), PIECES - 1), share = place - k;
  for (let c = 0; c < 3; c += 1) TABLE[4 * value + c] = (1 - share) * STOPS[3 * k + c] + share * STOPS[3 * k + 3 + c];
  TABLE[4 * value + 3] = value;
}

/** map: ImageBitmap, gray, 255 = 1.0. Gives a canvas of its size to lay over the image. */
export function coloured(map) {
  const canvas = new OffscreenCanvas(map.width, map.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(map, 0, 0);
  const pixels = context.getImageData(0, 0, map.width, map.height);
  const words = new Uint32Array(pixels.data.buffer), colours = new Uint32Array(TABLE.buffer);
  for (let k = 0; k < words.length; k += 1) words[k] = colours[pixels.data[4 * k]];
  context.putImageData(pixels, 0, 0);
  return canvas;
}
