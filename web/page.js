// The page: files in, one worker a run, results out. Names and messages go in as text, and reports into frames that may do
// nothing but draw.
/* global WASM, WORKER, DEMO */
'use strict';
const MOST = 1 << 30; // bytes of a file
const TASKS = [[['fuse', 'Fuse'], ['info', 'What is in it']], [['diff', 'What changed'], ['verify', 'Do they compute the same']]];
const $ = (id) => document.getElementById(id);
const decode = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
let source = URL.createObjectURL(new Blob([WORKER], { type: 'text/javascript' }));
const wasm = decode(WASM);
let models = [], beside = []; // files
let working; // ends the run
let turn = 0; // which run has the page

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function say(text, bad = false) {
  $('status').textContent = text;
  $('status').classList.toggle('bad', bad);
}

// ---- runs ----

function run(words, files) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(source);
    const end = (settle, value) => {
      worker.terminate();
      settle(value);
    };
    working = () => end(reject, new Error('cancelled'));
    worker.onerror = (event) => end(reject, new Error(event.message || 'the worker ended: there is not enough memory'));
    worker.onmessage = ({ data }) => {
      if (data.result) end(resolve, data.result);
      else if (data.failure) end(reject, new Error(data.failure));
      else show(data);
    };
    worker.postMessage({ wasm, words, files });
  });
}

function show({ step, fraction }) {
  $('progress').value = fraction;
  say(`${step} ${Math.round(100 * fraction)} %`);
}

function fuseOptions() {
  const names = ['equalize', 'freeze', 'outputs'].filter((id) => $(id).value.trim());
  const skipped = [...document.querySelectorAll('#passes input:checked')];
  return [...names.map((id) => `--${id}=${$(id).value.trim()}`), ...skipped.map((box) => `--skip=${box.value}`),
    ...$('input-shape').value.split(/\s+/).filter(Boolean).map((shape) => `--input-shape=${shape}`)];
}

function offer(name, blob) {
  $('downloads').append(element('a', { href: URL.createObjectURL(blob), download: name, textContent: `Save ${name}` }),
    ` ${blob.size.toLocaleString('en')} bytes`);
}

async function showReport(name, blob) {
  const mine = turn, srcdoc = await blob.text();
  if (turn !== mine) return; // another run has the page by now
  offer(name, blob);
  const frame = element('iframe', { title: 'The report with its pictures', srcdoc });
  frame.setAttribute('sandbox', 'allow-scripts');
  $('result').append(frame);
}

function clear() {
  for (const link of document.querySelectorAll('#downloads a')) URL.revokeObjectURL(link.href);
  document.querySelector('iframe')?.remove();
  $('downloads').replaceChildren();
  $('counts').replaceChildren();
  $('result').hidden = true;
}

// The command's lines "Conv   44 ->   22   -50.0 %" as a table, which is narrower, and what stands below them.
function showCounts(lines) {
  const rows = lines.map((line) => /^(.*?) {2,}(\d[\d ]*) -> +(\d[\d ]*?)(?: +([+-]?[\d.]+ %))?$/.exec(line));
  const row = (cells, name) => element('tr', {}, ...cells.map((text) => element(name, { textContent: text || '' })));
  $('counts').replaceChildren(row(['', 'before', 'after', 'change'], 'th'), ...rows.filter(Boolean).map(([, ...cells]) => row(cells, 'td')));
  $('text').textContent = lines.slice(1).filter((_, i) => !rows[i + 1]).join('\n');
}

// What each task runs, and what it shows. Returns the sentence that says how it went.
const tasks = {
  async fuse(files, [name]) {
    const stem = name.replace(/\.onnx$/, '');
    const output = `${stem}.fused.onnx`, page = `${stem}.report.html`;
    const result = await run(['--explain', '--report', page, ...fuseOptions(), '-o', output, '--', name], files);
    if (result.status !== 0) throw new Error(result.stderr);
    const table = result.stdout.search(/^ +before +after$/m);
    showCounts(result.stdout.slice(table).trim().split('\n'));
    $('explanation').textContent = result.stdout.slice(0, table) || 'nothing was fused, and nothing refused\n';
    for (const [path, blob] of Object.entries(result.files)) if (path !== page) offer(path, blob);
    await showReport(page, result.files[page]);
    return result.stderr;
  },
  async info(files, [name]) {
    const page = `${name.replace(/\.onnx$/, '')}.info.html`;
    const result = await run(['info', '--report', page, '--', name], files);
    if (result.status !== 0) throw new Error(result.stderr);
    $('text').textContent = result.stdout;
    await showReport(page, result.files[page]);
    return 'done';
  },
  diff: (files, names) => compare(['diff', '--color=never'], files, names, ['the same', 'different']),
  verify: (files, names) => compare(['verify', '--layers'], files, names, ['they compute the same', 'they do not compute the same', 'undecided']),
};

async function compare(words, files, names, verdicts) {
  const result = await run([...words, '--', ...names], files);
  if (result.status === 2 && !result.stdout) throw new Error(result.stderr);
  $('text').textContent = result.stdout || 'The models are the same.\n';
  const { stdout } = await run([...words, '--format=html', '--', ...names], files);
  await showReport(`${words[0]}.html`, new Blob([stdout], { type: 'text/html' }));
  return verdicts[result.status];
}

async function work() {
  working?.();
  clear();
  const task = $('task').value;
  const large = models.find((file) => file.size > MOST);
  if (large)
    return say(`${large.name} has ${(large.size / MOST).toFixed(1)} GB, and this page takes files up to 1 GB. The command takes any: ` +
      `onnx-repvgg-fuse ${large.name} ${large.name.replace(/\.onnx$/, '')}.fused.onnx`, true);
  const names = models.map((file, i) => (models.findIndex((other) => other.name === file.name) < i ? `b/${file.name}` : file.name));
  const files = Object.fromEntries([...beside.map((file) => [file.name, file]), ...models.map((file, i) => [names[i], file])]);
  $('progress').hidden = $('cancel').disabled = false;
  $('progress').removeAttribute('value');
  say('reading');
  const mine = ++turn;
  try {
    const sentence = await tasks[task](files, names);
    if (turn !== mine) return;
    $('explained').hidden = task !== 'fuse';
    $('result').hidden = false;
    say(sentence.trim());
  } catch (error) {
    if (turn !== mine) return;
    clear();
    say(error.message.replace(/^onnx-repvgg-fuse: /, '').trim(), error.message !== 'cancelled');
  }
  $('progress').hidden = $('cancel').disabled = true;
}

// ---- what the user does ----

function choose(files) {
  if (!files.length) return;
  const isModel = (file) => /\.onnx$/i.test(file.name);
  models = files.some(isModel) ? files.filter(isModel) : files;
  beside = files.filter((file) => !models.includes(file));
  $('chosen').hidden = false;
  $('swap').hidden = models.length !== 2;
  $('names').textContent = models.map((file) => file.name).join(' → ') + beside.map((file) => `, with ${file.name}`).join('');
  if (models.length > 2) {
    clear();
    $('chosen').hidden = true;
    return say(`${models.length} models: expected one to fuse, or two to compare`, true);
  }
  const before = $('task').value;
  $('task').replaceChildren(...TASKS[models.length - 1].map(([value, textContent]) => element('option', { value, textContent })));
  $('task').value = before;
  if (!$('task').value) $('task').selectedIndex = 0;
  return work();
}

$('files').onchange = () => choose([...$('files').files]);
document.ondragover = (event) => {
  event.preventDefault();
  $('drop').classList.add('over');
};
document.ondragleave = () => $('drop').classList.remove('over');
document.ondrop = (event) => {
  event.preventDefault();
  $('drop').classList.remove('over');
  choose([...event.dataTransfer.files]);
};
$('form').onsubmit = (event) => {
  event.preventDefault();
  work();
};
$('cancel').onclick = () => working();
$('swap').onclick = () => choose([...models.reverse(), ...beside]);
$('demo').onclick = () => {
  const use = () => choose([new File([decode(DEMO)], 'repvgg_small.onnx')]);
  if (typeof DEMO === 'string') return use();
  document.head.append(element('script', { src: 'demo.js', onload: use, onerror: () => say('demo.js is missing beside this page', true) }));
};
$('options').ontoggle = async () => {
  if ($('passes').children.length > 1) return;
  const other = working, listing = run(['--list-passes'], {});
  working = other; // which Cancel is about
  const { stdout } = await listing;
  for (const line of stdout.trim().split('\n')) {
    const [name, ...purpose] = line.split(/\s+/);
    $('passes').append(element('label', { title: purpose.join(' ') }, element('input', { type: 'checkbox', value: name }), ` ${name}`));
  }
};
