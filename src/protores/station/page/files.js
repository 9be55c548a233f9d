// Images among what was dropped or picked, folders searched to the bottom.

const IMAGE = /\.(png|jpe?g|bmp|tiff?|webp|pgm|ppm)$/i;

const inFolder = (reader) => new Promise((resolve, reject) => reader.readEntries(resolve, reject));
const fileOf = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));

async function* walk(entry) {
  if (entry.isFile) {
    yield { file: await fileOf(entry), name: entry.fullPath.replace(/^\//, "") };
    return;
  }
  const reader = entry.createReader();
  // A reader gives a hundred or so at a time, and nothing at the end.
  for (let some = await inFolder(reader); some.length; some = await inFolder(reader)) {
    for (const one of some.sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }))) yield* walk(one);
  }
}

/** What a drop holds: {file, name} each. To be called within the drop event: its entries are gone after it. */
export async function dropped(transfer) {
  const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry());
  const plain = [...transfer.files];
  const found = [];
  for (const [k, entry] of entries.entries()) {
    if (entry === null) found.push({ file: plain[k], name: plain[k].name });
    else for await (const one of walk(entry)) found.push(one);
  }
  return found;
}

export const picked = (input) => [...input.files].map((file) => ({ file, name: file.webkitRelativePath || file.name }));

/** A single file is sent whatever its name, for the station to judge; of many the images are. */
export function sorted(found) {
  const images = found.length === 1 ? found : found.filter((one) => IMAGE.test(one.name) || /^image\//.test(one.file.type));
  return { images, others: found.length - images.length };
}
