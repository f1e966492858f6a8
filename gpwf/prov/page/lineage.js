// What a node comes from and leads to: ties are [task, product between, task], -1 for none.

const bySource = new Map(), byTarget = new Map(), byThrough = new Map();
for (const tie of data.ties) {
  [bySource, byThrough, byTarget].forEach((map, n) => {
    if (tie[n] < 0) return;
    if (map.has(tie[n])) map.get(tie[n]).push(tie); else map.set(tie[n], [tie]);
  });
}

// The numbers that a choice stands for: a folded step for its tasks, a box for all inside.
const standsFor = (number) => {
  if (number > -2) return [number, ...(nodes[number].members || [])];
  const found = [];
  for (let item = 0; item < data.shown; item += 1) {
    if (around(item).includes(-2 - number)) found.push(...standsFor(item));
  }
  return found;
};

// Returns everything before (or behind) some numbers, without them.
const reach = (starts, back) => {
  const [here, there] = back ? [byTarget, 0] : [bySource, 2];
  const seen = new Set(), done = new Set(starts), todo = [...starts];
  const meet = (number) => {
    if (number < 0) return;
    seen.add(number);
    if (!done.has(number)) { done.add(number); todo.push(number); }
  };
  for (const number of starts) {
    for (const tie of byThrough.get(number) || []) meet(tie[there]);
  }
  while (todo.length) {
    for (const tie of here.get(todo.pop()) || []) {
      if (tie[1] >= 0) seen.add(tie[1]);
      meet(tie[there]);
    }
  }
  for (const number of starts) seen.delete(number);
  for (const number of [...seen]) if (parents.has(number)) seen.add(parents.get(number));
  return seen;
};
