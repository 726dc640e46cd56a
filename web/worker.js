// The worker: one run, then the page ends it, and its memory is free again.
onmessage = async ({ data: { wasm, words, files } }) => {
  try {
    const told = (step, fraction) => postMessage({ step, fraction });
    const result = await run(await WebAssembly.compile(wasm), words, files, told);
    for (const [name, bytes] of Object.entries(result.files)) result.files[name] = new Blob([bytes]);
    postMessage({ result });
  } catch (error) {
    postMessage({ failure: String(error) });
  }
};
