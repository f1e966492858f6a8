// Looking at the picture: zoom and pan, choosing, finding, filtering, keys.

let whole = [0, 0, 1, 1], view = whole.slice(), chosen = null, direction = "both", current = 0;
const hiddenStates = new Set();
let matches = [], match = -1, kept = null;  // kept: the view while it is printed

let scale = 0, fitted = true;  // pixels per unit, and whether all is shown: kept when the picture gets narrower
const show = () => {
  svg.setAttribute("viewBox", view.join(" "));
  scale = svg.getBoundingClientRect().width / view[2];
  // What nobody can read from so far costs most of the time of a large picture.
  svg.classList.toggle("far", scale < 0.4);
  svg.classList.toggle("farther", scale < 0.2);
};
// The details take room from the picture, which neither shrinks nor jumps for it.
const keepScale = () => {
  const box = svg.getBoundingClientRect();
  if (fitted || !box.width) { fit(); return; }
  view = [view[0], view[1], box.width / scale, box.height / scale];
  show();
  if (chosen !== null) bringIntoView(chosen);
};
const fit = () => {
  const box = svg.getBoundingClientRect();
  const best = Math.min(box.width / whole[2], box.height / whole[3], 1.4) || 1;  // a small graph is not blown up
  const width = box.width / best || whole[2], height = box.height / best || whole[3];
  view = [whole[0] + (whole[2] - width) / 2, whole[1] + (whole[3] - height) / 2, width, height];
  fitted = true;
  show();
};
const zoom = (factor, x = view[0] + view[2] / 2, y = view[1] + view[3] / 2) => {
  const width = Math.min(Math.max(view[2] * factor, 80), whole[2] * 8 + 2000), by = width / view[2];
  view = [x - (x - view[0]) * by, y - (y - view[1]) * by, width, view[3] * by];
  move();
};
// Thousands of arrows are left out while the picture moves.
const MANY_ARROWS = 1200;
let rest = 0;
const move = () => {
  fitted = false;
  if (edges.length > MANY_ARROWS) {
    svg.classList.add("busy");
    clearTimeout(rest);
    rest = setTimeout(() => svg.classList.remove("busy"), 250);
  }
  show();
};
const pan = (dx, dy) => { view[0] += dx; view[1] += dy; move(); };
const scaleOf = () => svg.getScreenCTM()?.a || 1;
const placeAt = (clientX, clientY) => {
  const at = new DOMPoint(clientX, clientY).matrixTransform(svg.getScreenCTM().inverse());
  return [at.x, at.y];
};
const bringIntoView = (number) => {
  const box = boxes.get(number);
  if (!box) return;
  const [x, y, width, height] = box;
  if (view[2] * 0.5 < width || view[2] > 1600) zoom(Math.min(1600, Math.max(width * 2.5, 700)) / view[2]);
  const inside = x - width / 2 > view[0] && x + width / 2 < view[0] + view[2]
    && y - height / 2 > view[1] && y + height / 2 < view[1] + view[3];
  if (!inside) pan(x - view[0] - view[2] / 2, y - view[1] - view[3] / 2);
};

// ---- marks -----------------------------------------------------------------------------------

const mark = () => {
  const starts = chosen === null ? [] : standsFor(chosen);
  const up = chosen === null || direction === "down" ? new Set() : reach(starts, true);
  const down = chosen === null || direction === "up" ? new Set() : reach(starts, false);
  const own = new Set(starts);
  if (parents.has(chosen)) own.add(parents.get(chosen));
  const found = new Set(matches);
  for (const item of matches) if (parents.has(item) && !unfolded.has(parents.get(item))) found.add(parents.get(item));
  const finding = matches.length > 0 || $("search").value.trim() !== "";
  const within = (set, number) => number <= -2 ? standsFor(number).some((item) => set.has(item)) : set.has(number);
  for (const [number, element] of elements) {
    const isUp = within(up, number), isDown = within(down, number), isOwn = number === chosen || own.has(number);
    const box = number <= -2 || unfolded.has(number);
    const far = chosen !== null && !isUp && !isDown && !isOwn && !(number <= -2 && within(own, number));
    element.classList.toggle("chosen", number === chosen);
    element.classList.toggle("up", isUp && !isOwn && !box);
    element.classList.toggle("down", isDown && !isOwn && !box);
    element.classList.toggle("found", found.has(number));
    element.classList.toggle("faint", far || (chosen === null && finding && !found.has(number) && !box));
    element.classList.toggle("off", isOff(number));
  }
  const all = [[up, "up"], [down, "down"]];
  for (const { element, ends, real } of edges) {
    const on = all.filter(([set]) => real.every((end) => set.has(end) || own.has(end)) && real.some((end) => set.has(end)));
    element.classList.toggle("faint", (chosen !== null && !on.length && !real.every((end) => own.has(end))) || (chosen === null && finding));
    for (const [, name] of all) element.classList.toggle(name, on.some(([, item]) => item === name));
    element.classList.toggle("off", ends.some(isOff));
  }
};
const isOff = (number) => {
  if (!hiddenStates.size || number <= -2) return false;
  const { kind, counts, state } = nodes[number];
  if (hiddenStates.has(`kind-${kind}`)) return true;
  if (kind !== "activity") return false;
  return (counts ? Object.keys(counts) : [state || ""]).every((name) => hiddenStates.has(`state-${name}`));
};
const redraw = (keepView) => {
  const [width, height] = drawAll(!keepView);
  whole = [-24, -24, width + 48, height + 48];
  if (!keepView) fit();
  rove(elements.has(current) ? current : elements.keys().next().value ?? 0, false);
  mark();
  const open = unfolded.size > 0 && unfolded.size === foldable.length;
  $("fold").textContent = open ? "Fold all" : "Unfold all";
  $("fold").hidden = foldable.length === 0;
};

// ---- choosing and folding --------------------------------------------------------------------

const foldable = nodes.flatMap((node, number) => node.members ? [number] : []);
const isOpen = (number) => number <= -2 ? !closed.has(-2 - number) : unfolded.has(number);
const setOpen = (number, open) => {
  const [set, item, wanted] = number <= -2 ? [closed, -2 - number, !open] : [unfolded, number, open];
  if (wanted) set.add(item); else set.delete(item);
};
// What was folded or unfolded stays where it is on the screen.
const toggle = (number) => {
  if (number > -2 && !nodes[number].members) return;
  const before = boxes.get(number);
  setOpen(number, !isOpen(number));
  if (chosen !== null && chosen !== number && !isOpen(number) && standsFor(number).includes(chosen)) chosen = number;
  redraw(true);
  const after = boxes.get(number);
  if (before && after) pan(after[0] - before[0], after[1] - after[3] / 2 - before[1] + before[3] / 2);
  if (chosen !== null) choose(chosen);
  elements.get(number)?.focus({ preventScroll: true });
};
const close = () => {
  chosen = null;
  details.hidden = true;
  mark();
};
const choose = (number) => {
  chosen = number;
  showDetails(number, { direction }, { close: () => { close(); elements.get(number)?.focus(); }, choose, go, toggle, isOpen,
    direct: (name) => { direction = name; choose(number); } });
  rove(number, false);
  mark();
};
const go = (number) => {
  let changed = false;
  for (const group of number <= -2 ? [] : around(parents.get(number) ?? number)) changed = closed.delete(group) || changed;
  if (parents.has(number) && !unfolded.has(parents.get(number))) {
    unfolded.add(parents.get(number));
    changed = true;
  }
  if (changed) redraw(true);
  choose(number);
  bringIntoView(number);
};
const numberUnder = (target) => {
  const element = target.closest?.(".node");
  return element ? Number(element.dataset.node) : null;
};

// One node can be reached with Tab, the others from there with the arrow keys.
const rove = (number, focus) => {
  elements.get(current)?.setAttribute("tabindex", -1);
  current = number;
  elements.get(current)?.setAttribute("tabindex", 0);
  if (focus) {
    elements.get(current)?.focus({ preventScroll: true });
    bringIntoView(number);
  }
};
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const nextTowards = ([dx, dy]) => {
  const from = boxes.get(current);
  if (!from) return null;
  let best = null, least = Infinity;
  for (const number of elements.keys()) {
    const box = boxes.get(number);
    if (number === current || !box) continue;
    const x = box[0] - from[0], y = box[1] - from[1], ahead = x * dx + y * dy;
    if (ahead <= 1) continue;
    const cost = ahead + 2.5 * Math.abs(x * dy + y * dx);
    if (cost < least) { best = number; least = cost; }
  }
  return best;
};

// ---- pointers --------------------------------------------------------------------------------

const pointers = new Map();
let moved = false, apart = 0;
svg.addEventListener("wheel", (event) => {
  event.preventDefault();
  const lines = event.deltaMode === 1 ? 16 : 1;
  zoom(Math.exp(Math.max(-240, Math.min(240, event.deltaY * lines)) * 0.0015), ...placeAt(event.clientX, event.clientY));
}, { passive: false });
svg.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  pointers.set(event.pointerId, [event.clientX, event.clientY]);
  if (pointers.size === 1) moved = false;
  apart = distance();
});
const distance = () => {
  const [one, two] = pointers.values();
  return two ? Math.hypot(one[0] - two[0], one[1] - two[1]) : 0;
};
window.addEventListener("pointermove", (event) => {
  const from = pointers.get(event.pointerId);
  if (!from) return;
  const dx = event.clientX - from[0], dy = event.clientY - from[1];
  if (!moved && Math.hypot(dx, dy) < 4) return;
  if (!moved) svg.classList.add("moving");
  moved = true;
  pointers.set(event.pointerId, [event.clientX, event.clientY]);
  const by = scaleOf() * pointers.size;
  pan(-dx / by, -dy / by);
  if (pointers.size === 2) {
    const now = distance(), [one, two] = pointers.values();
    if (apart && now) zoom(apart / now, ...placeAt((one[0] + two[0]) / 2, (one[1] + two[1]) / 2));
    apart = now;
  }
});
for (const name of ["pointerup", "pointercancel"]) {
  window.addEventListener(name, (event) => {
    pointers.delete(event.pointerId);
    apart = distance();
    if (!pointers.size) svg.classList.remove("moving");
  });
}
svg.addEventListener("click", (event) => {
  if (moved) return;
  const wanted = event.target.closest?.("[data-toggle]");
  const number = numberUnder(event.target);
  if (wanted) toggle(Number(wanted.dataset.toggle));
  else if (number === null) close();
  else choose(number);
});
svg.addEventListener("dblclick", (event) => {
  const number = numberUnder(event.target);
  if (number !== null && !event.target.closest("[data-toggle]")) toggle(number);
});

// ---- finding and filtering -------------------------------------------------------------------

let words = null;
const wordsOf = () => words ??= nodes.map((node) => [node.name, ...node.lines, node.state || "",
  ...(node.keys || []).map((key) => texts[key]),
  ...node.facts.flatMap(([section, lines]) => [texts[section], ...lines.map((line) => texts[line])])].join("\n").toLowerCase());
const find = () => {
  const wanted = $("search").value.trim().toLowerCase();
  if (chosen !== null) close();
  match = -1;
  matches = wanted ? wordsOf().flatMap((text, number) => text.includes(wanted) ? [number] : []) : [];
  // A step is found through its tasks; it counts where none of them tells.
  const tasks = new Set(matches);
  matches = matches.filter((number) => !nodes[number].members?.some((item) => tasks.has(item)));
  const later = (number) => nodes[number].kind === "activity" ? 0 : 1;  // a product is known by its tasks' names too
  matches.sort((one, two) => later(one) - later(two));
  $("found").value = wanted ? `${matches.length} found` : "";
  mark();
};
const nextMatch = (step) => {
  if (!matches.length) return;
  match = (match + step + matches.length) % matches.length;
  $("found").value = `${match + 1} of ${matches.length}`;
  go(matches[match]);
};
const addLegend = () => {
  const legend = $("legend"), states = new Map(), kinds = new Map();
  nodes.forEach((node, number) => {
    if (node.kind !== "activity") kinds.set(node.kind, (kinds.get(node.kind) || 0) + 1);
    else if (!parents.has(number)) {
      for (const [state, count] of Object.entries(node.counts || { [node.state || ""]: 1 })) states.set(state, (states.get(state) || 0) + count);
    }
  });
  const key = (name, text, className) => {
    const button = add(legend, "button", undefined, `key ${className}`);
    button.type = "button";
    add(button, "i");
    add(button, "span", text);
    button.setAttribute("aria-pressed", true);
    button.addEventListener("click", () => {
      if (!hiddenStates.delete(name)) hiddenStates.add(name);
      button.setAttribute("aria-pressed", !hiddenStates.has(name));
      mark();
    });
  };
  const order = (state) => data.states.includes(state) ? data.states.indexOf(state) : 99;
  for (const state of [...states.keys()].sort((one, two) => order(one) - order(two))) {
    key(`state-${state}`, `${state || "no state"} ${states.get(state)}`, classOf("activity", state));
  }
  const again = nodes.filter((node) => node.again).length;
  if (again) {
    const note = add(legend, "span", undefined, "key again-key");
    add(note, "i");
    add(note, "span", `tried again ${again}`);
  }
  for (const [kind, count] of kinds) key(`kind-${kind}`, `${kind === "input" ? "file from outside" : kind} ${count}`, `kind-${kind}`);
};

// ---- keys, buttons, beginning ----------------------------------------------------------------

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input");
  if (event.key === "Escape") {
    if (typing && typing.value) { typing.value = ""; find(); } else { close(); elements.get(current)?.focus({ preventScroll: true }); }
    return;
  }
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") { event.preventDefault(); $("search").focus(); return; }
  if (event.target.closest?.("button, aside")) return;
  const arrow = ARROWS[event.key];
  if (arrow && event.shiftKey) pan(arrow[0] * view[2] / 8, arrow[1] * view[3] / 8);
  else if (arrow) { const next = nextTowards(arrow); if (next !== null) rove(next, true); }
  else if (event.key === "+" || event.key === "=") zoom(0.8);
  else if (event.key === "-") zoom(1.25);
  else if (event.key === "0") fit();
  else if (event.key === "f" || event.key === "F") toggle(current);
  else if ((event.key === "Enter" || event.key === " ") && numberUnder(event.target) !== null) choose(numberUnder(event.target));
  else return;
  event.preventDefault();
});
svg.addEventListener("focusin", (event) => {
  const number = numberUnder(event.target);
  if (number !== null && number !== current) rove(number, false);
});
$("search").addEventListener("input", find);
$("search").addEventListener("keydown", (event) => { if (event.key === "Enter") nextMatch(event.shiftKey ? -1 : 1); });
$("fit").addEventListener("click", fit);
$("in").addEventListener("click", () => zoom(0.8));
$("out").addEventListener("click", () => zoom(1.25));
$("fold").addEventListener("click", () => {
  const open = unfolded.size < foldable.length;
  for (const number of foldable) setOpen(number, open);
  if (parents.has(chosen) && !open) choose(parents.get(chosen));
  redraw(false);
});
const root = document.documentElement, night = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (root.dataset.theme || (night.matches ? "dark" : "light")) === "dark";
const nameTheme = () => { $("theme").textContent = isDark() ? "Light" : "Dark"; };
$("theme").addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; nameTheme(); });
night.addEventListener("change", nameTheme);
new ResizeObserver(() => { if (kept === null) keepScale(); }).observe(svg);
let theme;
window.addEventListener("beforeprint", () => {
  kept = view.slice();
  theme = root.dataset.theme;
  root.dataset.theme = "light";
  view = whole.slice();
  show();
});
window.addEventListener("afterprint", () => {
  if (theme) root.dataset.theme = theme; else delete root.dataset.theme;
  if (kept) view = kept;
  kept = null;
  show();
});

$("subtitle").textContent = data.subtitle;
$("note").textContent = data.note;
$("note").hidden = !data.note;
svg.setAttribute("aria-label", `Provenance of ${data.title}`);
if (data.unfolded) for (const number of foldable) unfolded.add(number);
addLegend();
nameTheme();
redraw(false);
const asked = location.hash.match(/^#node-(\d+)$/);
if (asked && nodes[Number(asked[1])]) go(Number(asked[1]));
root.dataset.ready = "yes";
