// What the page shows, as numbers of nodes; and the picture made of it.

const SVG = "http://www.w3.org/2000/svg";
const data = JSON.parse(document.getElementById("data").textContent);
const { nodes, groups, texts } = data;
const $ = (name) => document.getElementById(name);
const svg = $("picture");
const unfolded = new Set();  // nodes that show their tasks
const closed = new Set();  // nested workflows that are drawn as one node
const parents = new Map();  // task → node
const elements = new Map();  // number → what is drawn for it; a box is -2 less its workflow
const boxes = new Map();  // number → [x, y, width, height], x and y of the centre
const LONGEST = 36, PAD = 14, HEAD = 24;

nodes.forEach((node, number) => { for (const item of node.members || []) parents.set(item, number); });

const make = (parent, name, attributes = {}, text) => {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
};
const elided = (text, most = LONGEST) => {
  const signs = [...text];
  if (signs.length <= most) return text;
  return [...signs.slice(0, most / 2), "…", ...signs.slice(1 - most / 2)].join("");
};
const canvas = document.createElement("canvas").getContext("2d");
const family = getComputedStyle(document.body).fontFamily;
const widthOf = (text, pixels) => {
  if (!canvas) return text.length * pixels * 0.6;
  canvas.font = `${pixels}px ${family}`;
  return canvas.measureText(text).width;
};
const isSetting = (line) => line.includes(" = ");
const linesOf = (node) => [elided(node.title), ...node.lines.map((line) => elided(line, isSetting(line) ? 48 : LONGEST))];
const groupOf = (number) => number <= -2 ? groups[-2 - number].outer : nodes[number].group ?? -1;
const numberOf = (group) => -2 - group;

// The word on a task among others of its step: where it stands.
const placeOf = (number) => {
  const { name } = nodes[number];
  const start = name.indexOf("[");
  return start < 0 ? name : name.slice(start + 1, -1).replaceAll(",", ", ");
};
const labelOf = (number) => {
  if (number <= -2) return groups[-2 - number].name;
  const node = nodes[number];
  return `${node.kind === "activity" ? node.task ? "task" : "step" : node.kind} ${[node.name, ...node.lines].join(", ")}`
    + (parents.has(number) && node.state ? `, ${node.state}` : "");
};
const classOf = (kind, state) => `kind-${kind}${data.states.includes(state) ? ` state-${state}` : ""}`;

const sizeOfNode = (number) => {
  const node = nodes[number];
  if (unfolded.has(number)) {
    const grid = gridOf(node.members.length, cellWidth(number));
    const head = widthOf(linesOf(node)[0], 12.5) + 90;
    return [Math.max(grid.size[0], head) + 2 * PAD, grid.size[1] + HEAD + 2 * PAD];
  }
  const lines = linesOf(node);
  const width = Math.max(...lines.map((line, n) => widthOf(line, n ? 10.5 : 12)));
  const height = 20 + 14 * node.lines.length + 10 + (node.counts ? 4 : 0);
  if (node.kind === "product") return [Math.max(64, width * 1.2 + 24), height + 8];
  return [Math.max(64, width + 26 + (node.members ? 14 : 0)), height];
};
const cellWidth = (number) =>
  Math.max(...nodes[number].members.slice(0, FEW).map((item) => widthOf(elided(placeOf(item), 28), 10.5)));

// ---- placing ---------------------------------------------------------------------------------

const levels = new Map();  // workflow → where its level begins, and how its arrows run
const known = new Map();  // item → width and height
const sizeOf = (item) => {
  if (!known.has(item)) known.set(item, item > -2 ? sizeOfNode(item) : sizeOfGroup(-2 - item));
  return known.get(item);
};
const sizeOfGroup = (group) => {
  const title = widthOf(elided(groups[group].title), 12.5) + 60;
  if (closed.has(group)) return [Math.max(90, title), 40];
  const placed = placeLevel(data.levels[group + 1], sizeOf);
  levels.set(group, placed);
  return [Math.max(placed.size[0], title) + 2 * PAD, placed.size[1] + HEAD + 2 * PAD];
};
const settle = (group, left, top) => {
  const placed = levels.get(group);
  placed.origin = [left, top];
  for (const [item, [x, y]] of placed.at) {
    if (typeof item === "string") continue;
    const [width, height] = sizeOf(item);
    boxes.set(item, [left + x, top + y, width, height]);
    if (item <= -2 && !closed.has(-2 - item)) {
      settle(-2 - item, left + x - width / 2 + PAD, top + y - height / 2 + PAD + HEAD);
    }
  }
};
// From top to bottom or from left to right: what is larger on this screen, if asked to decide.
let sideways = null;
const placeAll = (decide) => {
  levels.clear();
  boxes.clear();
  known.clear();
  const place = (horizontal) => placeLevel({ ...data.levels[0], horizontal }, sizeOf);
  let placed = place(sideways ?? data.levels[0].horizontal);
  if (decide) {
    const { width, height } = svg.getBoundingClientRect();
    const scale = (one) => Math.min(width / one.size[0], height / one.size[1], 1);
    const other = place(!placed.horizontal);
    if (scale(other) > 1.1 * scale(placed)) placed = other;
    sideways = placed.horizontal;
  }
  levels.set(-1, placed);
  settle(-1, 0, 0);
  return placed.size;
};

// ---- drawing ---------------------------------------------------------------------------------

const addTexts = (parent, lines, x, y) => {
  const left = x - Math.max(...lines.map((line, n) => widthOf(line, n ? 10.5 : 12))) / 2;
  lines.forEach((line, n) => {
    const setting = n && isSetting(line);
    make(parent, "text", { class: n ? setting ? "line setting" : "line" : "", x: setting ? left : x, y: y + 14 * n }, line);
  });
};
const addShape = (parent, kind, [x, y, width, height], many) => {
  const left = x - width / 2, top = y - height / 2;
  if (kind === "product") {
    return make(parent, "ellipse", { class: "shape", cx: x, cy: y, rx: width / 2, ry: height / 2 });
  }
  if (kind === "input" || kind === "file") {  // a sheet with a folded corner
    return make(parent, "path", { class: "shape",
      d: `M${left} ${top}h${width - 9}l9 9v${height - 9}h${-width}zm${width - 9} 0v9h9` });
  }
  const rx = kind === "activity" ? 9 : 2;
  if (many) make(parent, "rect", { class: "shape", x: left + 4, y: top + 4, width, height, rx });
  return make(parent, "rect", { class: "shape", x: left, y: top, width, height, rx });
};
const addToggle = (parent, number, x, y, open) => {
  const toggle = make(parent, "g", { class: "toggle", "data-toggle": number, "aria-hidden": "true" });
  make(toggle, "title", {}, open ? "Fold" : "Unfold");
  make(toggle, "circle", { cx: x, cy: y, r: 8 });
  make(toggle, "path", { d: `M${x - 4} ${y}h8${open ? "" : `M${x} ${y - 4}v8`}` });
};
// A bar with the parts of the states of the tasks.
const addBar = (parent, counts, [x, y, width, height]) => {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  let left = x - width / 2 + 12;
  for (const [state, count] of Object.entries(counts)) {
    const part = Math.max(2, (width - 24) * count / total);
    make(parent, "rect", { class: `part ${classOf("activity", state)}`, x: left, y: y + height / 2 - 8, width: part, height: 4 });
    left += part;
  }
};
const addNode = (parent, number, kind, state, extra = "") => {
  const element = make(parent, "g", { class: `node ${classOf(kind, state)} ${extra}`, "data-node": number,
    tabindex: -1, role: "button", "aria-label": labelOf(number) });
  elements.set(number, element);
  return element;
};
const drawNode = (parent, number) => {
  const node = nodes[number], box = boxes.get(number), [x, y, width, height] = box;
  const open = unfolded.has(number);
  const element = addNode(parent, number, node.kind, node.state, open ? "box" : "");
  const lines = linesOf(node);
  make(element, "title", {}, [node.name, ...node.lines].join("\n"));
  addShape(element, node.kind, box, node.counts && !open);
  if (node.members) {
    element.setAttribute("aria-expanded", open);
    addToggle(element, number, x + width / 2 - 4, y - height / 2 + 4, open);
  }
  if (!open) {
    addTexts(element, lines, x, y - 7 * node.lines.length - (node.counts ? 2 : 0));
    if (node.counts) addBar(element, node.counts, box);
    return;
  }
  make(element, "text", { class: "name", x: x - width / 2 + PAD, y: y - height / 2 + HEAD - 6 }, lines[0]);
  const grid = gridOf(node.members.length, cellWidth(number));
  node.members.forEach((item, n) => {
    const left = x - grid.size[0] / 2 + n % grid.columns * (grid.width + grid.gap);
    const top = y - height / 2 + PAD + HEAD + Math.floor(n / grid.columns) * (grid.height + grid.gap);
    boxes.set(item, [left + grid.width / 2, top + grid.height / 2, grid.width, grid.height]);
    const cell = addNode(parent, item, "activity", nodes[item].state, "cell");
    make(cell, "title", {}, [nodes[item].name, nodes[item].state || "", ...nodes[item].lines].join("\n"));
    make(cell, "rect", { class: "shape", x: left, y: top, width: grid.width, height: grid.height, rx: 3 });
    if (nodes[item].again) make(cell, "circle", { class: "again", cx: left + grid.width - 3, cy: top + 3, r: 2.6 });
    if (grid.few) {
      make(cell, "text", { class: "line", x: left + grid.width / 2, y: top + grid.height / 2 }, elided(placeOf(item), 28));
    }
  });
};
const drawBox = (parent, group) => {
  const number = numberOf(group), [x, y, width, height] = boxes.get(number), open = !closed.has(group);
  const element = addNode(parent, number, "activity", groups[group].state, "box");
  element.setAttribute("aria-expanded", open);
  make(element, "title", {}, groups[group].name);
  addShape(element, "activity", [x, y, width, height], !open);
  const title = elided(groups[group].title);
  if (open) make(element, "text", { class: "name", x: x - width / 2 + PAD, y: y - height / 2 + HEAD - 6 }, title);
  else make(element, "text", {}, title).setAttribute("transform", `translate(${x} ${y})`);
  addToggle(element, number, x + width / 2 - 4, y - height / 2 + 4, open);
};

// ---- arrows ----------------------------------------------------------------------------------

const around = (number) => {  // workflows around a node, the outermost first
  const found = [];
  for (let group = groupOf(number); group >= 0; group = groups[group].outer) found.unshift(group);
  return [-1, ...found];
};
const visibleOf = (number) => {
  const hidden = around(number).find((group) => closed.has(group));
  return hidden === undefined ? number : numberOf(hidden);
};
const wayOf = (source, target) => {
  const one = around(source), two = around(target);
  let deep = 0;
  while (deep + 1 < Math.min(one.length, two.length) && one[deep + 1] === two[deep + 1]) deep += 1;
  const level = levels.get(one[deep]);
  const item = (path, number) => deep + 1 < path.length ? numberOf(path[deep + 1]) : number;
  const bends = level.bends.get(`${item(one, source)}>${item(two, target)}`) || [];
  const [left, top] = level.origin;
  const [x0, y0, w0, h0] = boxes.get(visibleOf(source)), [x1, y1, w1, h1] = boxes.get(visibleOf(target));
  const inner = bends.map(([x, y]) => [left + x, top + y]);
  return level.horizontal
    ? [[[x0 + w0 / 2, y0], ...inner, [x1 - w1 / 2, y1]], true]
    : [[[x0, y0 + h0 / 2], ...inner, [x1, y1 - h1 / 2]], false];
};
const curve = (points, horizontal) => points.slice(1).reduce((way, [x1, y1], n) => {
  const [x0, y0] = points[n];
  const x = (x0 + x1) / 2, y = (y0 + y1) / 2;
  return way + (horizontal ? `C${x} ${y0} ${x} ${y1} ${x1} ${y1}` : `C${x0} ${y} ${x1} ${y} ${x1} ${y1}`);
}, `M${points[0]}`);

const edges = [];  // what is drawn: element, source, target
const drawEdges = (parent) => {
  edges.length = 0;
  const seen = new Set();
  for (const [source, target, label, dashed, gathers] of data.edges) {
    const ends = [visibleOf(source), visibleOf(target)];
    const key = `${ends} ${label}`;
    if (ends[0] === ends[1] || seen.has(key)) continue;
    seen.add(key);
    const [points, horizontal] = wayOf(source, target);
    const element = make(parent, "g", { class: `edge${dashed ? " dashed" : ""}${gathers > 1 ? " gathers" : ""}` });
    make(element, "path", { class: "way", d: curve(points, horizontal), "marker-end": "url(#tip)" });
    const words = label || (gathers > 1 ? `${gathers} gathered` : "");
    if (words) {
      const [[x0, y0], [x1, y1]] = points;
      make(element, "text", { class: "label", x: (x0 + x1) / 2, y: (y0 + y1) / 2 }, elided(words));
    }
    edges.push({ element, ends, real: [source, target] });
  }
};
const drawAll = (decide) => {
  const size = placeAll(decide);
  elements.clear();
  svg.replaceChildren();
  const marker = make(make(svg, "defs"), "marker", { id: "tip", viewBox: "0 0 8 8", refX: 7.4, refY: 4,
    markerWidth: 8, markerHeight: 8, markerUnits: "userSpaceOnUse", orient: "auto" });
  make(marker, "path", { class: "tip", d: "M0 .6 7.6 4 0 7.4z" });
  const back = make(svg, "g"), ways = make(svg, "g", { class: "ways" }), front = make(svg, "g");
  groups.forEach((group, number) => { if (boxes.has(numberOf(number))) drawBox(back, number); });
  for (let number = 0; number < data.shown; number += 1) if (boxes.has(number)) drawNode(front, number);
  drawEdges(ways);
  return size;
};
