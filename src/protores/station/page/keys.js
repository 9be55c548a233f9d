// The keyboard: one key for everything that an operator does all day.

import { $ } from "./dom.js";

const TYPED = "input:not([type=range]):not([type=file]), select, textarea";
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** anywhere, painting: functions by key, as in event.key (letters in lower case, "Ctrl z" with Ctrl or Cmd, "Shift o").
 * state: {painting(), moveBrush(dx, dy)}. */
export function listen(anywhere, painting, state) {
  document.addEventListener("keydown", (event) => {
    if (event.altKey || document.querySelector("dialog[open]")) return;
    const letter = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const ctrl = event.ctrlKey || event.metaKey;
    const name = ctrl ? `Ctrl ${event.shiftKey ? "Shift " : ""}${letter}` : event.shiftKey && /^[a-z]$/.test(letter) ? `Shift ${letter}` : letter;
    if (event.target.matches(TYPED) && name !== "Escape") return;
    if (event.target.matches("input[type=range]") && event.key in MOVES) return;
    if (event.target.matches("button") && ["Enter", " "].includes(event.key)) return;
    if (state.painting() && event.key in MOVES) {
      const far = event.shiftKey ? 40 : 5, [dx, dy] = MOVES[event.key];
      state.moveBrush(far * dx, far * dy);
    } else {
      const act = (state.painting() ? painting[name] : undefined) ?? anywhere[name];
      if (!act || (event.repeat && [" ", "g", "b", "Enter"].includes(name))) return;
      act(event);
    }
    event.preventDefault();
  });
  // After a click, Space and Enter are keys of the page again; a button reached by keyboard keeps them.
  document.addEventListener("click", (event) => {
    if (event.detail > 0 && !event.target.closest("dialog")) event.target.closest("button")?.blur();
  });
  // After a choice from a list by pointer likewise.
  let pointed = null;
  document.addEventListener("pointerdown", (event) => { pointed = event.target.closest("select"); });
  document.addEventListener("keydown", () => { pointed = null; }, true);
  document.addEventListener("change", ({ target }) => { if (target === pointed) { pointed = null; target.blur(); } });
  $("help").addEventListener("click", () => $("keys").showModal());
}
