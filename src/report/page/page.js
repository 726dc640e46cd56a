// The page's own script: tables and pictures from the JSON beside it. Names come from a model that
// nobody vouches for, so they only ever become text nodes and attributes, never markup.
(() => {
'use strict';

const data = JSON.parse(document.getElementById('data').textContent);
const page = document.getElementById('page');
const SVG = 'http://www.w3.org/2000/svg';
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
const named = (text) => h('bdi', {class: 'name'}, text === '' ? '(no name)' : text);

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

function table(caption, heads, rows) {
  return h('div', {class: 'wide', tabindex: 0, role: 'region', 'aria-label': caption},
    h('table', {}, h('caption', {}, caption),
      h('thead', {}, h('tr', {}, ...heads.map((head) => h('th', {scope: 'col', class: head.number ? 'number' : null}, head.text)))),
      h('tbody', {}, ...rows)));
}

function cells(heads, values) {
  return values.map((value, i) => h(i === 0 ? 'th' : 'td',
    {scope: i === 0 ? 'row' : null, class: heads[i].number ? 'number' : heads[i].long ? 'long' : null}, value));
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
    h('div', {class: 'wide', tabindex: 0, role: 'group', 'aria-label': word}, draw(picture, title, side, others)));
}

// A group of blocks that look the same: one picture, and a table whose rows choose what it shows.
function groupSection(group, heads, rowOf, options) {
  const holder = h('div', {class: 'pictures'});
  const buttons = [];
  function show(index) {
    const member = group.members[index];
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
  const section = h('section', {class: 'block'},
    h('h3', {}, group.title, group.count > 1 ? h('span', {class: 'times'}, `${TIMES} ${whole(group.count)} of this shape`) : null),
    options.note ? options.note(group) : null, holder);
  const left = group.count - group.members.length;
  const list = table(many ? 'These blocks' : 'This block', many ? [...heads, {text: 'picture'}] : heads, rows);
  section.append(group.members.length > 8
    ? h('details', {}, h('summary', {}, `${left ? 'The first' : 'All'} ${whole(group.members.length)}, with their numbers`), list) : list,
  left ? h('p', {class: 'soft'}, `${whole(left)} more are not listed: there are too many.`) : '');
  page.append(section);
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
  const W = 860, H = 160, top = 12, step = W / values.length, id = 'p' + ++ids;
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
  page.append(h('h2', {id}, heading), h('p', {class: 'soft'}, list.length ? done : none),
  h('div', {class: 'plots'}, ...list.map(equalizedFigure)));
}

// ---- reasons ----

function reasons(list, heading, id, empty) {
  page.append(h('h2', {id}, heading));
  if (!list.count) {
    page.append(h('p', {class: 'soft'}, empty));
    return;
  }
  [...list.reasons].sort((a, b) => b.count - a.count).forEach((reason) => {
    const alike = reason.places.every((place) => place.reason === reason.reason);
    const heads = [{text: 'op'}, {text: 'name'}, {text: 'makes'}, {text: 'graph'}, ...alike ? [] : [{text: 'reason', long: true}]];
    const rows = reason.places.map((place) => h('tr', {}, ...cells(heads,
      [named(place.op), named(place.node), named(place.output), named(place.graph), ...alike ? [] : [place.reason]])));
    page.append(h('div', {class: 'reason'},
      h('h3', {}, reason.reason, reason.count > 1 ? h('span', {class: 'times'}, TIMES + ' ' + whole(reason.count)) : null),
      h('div', {class: 'soft'}, 'pass ', h('code', {}, reason.pass)),
      h('details', {open: list.reasons.length <= 4 && reason.count <= 6},
        h('summary', {}, reason.count > 1 ? `${whole(reason.count)} places` : 'where'),
        reason.count > reason.places.length
          ? h('p', {class: 'soft'}, `The first ${whole(reason.places.length)} of ${whole(reason.count)} places:`) : null,
        table('Places', heads, rows))));
  });
  if (list.left_out) page.append(h('p', {}, `${plural(list.left_out, 'more reason')} not listed; --json lists all.`));
}

// ---- the two kinds of page ----

function fact(value, label, kind) {
  return h('li', {}, h('b', {class: kind || null}, value), h('span', {}, label));
}

function sections(links) {
  page.append(h('nav', {'aria-label': 'Sections'}, ...links.map(([id, text]) => h('a', {href: '#' + id}, text))));
}

function fusePage() {
  const blocks = data.fused;
  page.append(h('header', {},
    h('h1', {}, 'Fused: ', named(data.input || 'model in memory')),
    data.output ? h('p', {class: 'soft'}, 'to ', named(data.output)) : null,
    ...data.interface.split('\n').filter((line) => line).map((line) => h('p', {}, line)),
    h('ul', {class: 'facts'},
      fact(whole(blocks), 'blocks fused'),
      fact(whole(data.before.ops) + ARROW + whole(data.after.ops), 'ops'),
      fact(change(data.before.parameters, data.after.parameters) || '0 %', 'parameters'),
      fact(data.largest_difference === null ? '\u2013' : short(data.largest_difference), 'largest difference'),
      fact(whole(data.refusals.count), 'refusals'),
      fact(whole(data.warnings.count), 'warnings', data.warnings.count ? 'bad' : null))));
  sections([['table', 'Table'], ['blocks', 'Blocks'],
    ...(data.equalized ? [['equalized', 'Equalised']] : []),
    ...(data.per_tensor ? [['per_tensor', 'INT8 per tensor']] : []), ...(data.per_channel ? [['per_channel', 'INT8 per channel']] : []), ['refusals', 'Refusals'], ['warnings', 'Warnings']]);
  page.append(h('h2', {id: 'table'}, 'Table'), summaryTable());
  if (data.warnings.count)
    reasons(data.warnings, 'Warnings: rewrites that missed their self-check and were dropped', 'warnings', '');
  page.append(h('h2', {id: 'blocks'}, 'Blocks'));
  page.append(h('p', {class: 'soft'}, blocks
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
  ], {note: (group) => h('div', {class: 'soft'}, 'pass ', h('code', {}, group.pass))});
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
}

function textTable(caption, list, all, heading) {
  const heads = [{text: 'kind'}, {text: heading, long: true}];
  const rows = list.map((entry) => h('tr', {}, ...cells(heads, [entry.kind, entry.text])));
  return h('div', {}, table(caption, heads, rows),
    all > list.length ? h('p', {class: 'soft'}, `${whole(all - list.length)} more are not listed; --format json lists all.`) : null);
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
  const links = [['table', 'Table']];
  const sectionOf = (count, id, text) => count && links.push([id, text]);
  sectionOf(data.regions.count, 'regions', 'Regions');
  sectionOf(data.nodes.count, 'nodes', 'Changed ops');
  sectionOf(data.weights.length, 'weights', 'Weights');
  sectionOf(data.others.length, 'others', 'Other changes');
  sectionOf(data.uncounted.length, 'uncounted', 'Not counted');
  sections(links);
  page.append(h('h2', {id: 'table'}, 'Table'), summaryTable());
  if (data.kinds.length)
    page.append(h('p', {}), table('Changes by kind', [{text: 'kind'}, {text: 'changes', number: true}, {text: 'what it is'}],
      data.kinds.map(([kind, count, purpose]) => h('tr', {}, h('th', {scope: 'row'}, kind), h('td', {class: 'number'}, whole(count)), h('td', {}, purpose)))));
  if (data.regions.count) {
    page.append(h('h2', {id: 'regions'}, 'Regions'), h('p', {class: 'soft'},
      'Ops without a partner in the other model, and what stands in their place. Dashed: what is around them in both.'));
    groups(data.regions, heads, rowOf, {before: 'gone', after: 'new'});
  }
  if (data.nodes.count) {
    page.append(h('h2', {id: 'nodes'}, 'Changed ops'), h('p', {class: 'soft'},
      'Ops that are in both models and differ. What differs is underlined.'));
    groups(data.nodes, heads, rowOf, {before: 'gone', after: 'new', compare: true});
  }
  if (data.weights.length) {
    const drawn = data.weights.filter((weight) => weight.bins), rest = data.weights.filter((weight) => !weight.bins);
    page.append(h('h2', {id: 'weights'}, 'Weights'), h('p', {class: 'soft'},
      'Above: how many numbers differ by how much, from the largest decrease to the largest increase. Below: the largest difference along the first axis.'));
    page.append(h('div', {class: 'plots'}, ...drawn.map(weightFigure)));
    if (rest.length)
      page.append(h('p', {}, `${whole(data.weights_in_all - drawn.length)} more are not plotted:`),
        textTable('More weights', rest.map((weight) => ({kind: 'weight', text: weight.text})), data.weights_in_all - drawn.length, 'what'));
  }
  if (data.others.length)
    page.append(h('h2', {id: 'others'}, 'Other changes'), textTable('Other changes', data.others, data.others_in_all, 'what'));
  if (data.uncounted.length)
    page.append(h('h2', {id: 'uncounted'}, 'Not counted'), h('p', {class: 'soft'},
      'Differences that do not change what the model computes; --strict counts them.'),
    h('details', {}, h('summary', {}, plural(data.uncounted_in_all, 'difference')),
      textTable('Not counted', data.uncounted, data.uncounted_in_all, 'what')));
}

function verifyPage() {
  const far = (number) => number === null ? 'another shape' : short(number);
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
  sections([['layers', 'Along the way'], ['regions', 'Regions']]);
  page.append(h('h2', {id: 'layers'}, 'Along the way'));
  if (data.layers.length)
    page.append(h('p', {class: 'soft'}, 'Values of one name, on one random input, in the order of the second file: the largest difference, relative to the largest element.'),
      driftPlot(data.bars, data.tolerance, data.layers[0].value, data.layers_in_all > data.layers.length ? 'the output' : data.layers[data.layers.length - 1].value),
      table('Values', layerHeads, data.layers.map((layer) => h('tr', {}, ...cells(layerHeads,
        [named(layer.value), named(layer.op), named(layer.graph), far(layer.ratio), layer.difference === null ? '' : short(layer.difference)])))));
  if (data.layers_in_all > data.layers.length)
    page.append(h('p', {class: 'soft'}, `${whole(data.layers_in_all - data.layers.length)} more are not listed; --format json lists all.`));
  if (!data.layers.length || data.layers_reason)
    page.append(h('p', {class: 'soft'}, data.layers_reason || (data.has_layers ? 'No other values have one name.' : '--layers evaluates both models and shows where they drift apart.')));
  page.append(h('h2', {id: 'regions'}, 'Regions'));
  if (!data.regions.length)
    page.append(h('p', {class: 'soft'}, 'No values were compared by evaluation.'));
  else
    page.append(h('p', {class: 'soft'}, 'Values of other structure that were shown equal by evaluation of the ops before them.'),
      table('Regions', regionHeads, data.regions.map((region) => h('tr', {}, ...cells(regionHeads,
        [named(region.a), named(region.b), named(region.graph), whole(region.a_ops) + ARROW + whole(region.b_ops), short(region.difference)])))));
  if (data.regions_in_all > data.regions.length)
    page.append(h('p', {class: 'soft'}, `${whole(data.regions_in_all - data.regions.length)} more are not listed; --format json lists all.`));
}

({fuse: fusePage, diff: diffPage, verify: verifyPage})[data.kind]();
if (measure) measure.remove();
measure = null;
page.append(h('footer', {}, `Made by onnx-repvgg-fuse ${data.version}. This page needs no network. Layout: dagre 3.1.3, MIT licence.`));

// On paper nothing unfolds.
let closed = [];
addEventListener('beforeprint', () => {
  closed = [...document.querySelectorAll('details:not([open])')];
  closed.forEach((element) => { element.open = true; });
});
addEventListener('afterprint', () => closed.forEach((element) => { element.open = false; }));
})();
