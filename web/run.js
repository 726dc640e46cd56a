// One run of the command on files in memory. It stands behind emscripten's script, which defines `onnx_repvgg_fuse`: in the
// package (index.js) and in the worker of the page (worker.js).
/* global onnx_repvgg_fuse */

// Read as the command asks for it, so that a large file is in memory once.
function addBlob(FS, path, blob, told) {
  const node = FS.create(path, 0o444);
  const reader = new FileReaderSync();
  const most = 16 << 20;
  node.usedBytes = blob.size;
  node.stream_ops = {
    ...node.stream_ops,
    read(stream, buffer, offset, length, position) {
      const piece = blob.slice(position, position + Math.min(length, most));
      buffer.set(new Uint8Array(reader.readAsArrayBuffer(piece)), offset);
      told('reading', Math.min(1, (position + piece.size) / blob.size));
      return piece.size;
    },
  };
  return node;
}

function addFile(FS, name, data, told) {
  const path = `/work/${name}`;
  FS.mkdirTree(path.slice(0, path.lastIndexOf('/')));
  if (!(data instanceof Uint8Array)) return addBlob(FS, path, data, told);
  FS.writeFile(path, data, { canOwn: true }); // the command only reads what it is given
  return FS.lookupPath(path).node;
}

// The files in a folder and below, but for those that were given and are as they were.
function written(FS, folder, given, found = {}, prefix = '') {
  for (const name of FS.readdir(folder)) {
    if (name === '.' || name === '..') continue;
    const { node } = FS.lookupPath(`${folder}/${name}`);
    if (FS.isDir(node.mode)) written(FS, `${folder}/${name}`, given, found, `${prefix}${name}/`);
    else if (!given.has(node)) found[prefix + name] = node.contents ? node.contents.subarray(0, node.usedBytes) : new Uint8Array();
  }
  return found;
}

// The command writes a line of progress over itself, as on a terminal.
function listen(told) {
  const lines = [];
  let line = [];
  return {
    text: () => [...lines, ...(line.length ? [decode(line)] : [])].join(''),
    put(byte) {
      if (byte === 13) {
        const step = /^(\S+) +(\d+) %/.exec(decode(line));
        if (step) told(step[1], step[2] / 100);
        line = [];
        return;
      }
      line.push(byte);
      if (byte === 10) lines.push(decode(line)), (line = []);
    },
  };
}

const decode = (bytes) => new TextDecoder().decode(Uint8Array.from(bytes));

// wasm: a WebAssembly.Module. words: as after the command's name. files: names below the folder it runs in, each with its
// bytes or, in a worker, a Blob. progress(step, fraction) is called on the way. What was written is in `files` of the result.
async function run(wasm, words, files = {}, progress) {
  const out = [], told = progress || (() => {}), errors = listen(told);
  const outOfMemory = (detail) => ({ status: 2, stdout: '', files: {},
    stderr: `onnx-repvgg-fuse: ${detail}: out of memory: WebAssembly has 4 GB at most; use the native command\n` });
  try {
    let failed;
    const program = await Promise.race([
      new Promise((_, reject) => { failed = reject; }),
      onnx_repvgg_fuse({
        instantiateWasm(imports, ready) {
          WebAssembly.instantiate(wasm, imports).then(ready, failed);
          return {};
        },
        stdin: () => null, stdout: (byte) => out.push(byte), stderr: errors.put,
        quit(_, reason) { throw reason; },
      }),
    ]);
    const { FS } = program;
    FS.mkdir('/work');
    FS.chdir('/work');
    FS.streams[2].tty = Boolean(progress);
    const given = new Set(Object.entries(files).map(([name, data]) => addFile(FS, name, data, told)));
    const status = program.callMain(words);
    return { status, stdout: decode(out), stderr: errors.text(), files: written(FS, '/work', given) };
  } catch (error) {
    if (error instanceof RangeError && !/stack/.test(error.message)) return outOfMemory(Object.keys(files)[0] || 'no file');
    throw error;
  }
}
