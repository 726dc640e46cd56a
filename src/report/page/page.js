// The page's own script: tables and pictures from the JSON beside it. Names come from a model that
// nobody vouches for, so they only ever become text nodes and attributes, never markup.
(() => {
'use strict';

const data = JSON.parse(document.getElementById('data').textContent);
const page = document.getElementById('page');
const SVG = 'http://www.w3.org/2000/svg';
const draws = typeof dagre !== 'undefined';
let ids = 0;

// ---- elements ----

// Characters that nobody sees, or that turn the writing round, are spelled out.
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\ufff9-\ufffb]/g;

function plain(text) {
  return String(text).replace(HIDDEN, (c) => '\u27e8U+' + c.codePointAt(0).toString(16).toUpperCase().padStart(4, '0') + '\u27e9');
}

function add(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {}))
    if (value !== undefined && value !== null && value !== false)
      element.setAttribute(name, value === true ? '' : value);
  for (const child of children)
    if (child !== null && child !== undefined && child !== '')
      element.append(child instanceof Node ? child : document.createTextNode(plain(child)));
  return element;
}

const h = (name, attributes, ...children) => add(document.createElement(name), attributes, children);
const s = (name, attributes, ...children) => add(document.createElementNS(SVG, name), attributes, children);
// A long name breaks behind what separates its parts.
const named = (text) => h('bdi', {class: 'name'},
  ...(text === '' ? ['(no name)'] : plain(text).split(/(?<=[/._:,])(?![/._:,])/).flatMap((part, i) => i ? [h('wbr'), part] : [part])));

// ---- numbers ----

const MINUS = '\u2212', ARROW = ' \u2192 ', TIMES = '\u00d7';

function whole(number) {
  if (number === null) return 'unknown';
  return String(Math.round(number)).replace(/\B(?=(\d{3})+(?!\d))/g, '\u202f').replace('-', MINUS);
}

function short(number) {
  if (number === null || number === undefined) return 'not finite';
  if (number === 0) return '0';
  const size = Math.abs(number);
  return (size >= 1e-3 && size < 1e5 ? String(Number(number.toPrecision(3))) : number.toExponential(1)).replace('-', MINUS);
}

function change(before, after) {
  if (before === null || after === null || before === after) return '';
  const percent = 100 * (after - before) / before;
  if (!before || Math.abs(percent) < 0.05) return (after > before ? '+' : '') + whole(after - before);
  const text = Math.abs(percent) >= 9.95 ? percent.toFixed(0) : percent.toFixed(1);
  return (percent > 0 ? '+' : '') + text.replace('-', MINUS) + '\u202f%';
}

const plural = (count, one, many) => whole(count) + ' ' + (count === 1 ? one : many || one + 's');

// ---- tables ----

function table(caption, heads, rows, kind) {
  return h('div', {class: 'wide', tabindex: 0, role: 'region', 'aria-label': caption},
    h('table', {class: kind}, h('caption', {}, caption),
      h('thead', {}, h('tr', {}, ...heads.map((head) => h('th', {scope: 'col', class: head.number ? 'number' : null}, head.text)))),
      h('tbody', {}, ...rows)));
}

function cells(heads, values) {
  return values.map((value, i) => h(i === 0 ? 'th' : 'td',
    {scope: i === 0 ? 'row' : null, class: heads[i].number ? 'number' : heads[i].long ? 'long' : null, 'data-head': heads[i].text}, value));
}

// A table of many columns, whose rows become cards where they have no room side by side.
const cards = (caption, heads, rows) => h('div', {class: 'cards'}, table(caption, heads, rows, 'list'));

// ---- search ----

// What can be found: {element, text, kind, state}, in owners that hide with the last of what they hold.
const owners = [];
let map = null;

function owner(element, items, changed) {
  owners.push({element, items: items.map((item) => ({...item, text: plain(item.text).toLowerCase()})), changed});
}

function searchBar(kindName, states) {
  const kinds = [...new Set(owners.flatMap(({items}) => items.map((item) => item.kind)))].sort();
  const used = new Set(owners.flatMap(({items}) => items.map((item) => item.state)));
  const text = h('input', {type: 'search', placeholder: 'part of a name', 'aria-label': 'Search by name'});
  const kind = h('select', {'aria-label': kindName}, h('option', {value: ''}, `every ${kindName}`), ...kinds.map((name) => h('option', {value: name}, name)));
  const state = h('select', {'aria-label': 'State'}, h('option', {value: ''}, 'everything'),
    ...states.filter(([name]) => used.has(name)).map(([name, says]) => h('option', {value: name}, says)));
  const count = h('span', {class: 'soft', 'aria-live': 'polite'});
  const clear = h('button', {type: 'button'}, 'clear');
  function search() {
    const words = text.value.toLowerCase().split(/\s+/).filter((word) => word), active = words.length || kind.value || state.value;
    const has = (where) => words.every((word) => where.includes(word));
    let all = 0, left = 0;
    for (const {element, items, changed} of owners) {
      const found = items.map((item) => has(item.text) && (!kind.value || item.kind === kind.value) && (!state.value || item.state === state.value));
      items.forEach((item, i) => { item.element.hidden = !found[i]; });
      all += items.length;
      left += found.filter((is) => is).length;
      element.hidden = !found.includes(true);
      if (changed) changed(found, active);
    }
    count.textContent = active ? `${whole(left)} of ${whole(all)}` : '';
    clear.hidden = !active;
    const mark = map && map.kinds.has(state.value) ? state.value : '';
    if (map) map.filter(words.length || mark ? (names, kind) => has(plain(names).toLowerCase()) && (!mark || kind === mark) : null);
  }
  [text, kind, state].forEach((element) => element.addEventListener('input', search));
  clear.addEventListener('click', () => {
    text.value = kind.value = state.value = '';
    search();
    text.focus();
  });
  clear.hidden = true;
  return h('search', {class: 'bar find'}, text, kinds.length > 1 ? kind : null, used.size > 1 ? state : null, clear, count);
}

// A choice of orders for elements of one holder. keys: [name, number or text of an element's entry].
function sorter(holder, entries, keys) {
  const order = h('select', {'aria-label': 'Order'}, ...keys.map(([name], i) => h('option', {value: i}, name)));
  order.addEventListener('input', () => {
    const key = keys[order.value][1];
    const sorted = entries.map((entry, i) => ({entry, i, key: key(entry, i)}))
      .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0) || a.i - b.i);
    holder.append(...sorted.map(({entry}) => entry.element));
  });
  return h('div', {class: 'bar'}, h('label', {}, 'sorted by ', order));
}

function summaryTable() {
  const {before, after} = data;
  const heads = [{text: 'ops by type'}, {text: 'before', number: true}, {text: 'after', number: true}, {text: 'change', number: true}];
  const types = [...new Set([...Object.keys(before.by_type), ...Object.keys(after.by_type)])].sort();
  const count = (census, type) => Object.hasOwn(census.by_type, type) ? census.by_type[type] : 0;
  const rows = [];
  const row = (name, x, y, kind) => rows.push(h('tr', {class: kind || (x === y ? 'same' : null)},
    ...cells(heads, [name, whole(x), whole(y), kind ? change(x, y) : x === y ? '' : (y > x ? '+' : MINUS) + whole(Math.abs(y - x))])));
  types.forEach((type) => row(named(type), count(before, type), count(after, type)));
  row('ops', before.ops, after.ops, 'total first-total');
  row('parameters', before.parameters, after.parameters, 'total');
  row('multiply-adds', before.multiply_adds, after.multiply_adds, 'total');
  row('bytes', before.bytes, after.bytes, 'total');
  if (data.kind === 'fuse')
    rows.push(h('tr', {class: 'total'}, h('th', {scope: 'row'}, 'largest relative difference'),
      h('td', {class: 'number', colspan: 2}, data.largest_difference === null ? 'not checked' : short(data.largest_difference)), h('td', {})));
  return table('The model before and after', heads, rows);
}

// ---- pictures ----

const CLASSES = {
  conv: ['Conv', 'ConvTranspose', 'Gemm', 'MatMul', 'ConvInteger', 'QLinearConv'],
  norm: ['BatchNormalization', 'InstanceNormalization', 'LayerNormalization', 'GroupNormalization'],
  sum: ['Add', 'Sub', 'Sum', 'Mean', 'Mul', 'Div'],
};

function classOf(op) {
  return Object.keys(CLASSES).find((name) => CLASSES[name].includes(op)) || 'other';
}

const LINE = 15, PAD = 9, LONGEST = 27;

function cut(text, most) {
  const letters = [...plain(text)];
  return letters.length > most ? letters.slice(0, most - 1).join('') + '\u2026' : letters.join('');
}

// Names differ at their ends more often than at their beginnings: the middle goes.
function shorten(text, most = LONGEST) {
  const letters = [...plain(text)];
  if (letters.length <= most) return letters.join('');
  const front = Math.floor((most - 1) * 0.4);
  return letters.slice(0, front).join('') + '\u2026' + letters.slice(letters.length - (most - 1 - front)).join('');
}

let measure = null;

// Widths of texts as the browser will draw them.
function widths(texts) {
  if (!measure) page.append(measure = s('svg', {class: 'measure', 'aria-hidden': 'true'}));
  const elements = texts.map((text) => s('text', {class: text.kind}, text.text));
  measure.replaceChildren(...elements);
  const result = elements.map((element, i) => Math.ceil(element.getComputedTextLength() || 7.5 * texts[i].text.length));
  measure.replaceChildren();
  return result;
}

// The lines of a box: the op, its name, its attributes, its weights; neighbours of one shape share a line.
function linesOf(box, others) {
  const S = data.strings, lines = [];
  const put = (kind, text) => lines.push({kind, text: shorten(text)});
  if (box.op === undefined) {
    put('value-name', S[box.name] === '' ? '(no name)' : S[box.name]);
    if (box.state === 'stored') put('label', 'stored constant');
    if (S[box.shape]) put('line-text', S[box.shape]);
    return lines;
  }
  put('op', S[box.op]);
  if (S[box.name]) put('label', S[box.name]);
  for (const index of box.attributes) {
    put('line-text', rounded(S[index]));
    if (others && !others.has(lines[lines.length - 1].text)) lines[lines.length - 1].kind = 'line-text differs';
  }
  const groups = [];
  for (const [label, shape] of box.weights || []) {
    const last = groups[groups.length - 1];
    if (last && last.shape === S[shape]) last.labels.push(S[label]);
    else groups.push({labels: [S[label]], shape: S[shape]});
  }
  for (const group of groups) {
    put('line-text', group.labels.join(', ') + ' ' + group.shape);
    if (others && !others.has(lines[lines.length - 1].text)) lines[lines.length - 1].kind = 'line-text differs';
  }
  return lines;
}

// A float attribute in the fewest digits that are still that float: 1e-05, not 9.99999975e-06.
function rounded(text) {
  return text.replace(/^(\S+ )(-?\d[\d.]*(?:e[+-]?\d+)?)$/, (all, name, digits) => {
    const number = Number(digits);
    if (!/[.e]/.test(digits)) return all;
    for (let precision = 1; precision < 9; precision++) {
      const candidate = number.toPrecision(precision);
      if (Math.fround(Number(candidate)) === Math.fround(number)) return name + String(Number(candidate)).replace('-', MINUS);
    }
    return all;
  });
}

function saysOf(picture) {
  if (!picture) return null;
  const box = picture.boxes.find((b) => b.state === 'changed');
  if (!box) return null;
  return new Set(linesOf(box, null).map((line) => line.text));
}

function tipOf(box) {
  const S = data.strings;
  if (box.op === undefined) return plain(S[box.name]) + ' ' + S[box.shape];
  const weights = (box.weights || []).map(([label, shape, name, type]) => `${S[label]}: ${S[name]} ${S[type]} ${S[shape]}`);
  return plain([`${S[box.op]} ${S[box.name]}`, ...box.attributes.map((i) => S[i]), ...weights].join('; '));
}

// A shape is written on a line where it is not the shape of everything that its node reads, and once
// for each value.
function labelsOf(picture) {
  const S = data.strings, seen = new Set();
  return picture.lines.map(([from, , name, shape]) => {
    const text = S[shape];
    const box = picture.boxes[from];
    if (!text || box.op === undefined || seen.has(from + ' ' + name)) return '';
    seen.add(from + ' ' + name);
    const reads = picture.lines.filter((line) => line[1] === from).map((line) => S[line[3]]);
    return reads.length && reads.every((other) => other === text) ? '' : text;
  });
}

function pathOf(points) {
  const [first, ...rest] = points;
  const at = (p) => p.x.toFixed(1) + ' ' + p.y.toFixed(1);
  let path = 'M' + at(first);
  for (let i = 0; i < rest.length - 1; i++) {
    const middle = {x: (rest[i].x + rest[i + 1].x) / 2, y: (rest[i].y + rest[i + 1].y) / 2};
    path += 'Q' + at(rest[i]) + ' ' + at(i === rest.length - 2 ? rest[i + 1] : middle);
  }
  return rest.length > 1 ? path : path + 'L' + at(rest[0]);
}

// A line that passes a row of boxes goes straight down beside them: the library knows its middle only.
function turnsOf(points, nodes) {
  return points.flatMap((point, i) => {
    const height = i === 0 || i === points.length - 1 ? 0
      : Math.max(0, ...nodes.filter((node) => Math.abs(node.y - point.y) < 1).map((node) => node.height));
    return height ? [{x: point.x, y: point.y - height / 2 - 6}, {x: point.x, y: point.y + height / 2 + 6}] : [point];
  });
}

// Without dagre nothing places boxes and lines: the ops in their order, each with what it reads.
function listed(picture) {
  const S = data.strings;
  const read = (i) => picture.lines.filter((line) => line[1] === i).map(([, , name, shape]) => plain(`${S[name]} ${S[shape]}`.trim()));
  return h('ol', {}, ...picture.boxes.map((box, i) => box.op === undefined || h('li', {}, tipOf(box),
    h('span', {class: 'soft'}, ' reads ' + (read(i).join(', ') || 'nothing')))).filter((item) => item !== true));
}

// side: 'gone' or 'new' colours what changed; null colours by kind of op.
function draw(picture, title, side, others) {
  const S = data.strings;
  const texts = [], boxes = picture.boxes.map((box) => ({box, lines: linesOf(box, box.state === 'changed' ? others : null)}));
  const labels = labelsOf(picture);
  boxes.forEach(({lines}) => texts.push(...lines));
  labels.forEach((text) => texts.push({kind: 'edge-text', text}));
  const sizes = widths(texts);

  const graph = new dagre.graphlib.Graph({multigraph: true});
  graph.setGraph({rankdir: 'TB', nodesep: 18, ranksep: 26, edgesep: 12, marginx: 6, marginy: 6});
  graph.setDefaultEdgeLabel(() => ({}));
  let next = 0;
  boxes.forEach((entry, i) => {
    const own = entry.lines.map(() => sizes[next++]);
    graph.setNode(String(i), {width: Math.max(44, ...own) + 2 * PAD, height: entry.lines.length * LINE + 10});
  });
  picture.lines.forEach(([from, to], i) => {
    const width = sizes[next++];
    // Branches start side by side: the lines that may be long are those that end in a sum.
    const reads = picture.lines.filter((line) => line[1] === to).length;
    const weight = reads > 1 ? 1 : picture.boxes[from].op === undefined ? 4 : 3;
    graph.setEdge(String(from), String(to), labels[i] ? {weight, width: width + 4, height: 14, labelpos: 'r', labeloffset: 6} : {weight}, String(i));
  });
  dagre.layout(graph);

  // The library's extent is that of the boxes; a line may turn outside of it.
  const nodes = boxes.map((entry, i) => graph.node(String(i)));
  const ways = picture.lines.map(([from, to], i) => turnsOf(graph.edge(String(from), String(to), String(i)).points, nodes));
  const turns = ways.flat().map((point) => point.x);
  const left = Math.floor(Math.min(4, ...turns) - 4);
  const width = Math.max(graph.graph().width, Math.ceil(Math.max(0, ...turns) + 4)) - left, height = graph.graph().height;
  const id = 'p' + ++ids;
  const describe = boxes.filter(({box}) => box.op !== undefined).slice(0, 40).map(({box}) => shorten(S[box.op])).join(', ');
  const svg = s('svg', {
    class: 'picture', width: Math.ceil(width), height: Math.ceil(height), viewBox: `${left} 0 ${Math.ceil(width)} ${Math.ceil(height)}`,
    role: 'img', 'aria-labelledby': `${id}-title ${id}-desc`,
  },
  s('title', {id: id + '-title'}, title),
  s('desc', {id: id + '-desc'}, `${plural(picture.lines.length, 'connection')} between: ${describe}`),
  s('defs', {}, s('marker', {id: id + '-arrow', viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, orient: 'auto'},
    s('path', {class: 'arrow', d: 'M0 0.8L8 4L0 7.2Z'}))));
  svg.style.setProperty('--natural', Math.ceil(width) + 'px'); // how far it may shrink: page.css
  picture.lines.forEach(([from, to, name, shape], i) => {
    const edge = graph.edge(String(from), String(to), String(i));
    svg.append(s('path', {class: 'edge', d: pathOf(ways[i]), 'marker-end': `url(#${id}-arrow)`},
      s('title', {}, S[name] + ' ' + S[shape])));
    if (labels[i])
      svg.append(s('text', {class: 'edge-text', x: edge.x, y: edge.y + 4, 'text-anchor': 'middle'}, labels[i]));
  });
  boxes.forEach(({box, lines}, i) => {
    const {x, y, width: w, height: hh} = graph.node(String(i));
    const kind = box.op === undefined ? 'value' : box.state === 'context' ? 'context'
      : box.state === 'changed' && side ? side : classOf(S[box.op]);
    const group = s('g', {class: 'box ' + kind}, s('title', {}, tipOf(box)),
      s('rect', {x: x - w / 2, y: y - hh / 2, width: w, height: hh, rx: box.op === undefined ? Math.min(14, hh / 2) : 5}));
    lines.forEach((line, k) => group.append(s('text',
      {class: line.kind, x, y: y - hh / 2 + 5 + LINE * k + 11.5, 'text-anchor': 'middle'}, line.text)));
    svg.append(group);
  });
  return svg;
}

function figure(picture, word, empty, title, side, others) {
  const caption = h('figcaption', {}, h('b', {}, word));
  if (!picture) return h('figure', {}, caption, h('p', {class: 'soft'}, empty));
  const ops = picture.boxes.filter((box) => box.op !== undefined && box.state !== 'context').length;
  caption.append(': ' + (ops ? plural(ops, 'op') : 'no op'));
  if (picture.left_out) caption.append(`, the first of ${whole(ops + picture.left_out)}; the others are not drawn`);
  return h('figure', {}, caption,
    h('div', {class: 'wide', tabindex: 0, role: 'group', 'aria-label': word}, draws ? draw(picture, title, side, others) : listed(picture)));
}

// A group of blocks that look the same: one picture, and a table whose rows choose what it shows.
const blocks = new Map(); // by the mark of their ops in the overview

function groupSection(group, heads, rowOf, options) {
  const holder = h('div', {class: 'pictures'});
  const buttons = [];
  let shown = 0;
  function show(index) {
    const member = group.members[shown = index];
    const title = (word) => `${group.title}, ${word}` + (member.output ? `, makes ${member.output}` : '');
    const old = options.compare ? saysOf(member.before) : null, now = options.compare ? saysOf(member.after) : null;
    holder.replaceChildren(
      figure(member.before, 'before', 'Nothing stood here.', title('before'), options.before, now),
      figure(member.after, 'after', 'Nothing is left of it.', title('after'), options.after, old));
    buttons.forEach((button, i) => button.setAttribute('aria-pressed', String(i === index)));
  }
  const many = group.members.length > 1;
  const rows = group.members.map((member, index) => {
    const values = rowOf(member);
    if (many) {
      const button = h('button', {type: 'button', 'aria-pressed': 'false'}, 'draw');
      button.addEventListener('click', () => {
        show(index);
        holder.scrollIntoView({block: 'nearest'});
      });
      buttons.push(button);
      values.push(button);
    }
    return h('tr', {}, ...cells(many ? [...heads, {text: ''}] : heads, values));
  });
  const left = group.count - group.members.length;
  const list = cards(many ? 'These blocks' : 'This block', many ? [...heads, {text: 'picture'}] : heads, rows);
  const details = group.members.length > 8
    ? h('details', {}, h('summary', {}, `${left ? 'The first' : 'All'} ${whole(group.members.length)}, with their numbers`), list) : null;
  const section = h('section', {class: 'block'},
    h('h3', {}, group.title, group.count > 1 ? h('span', {class: 'times'}, `${TIMES} ${whole(group.count)} of this shape`) : null),
    options.note ? options.note(group) : null,
    h('div', {class: 'sides'}, holder, h('div', {class: 'rest'}, details || list,
      left ? h('p', {class: 'soft'}, `${whole(left)} more are not listed: there are too many.`) : null)));
  page.append(section);
  let wasOpen = null;
  const names = (picture) => picture ? picture.boxes.map((box) => data.strings[box.name]) : [];
  owner(section, group.members.map((member, i) => ({element: rows[i], kind: group.pass || options.kind, state: options.state,
    text: [group.title, member.output, member.source, member.graph, ...(member.texts || []), ...names(member.before), ...names(member.after)].join('\n')})),
  (found, active) => {
    if (details && active && wasOpen === null) wasOpen = details.open;
    if (details) details.open = active ? true : wasOpen || false;
    if (!active) wasOpen = null;
    if (!found[shown] && found.includes(true)) show(found.indexOf(true));
  });
  group.members.forEach((member, i) => {
    if (member.id === undefined) return;
    blocks.set(member.id + 1, {title: group.title, go: () => {
      show(i);
      section.scrollIntoView({block: 'start'});
    }});
    const find = h('button', {type: 'button'}, 'in the graph');
    find.addEventListener('click', () => map.find(member.id + 1));
    rows[i].lastChild.append(' ', find);
  });
  show(0);
}

function groups(list, heads, rowOf, options) {
  list.groups.filter((group) => group.members.length).forEach((group) => groupSection(group, heads, rowOf, options));
  const rest = list.groups.filter((group) => !group.members.length), unnamed = list.count - list.groups.length;
  if (rest.length)
    page.append(
      h('p', {}, `${whole(list.count - data.drawn)} more kinds are not drawn; the page stops at ${whole(data.drawn)}:`),
      h('ul', {class: 'texts'},
        ...rest.map((group) => h('li', {}, group.title, group.count > 1 ? ` ${TIMES} ${whole(group.count)}` : '')),
        unnamed ? h('li', {}, `and ${whole(unnamed)} more`) : ''));
}

// ---- the whole graph ----

// Columns and lanes for nodes that each name their makers, makers first. A node stands a column behind the last of
// them. Nodes that follow one another are a chain and share a lane; the longest chain chooses its lane first. A line
// that passes a column takes a lane of its own there, one for all readers of a node, so that it crosses no box.
function arrange(makers, isInput) {
  const columns = makers.map(() => 0), tails = makers.map(() => 0), readers = makers.map(() => []), rooted = makers.map(() => false);
  makers.forEach((from, i) => {
    rooted[i] = isInput(i) || from.some((j) => rooted[j]);
    for (const j of from) {
      columns[i] = Math.max(columns[i], columns[j] + 1);
      readers[j].push(i);
    }
  });
  for (let i = makers.length - 1; i >= 0; i--) {
    tails[i] = 1 + readers[i].reduce((most, j) => Math.max(most, tails[j]), 0);
    // What hangs on no input stands where it is read.
    if (readers[i].length && (!rooted[i] || !makers[i].length))
      columns[i] = readers[i].reduce((least, j) => Math.min(least, columns[j]), Infinity) - 1;
  }
  const best = (list, keys) => list.reduce((best, j) => best < 0 || keys[j] > keys[best] ? j : best, -1);
  const next = readers.map((list) => best(list, tails)), last = makers.map((list) => best(list, columns));
  const linked = (i) => next[i] >= 0 && last[next[i]] === i;

  const lanes = makers.map(() => null), taken = new Map(), width = columns.reduce((most, c) => Math.max(most, c + 1), 0);
  const isFree = (lane, first, end) => {
    const row = taken.get(lane);
    for (let c = first; row && c < end; c++)
      if (row[c]) return false;
    return true;
  };
  const take = (wish, first, end) => {
    let step = 0, lane = wish;
    while (!isFree(lane, first, end)) {
      step = step > 0 ? -step : 1 - step;
      lane = wish + step;
    }
    if (!taken.has(lane)) taken.set(lane, new Uint8Array(width));
    taken.get(lane).fill(1, first, end);
    return lane;
  };

  const chains = [];
  makers.forEach((from, i) => {
    if (last[i] >= 0 && next[last[i]] === i) return;
    const nodes = [i];
    while (linked(nodes[nodes.length - 1])) nodes.push(next[nodes[nodes.length - 1]]);
    const end = nodes[nodes.length - 1];
    chains.push({nodes, enters: last[i], leaves: next[end], first: last[i] < 0 ? columns[i] : columns[last[i]] + 1,
      end: next[end] < 0 ? columns[end] + 1 : columns[next[end]]});
  });
  const routes = [];
  chains.sort((a, b) => b.nodes.length - a.nodes.length || a.nodes[0] - b.nodes[0]);
  for (const chain of chains) {
    const near = [chain.enters, chain.leaves].find((i) => i >= 0 && lanes[i] !== null);
    chain.lane = take(near === undefined ? 0 : lanes[near], chain.first, chain.end);
    chain.nodes.forEach((i) => { lanes[i] = chain.lane; });
  }
  for (const chain of chains) {
    const way = [chain.enters, ...chain.nodes, chain.leaves];
    for (let k = 1; k < way.length; k++)
      if (way[k - 1] >= 0 && way[k] >= 0) routes.push({from: way[k - 1], to: way[k], lane: chain.lane});
  }
  const ways = new Set(routes.map((route) => route.from + ' ' + route.to));
  readers.forEach((list, from) => {
    const rest = list.filter((to) => !ways.has(from + ' ' + to));
    const end = rest.reduce((most, to) => Math.max(most, columns[to]), 0);
    const lane = end > columns[from] + 1 ? take(lanes[from], columns[from] + 1, end) : lanes[from];
    rest.forEach((to) => routes.push({from, to, lane}));
  });
  return {columns, lanes, routes, taken, width};
}

const CELL = 112, BOX = 92, LANE = 40, TALL = 30, MARGIN = 16;

// Columns broken into lines like a text, so that all of it fills a window of this size as well as it can.
function fold(plan, width, height) {
  const low = new Array(plan.width).fill(0), high = new Array(plan.width).fill(0);
  for (const [lane, row] of plan.taken)
    row.forEach((is, c) => {
      if (is) { low[c] = Math.min(low[c], lane); high[c] = Math.max(high[c], lane); }
    });
  let best = null;
  for (let count = 1; count <= Math.min(60, plan.width); count++) {
    const long = Math.ceil(plan.width / count), lines = [];
    let top = MARGIN;
    for (let first = 0; first < plan.width; first += long) {
      const end = Math.min(first + long, plan.width), reach = [first && first - 1, ...Array.from({length: end - first}, (_, i) => first + i), Math.min(end, plan.width - 1)];
      const least = Math.min(...reach.map((c) => low[c])), most = Math.max(...reach.map((c) => high[c]));
      lines.push({first, end, top: top - least * LANE});
      top += (most - least + 1) * LANE + MARGIN;
    }
    const size = {lines, long, width: long * CELL + 2 * MARGIN, height: top};
    size.scale = Math.min(1, width / size.width, height / size.height);
    if (!best || size.scale > best.scale) best = size;
  }
  return best;
}

// The lines of all routes as one path. A route that passes the end of a line goes on at the same height of the next.
function pathOfRoutes(plan, folded) {
  const lineOf = (c) => folded.lines[Math.floor(c / folded.long)];
  const x = (c) => MARGIN + (c - lineOf(c).first) * CELL, y = (c, lane) => lineOf(c).top + lane * LANE + TALL / 2;
  const parts = [], seen = new Set();
  const put = (key, part) => { if (!seen.has(key)) { seen.add(key); parts.push(part); } };
  const hop = (c, lane, other) => {
    const a = x(c) + BOX, b = a + CELL - BOX, middle = (a + b) / 2;
    put(`${c} ${lane} ${other}`, `M${a} ${y(c, lane)}C${middle} ${y(c, lane)} ${middle} ${y(c, other)} ${b} ${y(c, other)}`);
    if (lineOf(c) !== lineOf(c + 1)) put(`${c} ${other}`, `M0 ${y(c + 1, other)}H${x(c + 1)}`);
  };
  // Straight through the columns from first to end, that one left out.
  const run = (lane, first, end) => {
    for (let c = first, stop; c < end; c = stop) {
      stop = Math.min(end, lineOf(c).end);
      parts.push(`M${c > first ? 0 : x(c)} ${y(c, lane)}H${x(stop - 1) + (stop < end ? CELL : BOX)}`);
    }
  };
  const ends = new Map(), keyOf = ({from, lane}) => `${from} ${lane}`;
  for (const route of plan.routes)
    ends.set(keyOf(route), Math.max(ends.get(keyOf(route)) || 0, plan.columns[route.to]));
  for (const route of plan.routes) {
    const {from, to, lane} = route, first = plan.columns[from], end = plan.columns[to];
    hop(first, plan.lanes[from], first + 1 === end ? plan.lanes[to] : lane);
    if (first + 1 < end) hop(end - 1, lane, plan.lanes[to]);
    run(lane, first + 1, ends.get(keyOf(route)) || 0);
    ends.delete(keyOf(route)); // once for all readers
  }
  return parts.join('');
}

// views: [{name, graph, ops, left_out}]. describe(op, view): {kind, says, go}, what the page has to say of an op. kinds: the
// legend, [kind, words].
function overview(parent, views, kinds, describe) {
  const S = data.strings, svg = s('svg', {class: 'map', role: 'img', 'aria-label': 'The whole graph'}), note = h('p', {class: 'note', 'aria-live': 'polite'}), legend = h('span', {class: 'keys'});
  const holder = h('div', {class: 'map-holder', tabindex: 0, role: 'group',
    'aria-label': 'The whole graph. Arrow keys move it, plus and minus zoom, 0 shows all, n and p go to the next and the previous mark, Enter shows its block.'}, svg);
  const layer = s('g', {}), names = s('g', {class: 'names'});
  let view = null, plan = null, folded = null, rects = [], marked = [], chosen = -1, pattern = null;
  let scale = 1, left = 0, top = 0, width = 0, height = 0, pending = false;

  // Names of the boxes in sight, where they can be read.
  function label() {
    pending = false;
    names.replaceChildren();
    if (scale < 0.5) return;
    const near = scale > 1.1; // room for the name too
    rects.forEach(({x, y, op}) => {
      if (x * scale + left > width || (x + BOX) * scale + left < 0 || y * scale + top > height || (y + TALL) * scale + top < 0) return;
      const [what, name] = op, says = S[what] ? cut(S[what], near ? 14 : 12) : shorten(S[name], 12), own = near && S[what] && S[name];
      names.append(s('text', {class: near ? 'op' : 'op far', x: x + BOX / 2, y: y + (own ? 13 : 19)}, says));
      if (own) names.append(s('text', {class: 'label', x: x + BOX / 2, y: y + 24}, shorten(S[name], 23)));
    });
  }

  function move(x, y, k) {
    const least = Math.min(width / folded.width, height / folded.height);
    scale = Math.min(Math.max(k, least), Math.max(least, 3));
    const keep = (at, size, room) => size <= room ? (room - size) / 2 : Math.min(0, Math.max(room - size, at));
    left = keep(x, folded.width * scale, width);
    top = keep(y, folded.height * scale, height);
    layer.setAttribute('transform', `translate(${left.toFixed(2)} ${top.toFixed(2)}) scale(${scale.toFixed(5)})`);
    svg.classList.toggle('near', scale > least * 1.001);
    if (!pending) requestAnimationFrame(label);
    pending = true;
  }

  // The point of the window at x, y stays where it is.
  const zoom = (by, x = width / 2, y = height / 2) => {
    const k = Math.min(Math.max(scale * by, Math.min(width / folded.width, height / folded.height)), 3);
    move(x - (x - left) * k / scale, y - (y - top) * k / scale, k);
  };

  function choose(index, far) {
    chosen = index;
    rects.forEach(({element, op}, i) => element.classList.toggle('chosen', i === index || (index >= 0 && op[2] > 0 && op[2] === rects[index].op[2] && blocks.has(op[2]))));
    if (index < 0) return;
    const {x, y, op} = rects[index], {says, go} = describe(op, view);
    if (far) move(width / 2 - (x + BOX / 2) * Math.max(scale, 0.8), height / 2 - (y + TALL / 2) * Math.max(scale, 0.8), Math.max(scale, 0.8));
    const button = go ? h('button', {type: 'button'}, 'show the block') : null;
    if (go) button.addEventListener('click', go);
    note.replaceChildren(S[op[0]] || 'value', ' ', named(S[op[1]]), says ? ': ' + plain(says) + ' ' : '', button || '');
  }

  function filter(match) {
    pattern = match;
    rects.forEach(({element, op}) => element.classList.toggle('dim', !!match && !match(S[op[0]] + '\n' + S[op[1]], describe(op, view).kind)));
  }

  function build() {
    width = holder.clientWidth;
    const room = Math.max(200, Math.min(width * 0.75, innerHeight * 0.62, 620));
    folded = fold(plan, width, room);
    height = Math.ceil(Math.min(room, folded.height * folded.scale));
    add(svg, {width, height, viewBox: `0 0 ${width} ${height}`}, []);
    layer.replaceChildren(s('path', {class: 'edge', d: pathOfRoutes(plan, folded)}));
    rects = view.ops.map((op, i) => {
      const line = folded.lines[Math.floor(plan.columns[i] / folded.long)];
      const x = MARGIN + (plan.columns[i] - line.first) * CELL, y = line.top + plan.lanes[i] * LANE;
      const element = s('rect', {class: 'op-box ' + (S[op[0]] ? describe(op, view).kind || '' : 'value'), x, y, width: BOX, height: TALL, rx: S[op[0]] ? 4 : 14});
      layer.append(element);
      return {element, op, x, y};
    });
    layer.append(names);
    if (!layer.isConnected) svg.append(layer);
    const near = svg.classList.contains('near');
    move(0, 0, 0);
    choose(chosen, near);
    filter(pattern);
  }

  function show(index) {
    view = views[index];
    const makers = view.ops.map((op) => [...new Set(op.slice(3))]);
    plan = arrange(makers, (i) => !S[view.ops[i][0]] && !makers[i].length);
    const order = view.ops.map((op, i) => i).filter((i) => view.ops[i][2]);
    marked = order.sort((a, b) => plan.columns[a] - plan.columns[b] || plan.lanes[a] - plan.lanes[b]);
    chosen = -1;
    const used = new Set(view.ops.filter((op) => S[op[0]]).map((op) => describe(op, view).kind));
    legend.replaceChildren(...kinds.filter(([kind]) => used.has(kind)).map(([kind, text]) => h('span', {class: 'key ' + kind}, text)));
    note.replaceChildren(view.left_out ? `The first ${whole(view.ops.length)} of ${whole(view.ops.length + view.left_out)} ops. ` : '',
      view.lines_left_out ? `${plural(view.lines_left_out, 'line')} are not drawn. ` : '', 'Select an op to see what became of it.');
    build();
  }

  const indexOf = (target) => rects.findIndex(({element}) => element === target);
  const go = (by) => {
    if (!marked.length) return;
    const at = marked.indexOf(chosen);
    choose(marked[at < 0 ? (by > 0 ? 0 : marked.length - 1) : (at + by + marked.length) % marked.length], true);
  };
  const keys = {
    ArrowLeft: () => move(left + 60, top, scale), ArrowRight: () => move(left - 60, top, scale),
    ArrowUp: () => move(left, top + 60, scale), ArrowDown: () => move(left, top - 60, scale),
    '+': () => zoom(1.4), '=': () => zoom(1.4), '-': () => zoom(1 / 1.4), 0: () => move(0, 0, 0), n: () => go(1), p: () => go(-1),
    Enter: () => chosen >= 0 && (describe(rects[chosen].op, view).go || (() => {}))(),
  };
  holder.addEventListener('keydown', (event) => {
    if (!Object.hasOwn(keys, event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  });
  const at = (event) => { const box = svg.getBoundingClientRect(); return {x: event.clientX - box.left, y: event.clientY - box.top}; };
  holder.addEventListener('wheel', (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // the wheel alone scrolls the page
    event.preventDefault();
    const {x, y} = at(event);
    zoom(Math.exp(-event.deltaY / 300), x, y);
  }, {passive: false});
  holder.addEventListener('dblclick', (event) => zoom(1.8, at(event).x, at(event).y));

  // One pointer moves, two zoom about their middle.
  const pointers = new Map();
  let moved = 0;
  const middle = () => {
    const [a, b = a] = [...pointers.values()];
    return {x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, apart: Math.hypot(a.x - b.x, a.y - b.y)};
  };
  svg.addEventListener('pointerdown', (event) => {
    if (!pointers.size) moved = 0;
    pointers.set(event.pointerId, at(event));
  });
  svg.addEventListener('pointermove', (event) => {
    const index = pointers.size ? -1 : indexOf(event.target);
    if (index >= 0 && !event.target.firstChild)
      event.target.append(s('title', {}, `${S[rects[index].op[0]]} ${S[rects[index].op[1]]}`));
    if (!pointers.has(event.pointerId)) return;
    const old = middle();
    pointers.set(event.pointerId, at(event));
    const now = middle();
    moved += Math.hypot(now.x - old.x, now.y - old.y) + Math.abs(now.apart - old.apart);
    if (moved < 4) return;
    if (!svg.hasPointerCapture(event.pointerId)) svg.setPointerCapture(event.pointerId);
    move(left + now.x - old.x, top + now.y - old.y, scale);
    if (old.apart > 0 && now.apart > 0) zoom(now.apart / old.apart, now.x, now.y);
  });
  ['pointerup', 'pointercancel'].forEach((name) => svg.addEventListener(name, (event) => pointers.delete(event.pointerId)));
  svg.addEventListener('click', (event) => { if (moved < 4) choose(indexOf(event.target)); });

  const button = (text, says, does) => {
    const element = h('button', {type: 'button', title: says, 'aria-label': says}, text);
    element.addEventListener('click', does);
    return element;
  };
  const pick = h('select', {'aria-label': 'Graph'}, ...views.map((one, i) => h('option', {value: i}, one.name)));
  pick.addEventListener('change', () => show(Number(pick.value)));
  parent.append(h('section', {id: 'graph', class: 'graph'}, h('h2', {}, 'Graph'),
    h('div', {class: 'bar'}, views.length > 1 ? pick : null,
      legend,
      h('span', {class: 'tools'}, button('\u2212', 'Zoom out', () => zoom(1 / 1.4)), button('+', 'Zoom in', () => zoom(1.4)), button('all', 'Show all', () => move(0, 0, 0)),
        button('\u2039', 'Previous mark', () => go(-1)), button('\u203a', 'Next mark', () => go(1)))),
    holder, note,
    h('p', {class: 'soft hint'}, 'Drag to move; Ctrl and the wheel, two fingers or a double click zoom. Keys: arrows, +, \u2212, 0, n and p for the next and the previous mark.')));
  show(0);
  new ResizeObserver(() => { if (holder.clientWidth !== width) build(); }).observe(holder);
  return {filter, kinds: new Set(kinds.map(([kind]) => kind)), find: (mark) => {
    const index = views.findIndex((one) => one.ops.some((op) => op[2] === mark));
    if (index < 0) return;
    if (views[index] !== view) show(pick.selectedIndex = index);
    choose(view.ops.findIndex((op) => op[2] === mark), true);
    holder.scrollIntoView({block: 'center'});
  }};
}

// ---- plots ----

// Bars from 0 up, with the ends of the axis below.
function plot(values, title, left, right, unit) {
  const W = 266, H = 74, top = 12, most = Math.max(...values, 0), id = 'p' + ++ids;
  const step = W / values.length;
  const svg = s('svg', {class: 'plot', width: W, height: H + top + 16, viewBox: `0 0 ${W} ${H + top + 16}`, role: 'img',
    'aria-labelledby': `${id}-title ${id}-desc`},
  s('title', {id: id + '-title'}, title),
  s('desc', {id: id + '-desc'}, `${values.length} bars from ${left} to ${right}, the highest ${unit(most)}`));
  values.forEach((value, i) => {
    const height = most > 0 ? Math.max(value > 0 ? 1 : 0, value / most * H) : 0;
    svg.append(s('rect', {class: 'bar', x: i * step + 0.5, y: top + H - height, width: Math.max(step - 1, 0.5), height}));
  });
  svg.append(s('line', {class: 'axis', x1: 0, x2: W, y1: top + H + 0.5, y2: top + H + 0.5}),
    s('text', {class: 'tick', x: 0, y: top + H + 13}, left),
    s('text', {class: 'tick', x: W, y: top + H + 13, 'text-anchor': 'end'}, right),
    s('text', {class: 'tick', x: W, y: 9, 'text-anchor': 'end'}, 'highest: ' + unit(most)));
  return svg;
}

// Bars on a scale of powers of ten, from a tenth of the least that is not 0 on. null: as far apart as can be.
const DECADES = 8;

function driftPlot(values, tolerance, left, right) {
  const W = Math.max(320, Math.min(1600, page.clientWidth - 40)), H = 160, top = 12, step = W / values.length, id = 'p' + ++ids;
  const least = Math.min(...values.filter((value) => value > 0), tolerance || 1), most = Math.max(...values, tolerance, 1e-15);
  const high = Math.ceil(Math.log10(most)), low = Math.max(Math.floor(Math.log10(least)) - 1, high - DECADES);
  const heightOf = (value) => value === null ? H : value > 0 ? Math.max(1, (Math.log10(value) - low) / (high - low) * H) : 0;
  const svg = s('svg', {class: 'plot drift', width: '100%', viewBox: `0 0 ${W} ${H + top + 16}`, role: 'img', 'aria-labelledby': `${id}-title ${id}-desc`},
    s('title', {id: id + '-title'}, 'Difference of each value, relative to its largest element'),
    s('desc', {id: id + '-desc'}, `${values.length} bars from ${left} to ${right}, the highest ${values.includes(null) ? 'another shape' : short(Math.max(...values))}`));
  values.forEach((value, i) => svg.append(s('rect', {class: value === null || (tolerance > 0 && value > tolerance) ? 'bar far' : 'bar', x: i * step, y: top + H - heightOf(value),
    width: Math.max(step - (step > 4 ? 1 : 0), 0.5), height: heightOf(value)})));
  const line = (value, name, text) => svg.append(
    s('line', {class: name, x1: 0, x2: W, y1: top + H - heightOf(value), y2: top + H - heightOf(value)}),
    s('text', {class: 'tick', x: 2, y: top + H - heightOf(value) - 3}, text));
  if (tolerance > 0) line(tolerance, 'limit', 'tolerance ' + short(tolerance));
  svg.append(s('line', {class: 'axis', x1: 0, x2: W, y1: top + H + 0.5, y2: top + H + 0.5}),
    s('text', {class: 'tick', x: 0, y: top + H + 13}, shorten(left, 40)), s('text', {class: 'tick', x: W, y: top + H + 13, 'text-anchor': 'end'}, shorten(right, 40)),
    s('text', {class: 'tick', x: W, y: 9, 'text-anchor': 'end'}, `10^${low} to 10^${high}`));
  return svg;
}

function weightFigure(weight) {
  const box = h('figure', {}, h('figcaption', {}, h('b', {}, weight.subject), ' ', weight.shape));
  box.append(h('div', {}, `${whole(weight.differing)} of ${whole(weight.count)} numbers differ, by at most ${short(weight.largest)}`),
    h('div', {class: 'soft'}, `relative ${short(weight.largest_relative)}; first at ${weight.first}: ${short(weight.first_a)}${ARROW}${short(weight.first_b)}`));
  if (weight.largest !== null)
    box.append(plot(weight.bins, `Histogram of the differences of ${weight.subject}`, short(-weight.largest), short(weight.largest),
      (most) => plural(most, 'number')));
  if (weight.bars)
    box.append(plot(weight.bars, `Largest difference along the first axis of ${weight.subject}`,
      'channel 0', 'channel ' + whole(weight.channels - 1), (most) => '|\u0394| ' + short(most)));
  return box;
}

function equalizedFigure(group) {
  const last = 'channel ' + whole(group.channels - 1);
  return h('figure', {}, h('figcaption', {}, named(group.value)),
    h('div', {}, `channels scaled: ${whole(group.scaled)} of ${whole(group.channels)}; signal to noise, predicted: ${short(group.decibels_before)}${ARROW}${short(group.decibels_after)} dB`),
    h('div', {class: 'soft'}, `largest range over the median: ${short(group.spread_before)}${ARROW}${short(group.spread_after)}`),
    plot(group.before, 'Range of each channel before', 'before: channel 0', last, short),
    plot(group.after, 'Range of each channel after', 'after: channel 0', last, short));
}

function equalized(list, heading, id, done, none) {
  const figures = list.map(equalizedFigure), holder = h('div', {class: 'plots'}, ...figures);
  page.append(h('h2', {id}, heading), h('p', {class: 'soft'}, list.length ? done : none), holder);
  owner(holder, list.map((group, i) => ({element: figures[i], text: group.value, kind: 'equalize', state: 'scaled'})));
}

// ---- reasons ----

function reasons(list, heading, id, empty) {
  const holder = h('div', {class: 'reasons'});
  page.append(h('h2', {id}, heading), holder);
  if (!list.count) {
    page.append(h('p', {class: 'soft'}, empty));
    return;
  }
  [...list.reasons].sort((a, b) => b.count - a.count).forEach((reason) => {
    const alike = reason.places.every((place) => place.reason === reason.reason);
    const heads = [{text: 'op'}, {text: 'name'}, {text: 'makes'}, {text: 'graph'}, ...alike ? [] : [{text: 'reason', long: true}]];
    const rows = reason.places.map((place) => h('tr', {}, ...cells(heads,
      [named(place.op), named(place.node), named(place.output), named(place.graph), ...alike ? [] : [place.reason]])));
    const details = h('details', {open: list.reasons.length <= 4 && reason.count <= 6},
      h('summary', {}, reason.count > 1 ? `${whole(reason.count)} places` : 'where'),
      reason.count > reason.places.length
        ? h('p', {class: 'soft'}, `The first ${whole(reason.places.length)} of ${whole(reason.count)} places:`) : null,
      cards('Places', heads, rows));
    const element = h('div', {class: 'reason'},
      h('h3', {}, reason.reason, reason.count > 1 ? h('span', {class: 'times'}, TIMES + ' ' + whole(reason.count)) : null),
      h('div', {class: 'soft'}, 'pass ', h('code', {}, reason.pass)), details);
    holder.append(element);
    owner(element, reason.places.map((place, i) => ({element: rows[i], kind: reason.pass, state: id,
      text: [place.op, place.node, place.output, place.graph, place.reason].join('\n')})));
  });
  if (list.left_out) page.append(h('p', {}, `${plural(list.left_out, 'more reason')} not listed; --json lists all.`));
}

// ---- the two kinds of page ----

function fact(value, label, kind) {
  return h('li', {}, h('b', {class: kind || null}, value), h('span', {}, label));
}

// The figures, and beside them, where there is room, the whole graph.
function topSections(figures, views, kinds, describe) {
  const top = h('div', {class: 'top'}, figures ? h('section', {}, ...figures) : null);
  page.append(top);
  const some = views.filter((one) => one.ops.length);
  if (some.length) map = overview(top, some, kinds, describe);
}

// When all there is to find is on the page.
function finish(kindName, states) {
  document.querySelector('nav').after(searchBar(kindName, states));
}

function sections(links) {
  page.append(h('nav', {'aria-label': 'Sections'}, ...links.map(([id, text]) => h('a', {href: '#' + id}, text))));
}

function fusePage() {
  page.append(h('header', {},
    h('h1', {}, 'Fused: ', named(data.input || 'model in memory')),
    data.output && data.output !== data.input ? h('p', {class: 'soft'}, 'to ', named(data.output)) : null,
    ...data.interface.split('\n').filter((line) => line).map((line) => h('p', {}, line)),
    h('ul', {class: 'facts'},
      fact(whole(data.fused), 'blocks fused'),
      fact(whole(data.before.ops) + ARROW + whole(data.after.ops), 'ops'),
      fact(change(data.before.parameters, data.after.parameters) || '0 %', 'parameters'),
      fact(data.largest_difference === null ? '\u2013' : short(data.largest_difference), 'largest difference'),
      fact(whole(data.refusals.count), 'refusals'),
      fact(whole(data.warnings.count), 'warnings', data.warnings.count ? 'bad' : null))));
  sections([['table', 'Table'], ['graph', 'Graph'], ['blocks', 'Blocks'],
    ...(data.equalized ? [['equalized', 'Equalised']] : []),
    ...(data.per_tensor ? [['per_tensor', 'INT8 per tensor']] : []), ...(data.per_channel ? [['per_channel', 'INT8 per channel']] : []), ['refusals', 'Refusals'], ['warnings', 'Warnings']]);
  const wants = new Map(data.refusals.reasons.flatMap((reason) => reason.places.filter((place) => place.node).map((place) => [place.graph + '\n' + place.node, place.reason])));
  topSections([h('h2', {id: 'table'}, 'Table'), summaryTable()],
    data.overview.map((graph) => ({...graph, name: graph.graph})),
    [['fused', 'fused'], ['refusals', 'declined'], ['scaled', 'scaled'], ['', 'as it was']],
    (op, view) => {
      const block = blocks.get(op[2]), reason = wants.get(view.graph + '\n' + data.strings[op[1]]);
      return op[2] > 0 ? {kind: 'fused', says: ['fused', block && block.title, reason && 'but not further: ' + reason].filter((part) => part).join(', '), go: block && block.go}
        : op[2] === -1 ? {kind: 'refusals', says: 'declined, ' + (reason || 'see Refusals')}
          : op[2] === -2 ? {kind: 'scaled', says: 'scaled by powers of two'} : {kind: '', says: ''};
    });
  if (data.warnings.count)
    reasons(data.warnings, 'Warnings: rewrites that missed their self-check and were dropped', 'warnings', '');
  page.append(h('h2', {id: 'blocks'}, 'Blocks'));
  page.append(h('p', {class: 'soft'}, data.fused
    ? 'Every rewrite that was made. Blocks that differ in names and channels only share a picture. Multiply-adds are those of one output position; the difference is that of the self-check, relative to the largest output of the same channel.'
    : 'Nothing was fused.'));
  const heads = [{text: 'makes'}, {text: 'from'}, {text: 'node'}, {text: 'shape'}, {text: 'multiply-adds', number: true},
    {text: 'parameters', number: true}, {text: 'difference', number: true}, {text: 'channels checked', number: true}];
  groups(data.blocks, heads, (m) => [
    h('span', {}, named(m.output), m.graph === 'main' ? null : h('div', {class: 'soft'}, 'in ', named(m.graph))),
    named(m.source), named(m.node), h('span', {class: 'tight'}, m.shape),
    m.multiply_adds_before === null ? '' : whole(m.multiply_adds_before) + ARROW + whole(m.multiply_adds_after),
    whole(m.parameters_before) + ARROW + whole(m.parameters_after),
    m.difference === null ? 'not checked' : short(m.difference),
    m.difference === null ? '' : `${whole(m.channels_checked)} of ${whole(m.channels)}`,
  ], {state: 'fused', note: (group) => h('div', {class: 'soft'}, 'pass ', h('code', {}, group.pass))});
  if (data.equalized)
    equalized(data.equalized, 'Equalised', 'equalized',
      'Values whose channels were scaled by powers of two, so that an INT8 quantiser loses less. No output changes by a bit.',
      'No channel was scaled; the refusals say why.');
  for (const [list, grain] of [[data.per_tensor, 'tensor'], [data.per_channel, 'channel']])
    if (list)
      equalized(list, `INT8 with weights per ${grain}`, 'per_' + grain,
        `What --equalize ${grain} would make of the channels of each value, the one with the most noise first.`,
        `--equalize ${grain} would change nothing: all channels are even.`);
  reasons(data.refusals, 'Refusals', 'refusals', 'No rewrite that could be wanted was declined.');
  if (data.left_alone.count)
    reasons(data.left_alone, 'Left alone: not linear, or nothing to save', 'left_alone', '');
  if (!data.warnings.count)
    reasons(data.warnings, 'Warnings', 'warnings', 'Every rewrite kept within the tolerance of its self-check, or none was checked.');
  finish('pass', [['fused', 'fused'], ['scaled', 'equalised'], ['refusals', 'refused'], ['left_alone', 'left alone'], ['warnings', 'warnings']]);
}

function textTable(caption, list, all, heading, state) {
  const heads = [{text: 'kind'}, {text: heading, long: true}];
  const rows = list.map((entry) => h('tr', {}, ...cells(heads, [entry.kind, entry.text])));
  const holder = h('div', {});
  owner(holder, list.map((entry, i) => ({element: rows[i], text: entry.text, kind: entry.kind, state})));
  return add(holder, {}, [table(caption, heads, rows, 'list'),
    all > list.length ? h('p', {class: 'soft'}, `${whole(all - list.length)} more are not listed; --format json lists all.`) : null]);
}

function diffPage() {
  const heads = [{text: 'graph'}, {text: 'what', long: true}];
  const rowOf = (m) => [named(m.graph), h('span', {}, ...m.texts.map((text) => h('div', {}, text)))];
  page.append(h('header', {},
    h('h1', {}, named(data.a), ARROW, named(data.b)),
    h('p', {class: data.different ? 'bad' : 'good'}, data.different ? `The models differ: ${data.summary}.` : 'The models are the same.'),
    h('ul', {class: 'facts'},
      fact(whole(data.before.ops) + ARROW + whole(data.after.ops), 'ops'),
      fact(whole(data.matched), 'ops in both'),
      fact(change(data.before.parameters, data.after.parameters) || '0 %', 'parameters'),
      fact(change(data.before.multiply_adds, data.after.multiply_adds) || (data.before.multiply_adds === null ? 'unknown' : '0 %'), 'multiply-adds'))));
  const links = [['table', 'Table'], ['graph', 'Graph']];
  const sectionOf = (count, id, text) => count && links.push([id, text]);
  sectionOf(data.regions.count, 'regions', 'Regions');
  sectionOf(data.nodes.count, 'nodes', 'Changed ops');
  sectionOf(data.weights.length, 'weights', 'Weights');
  sectionOf(data.others.length, 'others', 'Other changes');
  sectionOf(data.uncounted.length, 'uncounted', 'Not counted');
  sections(links);
  const kindHeads = [{text: 'kind'}, {text: 'changes', number: true}, {text: 'what it is', long: true}];
  const sideOf = (word) => (graph) => ({...graph, side: word, name: `${word}: ${graph.graph}`});
  topSections([h('h2', {id: 'table'}, 'Table'), summaryTable(), ...data.kinds.length ? [h('p', {}), table('Changes by kind', kindHeads,
    data.kinds.map(([kind, count, purpose]) => h('tr', {}, ...cells(kindHeads, [kind, whole(count), purpose]))))] : []],
  [...data.overview.map(sideOf('before')), ...data.overview_after.map(sideOf('after'))],
  [['gone', 'not in the other model'], ['new', 'not in the other model'], ['differs', 'changed'], ['', 'in both']],
  (op, view) => op[2] === 1 ? {kind: view.side === 'before' ? 'gone' : 'new', says: 'not in the other model'}
    : op[2] === 2 ? {kind: 'differs', says: 'changed'} : {kind: '', says: ''});
  if (data.regions.count) {
    page.append(h('h2', {id: 'regions'}, 'Regions'), h('p', {class: 'soft'},
      'Ops without a partner in the other model, and what stands in their place. Dashed: what is around them in both.'));
    groups(data.regions, heads, rowOf, {before: 'gone', after: 'new', kind: 'region', state: 'counted'});
  }
  if (data.nodes.count) {
    page.append(h('h2', {id: 'nodes'}, 'Changed ops'), h('p', {class: 'soft'},
      'Ops that are in both models and differ. What differs is underlined.'));
    groups(data.nodes, heads, rowOf, {before: 'gone', after: 'new', compare: true, kind: 'changed op', state: 'counted'});
  }
  if (data.weights.length) {
    const drawn = data.weights.filter((weight) => weight.bins), rest = data.weights.filter((weight) => !weight.bins);
    page.append(h('h2', {id: 'weights'}, 'Weights'), h('p', {class: 'soft'},
      'Above: how many numbers differ by how much, from the largest decrease to the largest increase. Below: the largest difference along the first axis.'));
    const figures = drawn.map((weight) => ({...weight, element: weightFigure(weight)}));
    const holder = h('div', {class: 'plots'}, ...figures.map(({element}) => element));
    const most = (number) => number === null ? -Infinity : -number;
    page.append(sorter(holder, figures, [['the largest change', (weight) => most(weight.largest)], ['the largest relative change', (weight) => most(weight.largest_relative)],
      ['how many numbers changed', (weight) => -weight.differing], ['name', (weight) => weight.subject]]), holder);
    owner(holder, figures.map((weight) => ({element: weight.element, text: weight.subject, kind: 'weight', state: 'counted'})));
    if (rest.length)
      page.append(h('p', {}, `${whole(data.weights_in_all - drawn.length)} more are not plotted:`),
        textTable('More weights', rest.map((weight) => ({kind: 'weight', text: weight.text})), data.weights_in_all - drawn.length, 'what', 'counted'));
  }
  if (data.others.length)
    page.append(h('h2', {id: 'others'}, 'Other changes'), textTable('Other changes', data.others, data.others_in_all, 'what', 'counted'));
  if (data.uncounted.length)
    page.append(h('h2', {id: 'uncounted'}, 'Not counted'), h('p', {class: 'soft'},
      'Differences that do not change what the model computes; --strict counts them.'),
    h('details', {open: data.uncounted_in_all <= 6}, h('summary', {}, plural(data.uncounted_in_all, 'difference')),
      textTable('Not counted', data.uncounted, data.uncounted_in_all, 'what', 'uncounted')));
  finish('kind', [['counted', 'what counts'], ['uncounted', 'what does not count']]);
}

function verifyPage() {
  const far = (number) => number === null ? 'another shape' : short(number), left = h('section', {}), right = h('section', {});
  const layerHeads = [{text: 'value'}, {text: 'op'}, {text: 'graph'}, {text: 'of the largest', number: true}, {text: 'off by', number: true}];
  const regionHeads = [{text: 'first'}, {text: 'second'}, {text: 'graph'}, {text: 'ops', number: true}, {text: 'largest relative difference', number: true}];
  page.append(h('header', {},
    h('h1', {}, named(data.a), ' and ', named(data.b)),
    h('p', {class: data.verdict === 0 ? 'good' : 'bad'}, data.sentence),
    ...[data.departure, data.note, data.given].filter((line) => line).map((line) => h('p', {}, line)),
    h('ul', {class: 'facts'},
      fact(whole(data.by_structure), 'values equal by structure'),
      fact(whole(data.regions_in_all), 'by evaluation'),
      ...(data.whole_inputs ? [fact(whole(data.whole_inputs), 'inputs to the whole models')] : []),
      ...(data.tolerance ? [fact(short(data.largest), 'largest relative difference'), fact(short(data.tolerance), 'tolerance')] : []))));
  sections([['graph', 'Graph'], ['layers', 'Along the way'], ['regions', 'Regions']]);
  topSections(null, data.overview.map((graph) => ({...graph, name: graph.graph})),
    [['apart', 'beyond the tolerance'], ['evaluated', 'shown equal by evaluation'], ['within', 'within the tolerance'], ['', 'no result of its own']],
    (op) => ({kind: ['', 'apart', 'evaluated', 'within'][op[2]], says: ['', 'beyond the tolerance', 'shown equal by evaluation', 'within the tolerance'][op[2]]}));
  page.append(h('h2', {id: 'layers'}, 'Along the way'));
  if (data.layers.length) {
    const layers = data.layers.map((layer) => ({...layer, element: h('tr', {}, ...cells(layerHeads,
      [named(layer.value), named(layer.op), named(layer.graph), far(layer.ratio), layer.difference === null ? '' : short(layer.difference)]))}));
    const list = cards('Values', layerHeads, layers.map(({element}) => element));
    owner(list, layers.map((layer) => ({element: layer.element, text: [layer.value, layer.op, layer.graph].join('\n'), kind: 'value',
      state: layer.ratio === null || (data.tolerance > 0 && layer.ratio > data.tolerance) ? 'apart' : 'within'})));
    page.append(h('p', {class: 'soft'}, 'Values of one name, on one random input, in the order of the second file: the largest difference, relative to the largest element.'),
      driftPlot(data.bars, data.tolerance, data.layers[0].value, data.layers_in_all > data.layers.length ? 'the output' : data.layers[data.layers.length - 1].value),
      h('div', {class: 'halves'}, left, right));
    left.append(sorter(list.querySelector('tbody'), layers, [['place in the model', (layer, i) => i], ['difference', (layer) => layer.ratio === null ? -Infinity : -layer.ratio], ['name', (layer) => layer.value]]), list);
  } else {
    page.append(left, right);
  }
  if (data.layers_in_all > data.layers.length)
    left.append(h('p', {class: 'soft'}, `${whole(data.layers_in_all - data.layers.length)} more are not listed; --format json lists all.`));
  if (!data.layers.length || data.layers_reason)
    left.append(h('p', {class: 'soft'}, data.layers_reason || (data.has_layers ? 'No other values have one name.' : '--layers evaluates both models and shows where they drift apart.')));
  right.append(h('h2', {id: 'regions'}, 'Regions'));
  if (!data.regions.length)
    right.append(h('p', {class: 'soft'}, 'No values were compared by evaluation.'));
  else {
    const rows = data.regions.map((region) => h('tr', {}, ...cells(regionHeads,
      [named(region.a), named(region.b), named(region.graph), whole(region.a_ops) + ARROW + whole(region.b_ops), short(region.difference)])));
    const list = cards('Regions', regionHeads, rows);
    owner(list, data.regions.map((region, i) => ({element: rows[i], text: [region.a, region.b, region.graph].join('\n'), kind: 'region', state: 'evaluated'})));
    right.append(h('p', {class: 'soft'}, 'Values of other structure that were shown equal by evaluation of the ops before them.'), list);
  }
  if (data.regions_in_all > data.regions.length)
    right.append(h('p', {class: 'soft'}, `${whole(data.regions_in_all - data.regions.length)} more are not listed; --format json lists all.`));
  finish('kind', [['apart', 'beyond the tolerance'], ['within', 'within the tolerance'], ['evaluated', 'by evaluation']]);
}

({fuse: fusePage, diff: diffPage, verify: verifyPage})[data.kind]();
if (measure) measure.remove();
measure = null;
page.append(h('footer', {}, `Made by onnx-repvgg-fuse ${data.version}. This page needs no network. ${draws ? `Layout: dagre ${dagre.version}, MIT licence.` : 'Without dagre it lists what it would draw.'}`));

// On paper nothing unfolds.
let closed = [];
addEventListener('beforeprint', () => {
  closed = [...document.querySelectorAll('details:not([open])')];
  closed.forEach((element) => { element.open = true; });
});
addEventListener('afterprint', () => closed.forEach((element) => { element.open = false; }));
})();
