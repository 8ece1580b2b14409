// Tables of float32 or float64 in .npy files, see
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
import { readFileSync, writeFileSync } from 'node:fs';

const ARRAYS = { '<f4': Float32Array, '<f8': Float64Array };

/** Return { type, shape, values } of a table: 'float32' or 'float64', [rows, columns], by rows. */
export function read(path) {
  const bytes = readFileSync(path);
  if (bytes.toString('latin1', 0, 6) !== '\x93NUMPY') throw new Error(`${path} is no .npy file`);
  const [start, length] = bytes[6] === 1 ? [10, bytes.readUInt16LE(8)] : [12, bytes.readUInt32LE(8)];
  const header = bytes.toString('latin1', start, start + length);
  const [, descr] = header.match(/'descr': '(.+?)'/);
  if (!(descr in ARRAYS) || /'fortran_order': True/.test(header)) {
    throw new Error(`${path}: not a table of float32 or float64, by rows: ${header.trim()}`);
  }
  const shape = header.match(/'shape': \((.*?)\)/)[1].split(',').filter((part) => part.trim()).map(Number);
  const values = new ARRAYS[descr](new Uint8Array(bytes.subarray(start + length)).buffer);
  return { type: descr === '<f4' ? 'float32' : 'float64', shape, values };
}

/** Write a Float32Array or Float64Array of this shape. */
export function write(path, values, shape) {
  const descr = values instanceof Float32Array ? '<f4' : '<f8';
  const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.join(', ')},), }`;
  const padded = header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11) + '\n';
  const start = Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, padded.length % 256, padded.length >> 8]);
  const data = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  writeFileSync(path, Buffer.concat([start, Buffer.from(padded), data]));
}
