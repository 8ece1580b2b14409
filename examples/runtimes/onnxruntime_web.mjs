// onnxruntime in a browser: WebAssembly in headless Chromium. Run by:
//   linexport verify BUNDLE --external 'node examples/runtimes/onnxruntime_web.mjs {model} {input} {output}'
// The browser is the program that CHROMIUM names, or `chromium`.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { read, write } from './npy.mjs';

const DIST = fileURLToPath(new URL('node_modules/onnxruntime-web/dist', import.meta.url));
const PAGE = 'http://page.invalid/'; // what the page asks for is answered here: nothing listens
const TYPES = { mjs: 'text/javascript', wasm: 'application/wasm' };

const [model, input, output] = process.argv.slice(2);
const program = process.env.CHROMIUM ?? execFileSync('which', ['chromium']).toString().trim();
const browser = await chromium.launch({ executablePath: program, args: ['--no-sandbox'] });
try {
  const page = await browser.newPage();
  await page.route(`${PAGE}**`, (route) => {
    const name = new URL(route.request().url()).pathname.slice(1);
    if (name === '') return route.fulfill({ contentType: 'text/html', body: '<!doctype html>' });
    const body = name === 'model' ? readFileSync(model) : readFileSync(join(DIST, name));
    return route.fulfill({ contentType: TYPES[name.split('.').pop()] ?? 'application/octet-stream', body });
  });
  await page.goto(PAGE);
  const { type, shape, values } = read(input);
  const given = Buffer.from(values.buffer).toString('base64');
  const answer = await page.evaluate(predict, { type, shape, given });
  const data = new Uint8Array(Buffer.from(answer.data, 'base64')).buffer;
  write(output, type === 'float32' ? new Float32Array(data) : new Float64Array(data), answer.dims);
  console.log(`onnxruntime-web ${answer.version}, Chromium ${browser.version().split('.')[0]}`);
} finally {
  await browser.close();
}

/** Predict, in the page; arrays come and go as the base64 of their bytes. */
async function predict({ type, shape, given }) {
  const ort = await import('/ort.wasm.min.mjs');
  ort.env.wasm.wasmPaths = '/';
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create('/model');
  const bytes = Uint8Array.from(atob(given), (char) => char.charCodeAt(0));
  const values = type === 'float32' ? new Float32Array(bytes.buffer) : new Float64Array(bytes.buffer);
  const result = await session.run({ [session.inputNames[0]]: new ort.Tensor(type, values, shape) });
  const { data, dims } = result[session.outputNames[0]];
  const blob = new Blob([data]);
  const url = await new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.readAsDataURL(blob);
  });
  return { data: url.split(',')[1] ?? '', dims: [...dims], version: ort.env.versions.web };
}
