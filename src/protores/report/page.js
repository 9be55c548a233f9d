"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const images = data.images;
  const good = images.filter((one) => one.group === "good");
  const defects = images.filter((one) => one.group !== "good");
  const ofProduct = data.product ? ` --product ${data.product}` : "";
  const NAMES = { good: "good", "look-again": "look again", bad: "bad" };
  const at = { ...data.thresholds };
  const hidden = { kinds: new Set(), outcomes: new Set() };

  // Scores crowd near 0 and 1: they are shown, and the sliders move, on the scale of their logits.
  const logit = (score) => Math.log(Math.max(score, 1e-6) / Math.max(1 - score, 1e-6));
  const shown = images.map((one) => logit(one.score)).concat(logit(at.good_below), logit(at.bad_above));
  const margin = 0.03 * (Math.max(...shown) - Math.min(...shown)) + 0.2;
  const low = Math.min(...shown) - margin, high = Math.max(...shown) + margin;
  const place = (score) => (logit(score) - low) / (high - low);
  const scoreAt = (share) => 1 / (1 + Math.exp(-(low + share * (high - low))));

  const outcome = (score) => (score < at.good_below ? "good" : score > at.bad_above ? "bad" : "look-again");
  const count = (some, name) => some.filter((one) => outcome(one.score) === name).length;
  const percent = (share) => {
    const value = 100 * share;
    return `${value && value < 0.1 ? value.toFixed(2) : value.toFixed(1)} %`;
  };
  const short = (score) => Number(score.toPrecision(4)).toString();
  const plural = (n, one, more) => `${n} ${n === 1 ? one : more}`;
  const moved = () => at.good_below !== data.thresholds.good_below || at.bad_above !== data.thresholds.bad_above;

  function element(tag, text, attributes = {}) {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  function rate(errors, some, bounds) {
    return some.length ? { share: errors / some.length, low: bounds.low[errors], high: bounds.high[errors] } : null;
  }

  function drawVerdict() {
    const misses = count(defects, "good"), alarms = count(good, "bad");
    const looks = { good: count(good, "look-again"), defects: count(defects, "look-again") };
    const are = (n) => `${n} ${n === 1 ? "is" : "are"}`;
    const need = (n) => (n ? `, ${n} ${n === 1 ? "needs" : "need"} a second look` : "");
    const parts = [];
    if (defects.length) {
      parts.push(`Of ${plural(defects.length, "defective image", "defective images")} ${are(count(defects, "bad"))} called bad`
        + `${need(looks.defects)} and ${are(misses)} missed`);
    }
    if (good.length) {
      const passing = count(good, "good");
      parts.push(`${parts.length ? "of" : "Of"} ${plural(good.length, "good image", "good images")} ${passing} `
        + `${passing === 1 ? "passes" : "pass"}${need(looks.good)} and ${are(alarms)} called bad`);
    }
    $("sentence").textContent = `${parts.join("; ")}.`;
    const missed = rate(misses, defects, data.bounds.defects), alarmed = rate(alarms, good, data.bounds.good);
    const told = [];
    const interval = (of) => `${percent(of.share)} (95 % interval ${percent(of.low)} to ${percent(of.high)})`;
    if (missed) told.push(`${interval(missed)} of the defects missed`);
    if (alarmed) told.push(`${interval(alarmed)} of the good ones called bad`);
    $("expect").textContent = `On images like these expect ${told.join(", and ")}. The intervals are exact binomial.`;
    $("caveat").textContent = moved()
      ? "You have moved the thresholds. Picked by looking at these images, they flatter: the intervals hold for thresholds fixed beforehand."
      : data.calibrated ? "" : data.caveat;
    $("tally").textContent = `${plural(misses, "miss", "misses")} · ${plural(alarms, "false alarm", "false alarms")} · `
      + `${looks.good + looks.defects} to look at`;
  }

  function drawConfusion() {
    const rows = [["good", good, "bad", false], ["defective", defects, "good", false]];
    for (const group of ["seen", "unseen"]) {
      const some = images.filter((one) => one.group === group);
      if (some.length && some.length < defects.length) rows.push([`${group} kinds`, some, "good", true]);
    }
    const body = $("confusion").tBodies[0];
    body.replaceChildren();
    for (const [name, some, wrong, part] of rows) {
      if (!some.length) continue;
      const row = element("tr", undefined, part ? { class: "part" } : {});
      row.append(element("th", `${name} (${some.length})`, { scope: "row" }));
      for (const which of ["good", "look-again", "bad"]) {
        const n = count(some, which);
        const cell = element("td", undefined, { "data-cell": `${name} ${which}`, class: which === wrong && n ? "wrong" : "" });
        cell.append(element("b", n), element("small", percent(n / some.length)));
        row.append(cell);
      }
      body.append(row);
    }
  }

  function drawNext() {
    const advice = [];
    if (!data.calibrated) advice.push(["Let thresholds be set from images that trained and tested nothing: ", `protores calibrate ${data.source}${ofProduct} --data FOLDER`]);
    const missed = {};
    for (const one of defects) {
      const of = (missed[one.kind] ??= { all: 0, missed: 0, group: one.group });
      of.all += 1;
      of.missed += outcome(one.score) === "good";
    }
    const worst = Object.entries(missed).filter(([, of]) => of.missed).sort((a, b) => b[1].missed - a[1].missed).slice(0, 2);
    for (const [kind, of] of worst) {
      advice.push([of.group === "unseen"
        ? `${kind}: ${of.missed} of ${of.all} missed, and none trained. Give a few of them, with masks, to training (--seen-kinds).`
        : `${kind}: ${of.missed} of ${of.all} missed although some trained. Give more of them, and the ones below, to training.`]);
    }
    const alarms = count(good, "bad");
    if (alarms) advice.push([`Look at the ${alarms === 1 ? "false alarm" : `${alarms} false alarms`} below: where truly good, put images like ${alarms === 1 ? "it" : "them"} into the good training images; where not, mend the label.`]);
    const wide = [["misses", defects, data.bounds.defects, data.goals.misses, "defective"], ["false alarms", good, data.bounds.good, data.goals.false_alarms, "good"]];
    for (const [what, some, bounds, goal, kind] of wide) {
      if (!some.length) {
        advice.push([`There is no ${kind} image here: add some, or ${what} stay unknown.`]);
      } else if (bounds.high[0] > goal.share) {
        advice.push([`${some.length} ${kind} images cannot show ${what} below ${percent(bounds.high[0])}, whatever the model does; to show ${percent(goal.share)} takes ${goal.images} of them.`]);
      }
    }
    const looks = count(images, "look-again");
    if (looks > 0.2 * images.length) advice.push([`${looks} of ${images.length} images are to be looked at again: more training, or larger budgets, would make them fewer.`]);
    if (!advice.length) advice.push(["Nothing here asks for more images. Try it on the line, and keep what it gets wrong."]);
    if (moved()) advice.push(["To keep these thresholds: ", `protores calibrate ${data.source}${ofProduct} --good-below ${short(at.good_below)} --bad-above ${short(at.bad_above)}`]);
    $("next").replaceChildren(...advice.slice(0, 5).map(([text, command]) => {
      const item = element("li", text);
      if (command) item.append(element("code", command));
      return item;
    }));
  }

  // Plots

  const SVG = "http://www.w3.org/2000/svg";
  function drawn(tag, attributes, text) {
    const made = document.createElementNS(SVG, tag);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function plot(id, points, right, labels, marks) {
    const width = 340, height = 250, left = 38, bottom = 34, top = 8, room = 8;
    const x = (value) => left + (value / right) * (width - left - room), y = (value) => height - bottom - value * (height - bottom - top);
    const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${labels[1]} against ${labels[0]}` });
    for (let k = 0; k <= 4; k += 1) {
      const share = k / 4;
      svg.append(drawn("line", { class: "grid", x1: left, x2: width - room, y1: y(share), y2: y(share) }));
      svg.append(drawn("text", { x: left - 5, y: y(share) + 4, "text-anchor": "end" }, `${100 * share}`));
      svg.append(drawn("text", { x: x(share * right), y: height - bottom + 15, "text-anchor": "middle" }, `${Number((100 * share * right).toFixed(1))}`));
    }
    svg.append(drawn("text", { x: (left + width) / 2, y: height - 3, "text-anchor": "middle" }, `${labels[0]}, %`));
    svg.append(drawn("text", { transform: `translate(10 ${(height - bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, `${labels[1]}, %`));
    if (points) {
      svg.append(drawn("path", { class: "curve", d: `M${points.map(([a, b]) => `${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join("L")}` }));
      for (const [a, b, colour, shape] of marks) {
        if (a > right) continue;
        svg.append(shape === "square"
          ? drawn("rect", { class: "mark", x: x(a) - 6, y: y(b) - 6, width: 12, height: 12, fill: colour })
          : drawn("circle", { class: "mark", cx: x(a), cy: y(b), r: 6.5, fill: colour }));
      }
    } else {
      svg.append(drawn("text", { x: (left + width) / 2, y: (height - bottom) / 2, "text-anchor": "middle" }, "undefined: one class alone, or no masks"));
    }
    $(id).replaceChildren(svg);
  }

  const share = (some, test) => (some.length ? some.filter(test).length / some.length : 0);
  function drawCurves() {
    const points = [["good_below", "var(--good)", "circle", (score) => score >= at.good_below], ["bad_above", "var(--bad)", "square", (score) => score > at.bad_above]];
    const roc = [], precision = [];
    for (const [, colour, shape, flagged] of points) {
      const caught = defects.filter((one) => flagged(one.score)).length, alarmed = good.filter((one) => flagged(one.score)).length;
      roc.push([share(good, (one) => flagged(one.score)), share(defects, (one) => flagged(one.score)), colour, shape]);
      if (caught + alarmed) precision.push([share(defects, (one) => flagged(one.score)), caught / (caught + alarmed), colour, shape]);
    }
    plot("roc", data.curves.roc, 1, ["good images flagged", "defects flagged"], roc);
    plot("precision", data.curves.precision, 1, ["recall", "precision"], precision);
    plot("pro", data.curves.pro, 0.3, ["good pixels flagged", "overlap with regions"], data.curves.at ? [[...data.curves.at, "var(--found)", "circle"]] : []);
  }

  const TICKS = [0.0001, 0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99, 0.999, 0.9999];
  function drawHistogram() {
    const groups = [["good", "good", "var(--good)"], ["seen", "seen kinds", "var(--bad)"], ["unseen", "unseen kinds", "var(--unseen)"]]
      .map(([group, name, colour]) => [images.filter((one) => one.group === group), name, colour]).filter(([some]) => some.length);
    const narrow = window.innerWidth < 700;
    const width = narrow ? 380 : 1000, left = narrow ? 84 : 110, right = 12, row = 56, gap = 10, bins = narrow ? 36 : 80, foot = 22;
    const height = groups.length * (row + gap) + foot, x = (value) => left + value * (width - left - right);
    const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "histogram of scores" });
    groups.forEach(([some, name, colour], k) => {
      const base = (k + 1) * (row + gap) - gap, counts = new Array(bins).fill(0);
      for (const one of some) counts[Math.min(bins - 1, Math.floor(place(one.score) * bins))] += 1;
      const most = Math.max(...counts);
      svg.append(drawn("text", { x: 0, y: base - row / 2 }, name), drawn("text", { x: 0, y: base - row / 2 + 14 }, `${some.length} images`));
      svg.append(drawn("line", { class: "grid", x1: left, x2: width - right, y1: base, y2: base }));
      counts.forEach((n, bin) => {
        if (n) svg.append(drawn("rect", { x: x(bin / bins) + 0.5, width: (x(1) - x(0)) / bins - 1, y: base - (n / most) * row, height: (n / most) * row, fill: colour }));
      });
    });
    const ticks = TICKS.filter((score) => place(score) > 0.02 && place(score) < 0.98);
    for (const score of ticks) svg.append(drawn("text", { x: x(place(score)), y: height - 6, "text-anchor": "middle" }, short(score)));
    for (const [score, colour, dash] of [[at.good_below, "var(--good)", ""], [at.bad_above, "var(--bad)", "6 3"]]) {
      svg.append(drawn("line", { class: "line", x1: x(place(score)), x2: x(place(score)), y1: 0, y2: height - foot + 4, stroke: colour, "stroke-dasharray": dash }));
    }
    $("histogram").replaceChildren(svg);
  }

  // Images

  const cards = [...document.querySelectorAll(".card")];
  cards.forEach((card) => { card.image = images[Number(card.dataset.i)]; });
  const GROUPS = [
    ["Misses: defective, called good", (one) => one.group !== "good" && outcome(one.score) === "good", 1],
    ["False alarms: good, called bad", (one) => one.group === "good" && outcome(one.score) === "bad", -1],
    ["To look at again", (one) => outcome(one.score) === "look-again", -1],
    ["Defective, called bad", (one) => one.group !== "good", 1],
    ["Good, called good", () => true, -1],
  ];
  function drawGallery() {
    const left = new Set(cards), shownGroups = [];
    let shownCards = 0;
    for (const [title, belongs, direction] of GROUPS) {
      const own = [...left].filter((card) => belongs(card.image)).sort((a, b) => direction * (a.image.score - b.image.score));
      own.forEach((card) => left.delete(card));
      const visible = own.filter((card) => !hidden.kinds.has(card.image.kind) && !hidden.outcomes.has(outcome(card.image.score)));
      if (!visible.length) continue;
      const grid = element("div", undefined, { class: "grid-of-cards" });
      for (const card of visible) {
        const which = outcome(card.image.score), badge = card.querySelector(".outcome");
        badge.textContent = NAMES[which];
        badge.className = `outcome ${which}`;
        grid.append(card);
      }
      shownGroups.push(element("h3", `${title} (${visible.length})`), grid);
      shownCards += visible.length;
    }
    for (const card of cards) if (hidden.kinds.has(card.image.kind) || hidden.outcomes.has(outcome(card.image.score))) $("store").append(card);
    $("groups").replaceChildren(...shownGroups);
    $("nothing").hidden = shownCards > 0;
  }

  function chips(id, names, set) {
    for (const [value, name] of names) {
      const chip = element("button", name, { type: "button", "aria-pressed": "true", "data-value": value });
      chip.addEventListener("click", () => {
        const off = !set.has(value);
        off ? set.add(value) : set.delete(value);
        chip.setAttribute("aria-pressed", String(!off));
        drawGallery();
      });
      $(id).append(chip);
    }
  }

  let opened = null;
  function open(card) {
    const one = card.image, picture = card.querySelector(".picture");
    opened = card;
    const distance = one.score > at.bad_above ? `${short(one.score - at.bad_above)} above the threshold of bad` : one.score < at.good_below
      ? `${short(at.good_below - one.score)} below the threshold of good`
      : `${short(one.score - at.good_below)} above the threshold of good, ${short(at.bad_above - one.score)} below that of bad`;
    $("viewer-title").textContent = `${NAMES[outcome(one.score)]} · is ${one.kind} · score ${one.score.toFixed(4)}, ${distance} · ${one.path}`;
    $("viewer-plain").replaceChildren(picture.cloneNode(true));
    $("viewer-marked").replaceChildren(picture.cloneNode(true));
    const table = $("viewer-regions");
    table.replaceChildren();
    if (one.regions.length) {
      const head = element("tr");
      for (const title of ["region", "left, top", "width x height", "area", "peak", "mean"]) head.append(element("th", title, { scope: "col" }));
      table.createTHead().append(head);
      const body = table.createTBody();
      one.regions.slice(0, 20).forEach((region, k) => {
        const [x, y, wide, tall] = region.box;
        const area = region.area_mm2 === null ? `${region.area} px` : `${short(region.area_mm2)} mm²`;
        const row = element("tr");
        for (const text of [k + 1, `${x}, ${y}`, `${wide} x ${tall}`, area, region.peak.toFixed(3), region.mean.toFixed(3)]) row.append(element("td", text));
        body.append(row);
      });
    }
    if (!$("viewer").open) $("viewer").showModal();
  }
  function step(by) {
    const shownNow = [...$("groups").querySelectorAll(".card")];
    if (shownNow.length) open(shownNow[(shownNow.indexOf(opened) + by + shownNow.length) % shownNow.length]);
  }

  // The controls

  function draw() {
    for (const name of ["good-below", "bad-above"]) {
      const score = at[name.replace("-", "_")];
      $(name).value = String(Math.round(1000 * place(score)));
      $(name).setAttribute("aria-valuetext", `score ${short(score)}`);
      $(`${name}-number`).value = short(score);
    }
    $("reset").disabled = !moved();
    drawVerdict();
    drawConfusion();
    drawNext();
    drawHistogram();
    drawCurves();
    drawGallery();
  }
  let waiting = 0;
  function set(name, score) {
    if (!(score >= 0 && score <= 1)) return;
    at[name] = score;
    if (at.good_below > at.bad_above) at[name === "good_below" ? "bad_above" : "good_below"] = score;
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(draw);
  }
  for (const name of ["good-below", "bad-above"]) {
    const key = name.replace("-", "_");
    $(name).addEventListener("input", () => set(key, scoreAt($(name).value / 1000)));
    $(`${name}-number`).addEventListener("change", () => set(key, Number($(`${name}-number`).value)));
  }
  $("reset").addEventListener("click", () => { Object.assign(at, data.thresholds); draw(); });
  $("reset").textContent = data.calibrated ? "as calibrated" : "as at first";
  for (const button of document.querySelectorAll("[data-layer]")) {
    button.addEventListener("click", () => {
      const on = document.body.classList.toggle(button.dataset.layer);
      button.setAttribute("aria-pressed", String(on));
    });
  }
  for (const card of cards) {
    card.addEventListener("click", () => open(card));
    card.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(card); }
    });
  }
  $("close").addEventListener("click", () => $("viewer").close());
  $("previous").addEventListener("click", () => step(-1));
  $("following").addEventListener("click", () => step(1));
  $("viewer").addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  $("viewer").addEventListener("close", () => opened && opened.focus());
  window.addEventListener("resize", drawHistogram);
  window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => { part.open = true; }));
  const kinds = [...new Set(images.map((one) => one.kind))].sort((a, b) => (b === "good") - (a === "good") || a.localeCompare(b));
  chips("kinds", kinds.map((kind) => [kind, kind]), hidden.kinds);
  chips("outcomes", Object.entries(NAMES), hidden.outcomes);
  draw();
})();
