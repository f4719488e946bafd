// Pixels to behavior from Node, without a library: KServe v2 over HTTP with binary tensors.
//   node examples/behaviour.mjs http://127.0.0.1:8000 0.25 frame1.jpg frame2.jpg ...
// The second argument is the time between two frames in seconds.

import { readFile } from "node:fs/promises";

const [server, step, ...files] = process.argv.slice(2);
const frames = await Promise.all(files.map((file) => readFile(file)));

// A BYTES tensor is every element behind its length; an FP64 tensor is its numbers, little-endian.
const jpeg = Buffer.concat(
  frames.flatMap((frame) => {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(frame.length);
    return [length, frame];
  }),
);
const times = Buffer.from(Float64Array.from(frames, (_, i) => i * Number(step)).buffer);

const header = JSON.stringify({
  // One stream, begun and ended with this request; an id tells streams apart.
  parameters: { sequence_id: Date.now(), sequence_start: true, sequence_end: true },
  inputs: [
    { name: "jpeg", datatype: "BYTES", shape: [frames.length],
      parameters: { binary_data_size: jpeg.length } },
    { name: "time_s", datatype: "FP64", shape: [frames.length],
      parameters: { binary_data_size: times.length } },
  ],
  outputs: ["clip_s", "clip_probabilities", "person_track", "box"].map((name) => ({ name })),
});

const response = await fetch(`${server}/v2/models/behaviour/infer`, {
  method: "POST",
  headers: {
    "content-type": "application/octet-stream",
    "inference-header-content-length": String(Buffer.byteLength(header)),
  },
  body: Buffer.concat([Buffer.from(header), jpeg, times]),
  signal: AbortSignal.timeout(60_000),
});
const answer = await response.json();
if (!response.ok) throw new Error(`behaviour: ${answer.error}`);
const tensors = Object.fromEntries(answer.outputs.map((one) => [one.name, one]));

const config = await (await fetch(`${server}/v2/models/behaviour/config`)).json();
const labels = JSON.parse(config.parameters.labels.string_value);
const recognizers = JSON.parse(config.parameters.recognizers.string_value);
const spans = tensors.clip_s.data;
for (let clip = 0; clip < tensors.clip_s.shape[0]; clip++) {
  recognizers.forEach((name, number) => {
    const first = (clip * recognizers.length + number) * labels.length;
    const row = tensors.clip_probabilities.data.slice(first, first + labels.length);
    const said = labels.map((label, i) => `${label} ${row[i].toFixed(3)}`).join(", ");
    console.log(`${spans[2 * clip]} s to ${spans[2 * clip + 1]} s: ${name}: ${said}`);
  });
}
console.log(`${tensors.box.shape[0]} boxes of people`);
