// The package: the command's options as arguments, models as bytes. Types and comments for users: index.d.ts.
import { run as runWith } from './engine.js';

const place = new URL('./onnx-repvgg-fuse.wasm', import.meta.url);
let compiled;

async function load() {
  if (typeof process !== 'object' || !process.versions?.node) return WebAssembly.compileStreaming(fetch(place));
  const { readFile } = await import(/* @vite-ignore */ /* webpackIgnore: true */ 'node:fs/promises');
  globalThis.crypto ??= (await import(/* @vite-ignore */ /* webpackIgnore: true */ 'node:crypto')).webcrypto; // node 18
  return WebAssembly.compile(await readFile(place));
}

async function bytes(data) {
  if (data instanceof Uint8Array) return data;
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  if (data instanceof Blob) return typeof FileReaderSync === 'function' ? data : new Uint8Array(await data.arrayBuffer());
  throw new TypeError('expected a model as Uint8Array, ArrayBuffer or Blob');
}

export async function run(words, files = {}, progress) {
  const wasm = await (compiled ??= load());
  const entries = Object.entries(files).map(async ([name, data]) => [name, await bytes(data)]);
  return runWith(wasm, words, Object.fromEntries(await Promise.all(entries)), progress);
}

// { maxGrowth: 2, freeze: ['a', 'b'], dryRun: true } -> --max-growth=2 --freeze=a --freeze=b --dry-run
function words(options) {
  return Object.entries(options).flatMap(([key, value]) => {
    const name = `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    if (value === undefined || value === false) return [];
    return value === true ? [name] : [value].flat().map((one) => `${name}=${one}`);
  });
}

async function succeed(command, files, progress, good) {
  const result = await run(command, files, progress);
  if (good(result)) return result;
  throw new Error(result.stderr.replace(/^onnx-repvgg-fuse: /, '').trim());
}

const text = (data) => new TextDecoder().decode(data);

export async function fuse(model, { name = 'model.onnx', files = {}, progress, html, statistics, ...options } = {}) {
  const output = `${name.replace(/\.onnx$/, '')}.fused.onnx`;
  const given = { ...files, [name]: model };
  if (statistics) given['.statistics'] = statistics;
  const command = [...words(options), '--explain', '--json=.json', ...(html ? ['--report=.html'] : []),
    ...(statistics ? ['--statistics=.statistics'] : []), `--output=${output}`, '--', name];
  const { stdout, files: { [output]: fused, '.json': json, '.html': page, ...rest } } =
    await succeed(command, given, progress, ({ status }) => status === 0);
  const report = JSON.parse(text(json));
  return { model: fused, changed: report.changed, report, explanation: stdout, html: page && text(page), files: rest };
}

async function compare(command, a, b, { names = ['a.onnx', 'b.onnx'], files = {}, progress, inputs, ...options } = {}) {
  const given = { ...files, [names[0]]: a, [names[1]]: b };
  if (inputs) given['.inputs'] = inputs;
  const { status, stdout } = await succeed(
    [command, ...words(options), ...(inputs ? ['--inputs=.inputs'] : []), '--format=json', '--', ...names],
    given, progress, (result) => result.status < 2 || result.stdout);
  return { verdict: ['same', 'different', 'undecided'][status], report: JSON.parse(stdout) };
}

export const diff = (a, b, options) => compare('diff', a, b, options);
export const verify = (a, b, options) => compare('verify', a, b, options);

export async function info(model, { name = 'model.onnx', files = {}, progress } = {}) {
  const { stdout } = await succeed(['info', '--format=json', '--', name], { ...files, [name]: model }, progress,
    ({ status }) => status === 0);
  return JSON.parse(stdout);
}
