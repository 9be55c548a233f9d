// The regions found as a list, linked to the image: what is pointed at or picked there is marked here, and the other way.

import { $, element } from "./dom.js";
import { short } from "./verdict.js";

const MOST = 100;

export class Regions {
  constructor(view) {
    this.view = view;
    const list = $("regions");
    const place = (event) => event.target.closest("button")?.dataset.k;
    list.addEventListener("pointerover", (event) => this.hover(place(event) === undefined ? null : Number(place(event))));
    list.addEventListener("pointerleave", () => this.hover(null));
    list.addEventListener("click", (event) => {
      if (place(event) === undefined) return;
      const k = Number(place(event));
      if (this.view.selected === k) { this.pick(null); this.view.fit(); } else { this.pick(k); this.view.zoomToRegion(k); }
    });
  }

  show(record) {
    const regions = record?.regions ?? [];
    $("region-count").textContent = record ? String(regions.length) : "";
    $("regions").replaceChildren(...regions.slice(0, MOST).map((region, k) => element("li", {},
      element("button", { type: "button", "data-k": k, "aria-pressed": "false" },
        element("b", {}, String(k + 1)), element("span", {}, `peak ${region.peak.toFixed(2)}`),
        element("span", {}, region.area_mm2 === null ? `${region.area.toLocaleString("en")} px` : `${short(region.area_mm2)} mm²`),
        element("small", {}, `${region.box[2]} × ${region.box[3]} at ${region.box[0]}, ${region.box[1]}`)))));
    if (record && !regions.length) $("regions").append(element("li", { class: "faint" }, "nothing stands out"));
    if (regions.length > MOST) $("regions").append(element("li", { class: "faint" }, `and ${regions.length - MOST} smaller ones`));
  }

  hover(k) {
    if (this.view.hovered === k) return;
    this.view.set({ hovered: k });
    for (const button of $("regions").querySelectorAll("button")) button.classList.toggle("hovered", Number(button.dataset.k) === k);
  }

  pick(k) {
    this.view.set({ selected: k });
    for (const button of $("regions").querySelectorAll("button")) button.setAttribute("aria-pressed", String(Number(button.dataset.k) === k));
    if (k !== null) $("regions").children[k]?.scrollIntoView({ block: "nearest" });
  }

  next() {
    const n = Math.min(this.view.regions.length, MOST);
    if (!n) return;
    const k = ((this.view.selected ?? -1) + 1) % n;
    this.pick(k);
    this.view.zoomToRegion(k);
  }
}
