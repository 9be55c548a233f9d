// The bar of the brush, while a mask is painted on the image shown.

import { picture } from "./api.js";
import { $, plural, press } from "./dom.js";
import { Painter } from "./painter.js";

export class Painting {
  /** told: {changed(), save(mask) -> whether it was kept, tell(line), lost(error)}. */
  constructor(view, told) {
    this.view = view;
    this.told = told;
    const actions = {
      brush: () => this.erase(false), eraser: () => this.erase(true), undo: () => this.undo(), redo: () => this.redo(),
      "from-regions": () => this.fromRegions(), clear: () => this.clear(), leave: () => this.leave(), save: () => this.save(),
    };
    for (const [id, action] of Object.entries(actions)) $(id).addEventListener("click", action);
    $("brush-size").addEventListener("input", () => this.#size());
  }

  get on() { return this.view.painter !== null; }
  get dirty() { return this.on && this.view.painter.dirty; }

  /** On what is there already, where the record has a mask. */
  async enter(record) {
    let before = null;
    if (record.feedback?.has_mask) {
      try {
        before = await createImageBitmap(await picture(record.id, "mask"));
      } catch (error) {
        this.told.lost(error);
        return;
      }
      if (this.view.record?.id !== record.id) return;
    }
    const [height, width] = record.size;
    this.record = record;
    this.view.liftBrush();
    this.view.set({ painter: new Painter(width, height, before) });
    this.erase(false);
    this.#size();
    this.draw();
    this.told.changed();
    this.told.tell("Paint over the defect; H hides the heat map, wheel or pinch zooms, the right button moves");
  }

  erase(on) {
    this.view.brush.erase = on;
    this.view.liftBrush();
    press($("brush"), !on);
    press($("eraser"), on);
    this.view.draw();
  }

  /** By steps of the slider. */
  resize(by) {
    $("brush-size").value = Number($("brush-size").value) + by;
    this.#size();
  }
  #size() {
    const share = $("brush-size").value / 100, most = Math.max(8, Math.max(...this.record.size) / 3);
    this.view.brush.size = Math.max(1, Math.round(most ** share));
    $("brush-pixels").textContent = `${this.view.brush.size} px`;
    this.view.draw();
  }

  undo() { this.#change((painter) => painter.undo()); }
  redo() { this.#change((painter) => painter.redo()); }
  clear() { this.#change((painter) => painter.clear()); }
  fromRegions() { this.#change((painter) => painter.fill(this.record.regions.map((region) => region.polygon))); }
  #change(act) {
    this.view.liftBrush();
    act(this.view.painter);
    this.draw();
    this.view.draw();
  }

  draw() {
    if (!this.on) return;
    const { painter } = this.view;
    $("undo").disabled = !painter.canUndo;
    $("redo").disabled = !painter.canRedo;
    $("clear").disabled = !painter.canUndo;
    $("save").disabled = !painter.dirty;
    $("from-regions").disabled = !this.record.regions.length;
  }

  async save() {
    if (!this.dirty || this.saving) return;
    this.saving = true;
    this.told.tell("Saving the mask");
    const { area, png } = await this.view.painter.mask();
    const kept = area > 0 && await this.told.save(await base64(png));
    this.saving = false;
    if (kept) {
      this.view.painter.keep();
      this.leave();
      this.told.tell(`Saved: a mask of ${plural(area, "pixel", "pixels")}`);
    } else if (area === 0) {
      this.told.tell("Nothing is painted: paint the defect, or leave and say bad without a mask");
    }
  }

  /** Work that is not saved is thrown away only when asked twice. */
  leave() {
    if (!this.on) return true;
    if (this.dirty && !this.warned) {
      this.warned = true;
      $("leave").textContent = "Discard";
      this.told.tell("The mask is not saved: Enter saves it, Escape once more discards it");
      return false;
    }
    this.stay();
    this.view.set({ painter: null });
    this.told.changed();
    this.told.tell("");
    return true;
  }
  /** Painting goes on. */
  stay() {
    this.warned = false;
    $("leave").textContent = "Leave";
  }
}

const base64 = (blob) => new Promise((resolve) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
  reader.readAsDataURL(blob);
});
