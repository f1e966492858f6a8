// Places the nodes of one workflow: the order is given, the sizes are known only here.
// Positions as near to the neighbours as the distances allow, as in gpwf/core/layout.py.

const ACROSS = 22, ALONG = 46, LABELLED = 92, SWEEPS = 24;

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

// Places nearest to the wanted ones that keep the order and the distances: pools what violates it.
const spread = (layer, wanted, across) => {
  const offsets = [0];
  for (let n = 1; n < layer.length; n += 1) {
    offsets.push(offsets[n - 1] + (across.get(layer[n - 1]) + across.get(layer[n])) / 2 + ACROSS);
  }
  const blocks = [];
  wanted.forEach((place, n) => {
    blocks.push([place - offsets[n], 1]);
    while (blocks.length > 1 && blocks.at(-2)[0] > blocks.at(-1)[0]) {
      const [middle, count] = blocks.pop(), last = blocks.at(-1);
      last[0] = (last[0] * last[1] + middle * count) / (last[1] + count);
      last[1] += count;
    }
  });
  const places = [];
  for (const [middle, count] of blocks) {
    for (let n = 0; n < count; n += 1) places.push(middle + offsets[places.length]);
  }
  return places;
};

// Returns the centre of every item, the bends of every arrow, and the size of the whole.
const placeLevel = (level, sizeOf) => {
  const { layers, chains, horizontal } = level;
  const gap = horizontal && level.labelled ? LABELLED : ALONG;
  const across = new Map(), along = new Map();
  for (const item of layers.flat()) {
    const [width, height] = typeof item === "string" ? [8, 8] : sizeOf(item);
    across.set(item, horizontal ? height : width);
    along.set(item, typeof item === "string" ? 0 : horizontal ? width : height);
  }
  const above = new Map(), below = new Map();
  const note = (map, key, value) => map.has(key) ? map.get(key).push(value) : map.set(key, [value]);
  for (const [, , chain] of chains) {
    for (let n = 1; n < chain.length; n += 1) {
      note(below, chain[n - 1], chain[n]);
      note(above, chain[n], chain[n - 1]);
    }
  }
  const position = new Map();
  for (const layer of layers) {
    let place = 0;
    for (const item of layer) {
      position.set(item, place + across.get(item) / 2);
      place += across.get(item) + ACROSS;
    }
  }
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const [first, second] = sweep % 2 ? [below, above] : [above, below];
    for (const layer of sweep % 2 ? layers.toReversed() : layers) {
      const wanted = layer.map((item) => {
        const near = first.get(item) || second.get(item);
        return near ? mean(near.map((other) => position.get(other))) : position.get(item);
      });
      spread(layer, wanted, across).forEach((place, n) => position.set(layer[n], place));
    }
  }
  let left = Infinity, right = 0, depth = 0;
  for (const [item, place] of position) left = Math.min(left, place - across.get(item) / 2);
  const at = new Map();
  for (const layer of layers) {
    const thick = Math.max(0, ...layer.map((item) => along.get(item)));
    for (const item of layer) {
      const place = position.get(item) - left;
      right = Math.max(right, place + across.get(item) / 2);
      at.set(item, horizontal ? [depth + thick / 2, place] : [place, depth + thick / 2]);
    }
    depth += thick + gap;
  }
  depth = Math.max(0, depth - gap);
  const bends = new Map();
  for (const [source, target, chain] of chains) {
    const inner = chain.slice(1, -1).map((item) => at.get(item));
    bends.set(`${source}>${target}`, chain[0] === source ? inner : inner.reverse());
  }
  return { at, bends, horizontal, size: horizontal ? [depth, right] : [right, depth] };
};

// Tasks in a box: small squares where there are many, with their coordinates where there are few.
const FEW = 48;
const gridOf = (count, widest) => {
  const few = count <= FEW;
  const width = few ? Math.max(34, widest + 14) : 15, height = few ? 22 : 15, gap = few ? 6 : 3;
  const wanted = Math.sqrt(count * (height + gap) / (width + gap) * 1.8);
  const columns = Math.max(1, Math.min(count, Math.round(wanted)));
  const rows = Math.ceil(count / columns);
  return { few, width, height, gap, columns,
    size: [columns * (width + gap) - gap, rows * (height + gap) - gap] };
};
