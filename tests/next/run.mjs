// Runs the tests that need no threads, processes or servers on Pythons compiled for Node.js.
//
//     node tests/next/run.mjs FOLDER PYTHON...
//
// FOLDER contains `node_modules` and `wheels` (see the Makefile). Each PYTHON is a package listed
// in package.json. The exit status is 1 if a test failed or if suspiciously few tests ran.

import { writeSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Worker, isMainThread, workerData } from "node:worker_threads";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const STACK_MB = 64; // with the small default, deeply nested values crash Node.js itself
const PROGRAM = `
import sys, warnings

sys.path[:0] = ["/project", "/wheels"]
warnings.simplefilter("error")  # not earlier, because Pyodide itself emits warnings
from tests.__main__ import main

print(f"\\n== Python {sys.version}", flush=True)
main(["--fast", "--at-least", "700"])
`;

async function run({ folder, name }) {
  const entrance = resolve(folder, "node_modules", name, "pyodide.mjs");
  const { loadPyodide } = await import(pathToFileURL(entrance));
  const python = await loadPyodide({ env: { HOME: "/home", PYTHONDONTWRITEBYTECODE: "1" } });
  // Pyodide's default streams do not work outside the main thread.
  python.setStdout({ write: (bytes) => writeSync(1, bytes) });
  python.setStderr({ write: (bytes) => writeSync(2, bytes) });
  for (const [place, root] of [["/project", PROJECT], ["/wheels", resolve(folder, "wheels")]]) {
    python.FS.mkdirTree(place);
    python.FS.mount(python.FS.filesystems.NODEFS, { root }, place);
  }
  return python.runPython(PROGRAM);
}

function runInWorker(folder, name) {
  return new Promise((done) => {
    new Worker(fileURLToPath(import.meta.url), {
      workerData: { folder, name },
      resourceLimits: { stackSizeMb: STACK_MB },
    }).on("exit", done);
  });
}

if (isMainThread) {
  const [folder, ...names] = process.argv.slice(2);
  for (const name of names) {
    process.exitCode |= await runInWorker(folder, name);
  }
} else {
  try {
    process.exit(await run(workerData));
  } catch (error) {
    console.error(error.message); // Node.js would print all of Pyodide's code, which is one line
    process.exit(1);
  }
}
