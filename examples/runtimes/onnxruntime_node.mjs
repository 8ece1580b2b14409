// onnxruntime in Node.js. Run by:
//   linexport verify BUNDLE --external 'node examples/runtimes/onnxruntime_node.mjs {model} {input} {output}'
import ort from 'onnxruntime-node';
import { read, write } from './npy.mjs';

const [model, input, output] = process.argv.slice(2);
const session = await ort.InferenceSession.create(model);
const { type, shape, values } = read(input);
const answer = await session.run({ [session.inputNames[0]]: new ort.Tensor(type, values, shape) });
const prediction = answer[session.outputNames[0]];
write(output, prediction.data, prediction.dims);
console.log(`onnxruntime-node ${ort.env.versions.node}`);
