#!/usr/bin/env node
// The command, on files of the disk.
'use strict';
const fs = require('fs');
const path = require('path');
const tty = require('tty');
const start = require('./disk.cjs');

const wasm = new WebAssembly.Module(fs.readFileSync(path.join(__dirname, 'onnx-repvgg-fuse.wasm')));

start({
  instantiateWasm(imports, ready) {
    const instance = new WebAssembly.Instance(wasm, imports);
    ready(instance);
    return instance.exports;
  },
  preRun(module) {
    for (const name of ['NO_COLOR', 'GIT_PAGER_IN_USE']) if (process.env[name]) module.ENV[name] = process.env[name];
  },
  quit(status, reason) {
    if (reason.name !== 'ExitStatus') {
      fs.writeSync(2, `onnx-repvgg-fuse: ${reason instanceof RangeError ? 'out of memory' : reason.stack}\n`);
      process.exit(2);
    }
    process.exit(status);
  },
}).then((module) => {
  const { open } = module.FS;
  module.FS.open = (...words) => {
    const stream = open(...words);
    stream.seekable = fs.fstatSync(stream.nfd).isFile(); // emscripten takes pipes that have a name for files
    return stream;
  };
  for (const fd of [0, 1, 2]) module.FS.streams[fd].tty = tty.isatty(fd);
  module.callMain(process.argv.slice(2));
});
