// Elements, found and made.

export const $ = (id) => document.getElementById(id);

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const SVG = "http://www.w3.org/2000/svg";
export function drawn(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export const pressed = (button) => button.getAttribute("aria-pressed") === "true";
export const press = (button, on) => button.setAttribute("aria-pressed", String(on));
export const plural = (n, one, more) => `${n.toLocaleString("en")} ${n === 1 ? one : more}`;

/** How many times larger than usual letters are here: walls have large ones, and what is drawn grows with them. */
export const magnified = () => parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
