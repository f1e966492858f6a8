// The panel: what is known of a node. Every text goes through textContent.

const details = $("details");
const add = (parent, name, text, className) => {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  parent.append(element);
  return element;
};
const addButton = (parent, text, act, pressed) => {
  const button = add(parent, "button", text);
  button.type = "button";
  if (pressed !== undefined) button.setAttribute("aria-pressed", pressed);
  button.addEventListener("click", act);
  return button;
};
const ERRORS = ["error", "kind of error", "hint", "signal", "exit code"];
const MOST_TASKS = 200, MOST_NAMES = 40;

const addFacts = (panel, facts) => {
  for (const [section, lines] of facts) {
    const block = add(panel, "section");
    add(block, "h3", texts[section]);
    if (texts[section] === "Text") {
      add(block, "pre", texts[lines[1]]);
      continue;
    }
    const list = add(block, "dl");
    for (let n = 0; n < lines.length; n += 2) {
      const name = texts[lines[n]], value = texts[lines[n + 1]];
      if (ERRORS.includes(name)) block.classList.add("error");
      add(list, "dt", name);
      const [, shown, origin] = value.match(/^([^]*?)( {3}\([^()]*\))?$/) || [, value];
      const cell = add(list, "dd", shown);
      if (origin) add(cell, "span", origin.trimStart().padStart(origin.length - 1), "origin");
    }
  }
};
const addTasks = (panel, number, go) => {
  const members = nodes[number].members;
  add(panel, "h3", `${members.length} tasks`);
  const rank = (item) => data.states.indexOf(nodes[item].state);
  const bad = (item) => ["ok", "cached"].includes(nodes[item].state) ? 1 : 0;
  const sorted = members.toSorted((one, two) => bad(one) - bad(two) || (bad(one) ? 0 : rank(one) - rank(two)));
  const list = add(panel, "div", undefined, "choices");
  for (const item of sorted.slice(0, MOST_TASKS)) {
    addButton(list, `${elided(placeOf(item), 60)} · ${nodes[item].state || "unknown"}`, () => go(item)).classList.add("task");
  }
  if (members.length > MOST_TASKS) add(panel, "p", `${members.length - MOST_TASKS} more: find them by name, or in the picture.`, "kind");
};
const showDetails = (number, state, act) => {
  const node = number <= -2 ? { name: groups[-2 - number].name, kind: "nested workflow", lines: [], facts: groups[-2 - number].facts,
    state: groups[-2 - number].state } : nodes[number];
  details.replaceChildren();
  addButton(details, "Close", act.close).classList.add("close");
  add(details, "h2", node.name);
  const isRun = node.facts.length > 0 && texts[node.facts[0][0]] === "Run";
  const words = node.kind === "activity" ? isRun ? "run" : node.counts ? "step" : "task" : node.kind;
  const told = node.state && !node.lines.some((line) => line.includes(node.state));
  const lines = told ? [...node.lines, node.state] : node.lines;
  add(details, "p", [words, ...lines].filter(Boolean).join(" · "), "kind");
  const choices = add(details, "div", undefined, "choices");
  for (const [name, text] of [["up", "Comes from"], ["down", "Leads to"], ["both", "Both"]]) {
    addButton(choices, text, () => act.direct(name), state.direction === name);
  }
  if (node.members || number <= -2) addButton(choices, act.isOpen(number) ? "Fold" : "Unfold", () => act.toggle(number));
  if (parents.has(number)) addButton(choices, "Whole step", () => act.choose(parents.get(number)));
  addFacts(details, node.facts);
  const log = data.logs[node.task];
  if (log) {
    add(details, "h3", "End of the log");
    add(details, "pre", log.join("\n")).tabIndex = 0;
  }
  if (node.members) addTasks(details, number, act.go);
  const names = (node.keys || []).map((key) => texts[key]).filter((text) => !/^[^:]*:param-/.test(text));
  if (names.length) {
    add(details, "h3", "Found by");
    add(details, "pre", names.slice(0, MOST_NAMES).join("\n") + (names.length > MOST_NAMES ? "\n…" : "")).tabIndex = 0;
  }
  details.hidden = false;
  details.scrollTop = 0;
};
