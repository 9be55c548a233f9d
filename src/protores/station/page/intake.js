// What comes in: files that are dropped or picked, how far they are, and what could not be inspected.

import { $, element, plural } from "./dom.js";
import { dropped, picked, sorted } from "./files.js";
import { Queue } from "./queue.js";

const MOST_LINES = 200;

export class Intake {
  /** told: {taken(), judged(record), changed(), tell(line)}. */
  constructor(told) {
    this.told = told;
    this.failures = 0;
    this.queue = new Queue({
      judged: told.judged,
      failed: (name, line) => this.#fail(name, line),
      changed: () => { this.#draw(); told.changed(); },
    });
    for (const id of ["files", "folder"]) {
      $(id).addEventListener("change", () => { this.take(picked($(id))); $(id).value = ""; });
    }
    $("stop").addEventListener("click", () => this.queue.stop());
    $("forget").addEventListener("click", () => this.#forget());
    this.#listen();
    this.#draw();
  }

  get left() { return this.queue.left; }
  get lost() { return this.queue.pause?.why === "lost"; }

  /** found: {file, name} each. */
  take(found) {
    const { images, others } = sorted(found);
    if (others) this.told.tell(`${plural(others, "file is no image and was", "files are no images and were")} left out`);
    if (!images.length) return;
    this.told.taken();
    this.queue.add(images);
  }

  #listen() {
    const carriesFiles = (event) => [...event.dataTransfer.types].includes("Files");
    let depth = 0;
    const count = (by) => (event) => {
      if (!carriesFiles(event)) return;
      depth += by;
      $("drop").hidden = depth <= 0;
    };
    document.addEventListener("dragenter", count(1));
    document.addEventListener("dragleave", count(-1));
    document.addEventListener("dragover", (event) => event.preventDefault());
    document.addEventListener("drop", async (event) => {
      event.preventDefault();
      depth = 0;
      $("drop").hidden = true;
      try {
        this.take(await dropped(event.dataTransfer));
      } catch (error) {
        this.told.tell(`The folder cannot be read: ${error.message}`);
      }
    });
  }

  #fail(name, line) {
    this.failures += 1;
    $("failures").prepend(element("li", {}, `${name}: ${line}`));
    if ($("failures").children.length > MOST_LINES) $("failures").lastChild.remove();
    $("failed").hidden = false;
    $("failed-count").textContent = this.failures.toLocaleString("en");
    this.told.tell(`${name}: ${line}`);
  }

  #forget() {
    this.failures = 0;
    $("failures").replaceChildren();
    $("failed").hidden = true;
  }

  #draw() {
    const { queue } = this, { pause } = queue;
    document.body.classList.toggle("working", queue.left > 0);
    $("progress").value = queue.share;
    $("stop").disabled = !queue.left;
    const seconds = pause ? Math.max(0, Math.ceil((pause.until - Date.now()) / 1000)) : 0;
    $("worked").textContent = !queue.left ? "" : `${queue.done} of ${queue.total}`
      + (pause ? `, ${pause.why === "full" ? "the station is full" : "no answer"}: again in ${seconds} s` : "");
    clearTimeout(this.ticking);
    if (pause) this.ticking = setTimeout(() => this.#draw(), 500);
  }
}
