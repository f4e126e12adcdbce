// Asks Perfetto's trace processor, the WebAssembly one of its web page, about a trace:
//
//     node perfetto.js DIRECTORY TRACE SQL
//
// DIRECTORY has `engine_bundle.js` and `trace_processor.wasm`. Prints a line for each row, its values
// with tabs between them.

const fs = require('fs');
const path = require('path');

const [directory, trace, sql] = process.argv.slice(2);

// Messages, by trace_processor.proto.

const APPEND = 1, FINISH = 2, QUERY = 3;

const number = (value) => value < 128
  ? Buffer.from([value])
  : Buffer.concat([Buffer.from([value % 128 + 128]), number(Math.floor(value / 128))]);
const int = (field, value) => Buffer.concat([number(field * 8), number(value)]);
const bytes = (field, value) => Buffer.concat([number(field * 8 + 2), number(value.length), value]);

/** Reads a number off the front of `message`, an object with the bytes and the position. */
function read(message) {
  let value = 0n;
  for (let shift = 0n; ; shift += 7n) {
    const byte = message.bytes[message.at++];
    value |= BigInt(byte & 127) << shift;
    if (byte < 128) return BigInt.asIntN(64, value);
  }
}

/** The numbers and the byte strings of a message, by field. */
function fields(of) {
  const message = { bytes: of, at: 0 };
  const found = new Map();
  while (message.at < of.length) {
    const tag = Number(read(message));
    const [field, kind] = [tag >> 3, tag & 7];
    let value;
    if (kind === 0) {
      value = read(message);
    } else {
      const length = { 1: 8, 5: 4 }[kind] ?? Number(read(message));
      value = of.subarray(message.at, message.at += length);
    }
    found.set(field, [...found.get(field) ?? [], value]);
  }
  return found;
}

/** The values of a batch of cells. */
function cells(batch) {
  const of = fields(batch);
  const all = (field) => Buffer.concat(of.get(field) ?? []);
  const numbers = (field) => {
    const message = { bytes: all(field), at: 0 };
    const values = [];
    while (message.at < message.bytes.length) values.push(read(message));
    return values;
  };
  const ints = numbers(2);
  const floats = all(3);
  const texts = all(5).toString().split('\0');
  let float = 0;
  const next = {
    1: () => 'NULL',
    2: () => ints.shift(),
    3: () => floats.readDoubleLE(8 * float++),
    4: () => texts.shift(),
  };
  return numbers(1).map((kind) => next[kind]());
}

// The page's worker. It reads the WebAssembly at once, and gets its end of a channel by a message.

class XMLHttpRequest {
  open(method, url) { this.file = path.join(directory, url); }
  send() { this.response = new Uint8Array(fs.readFileSync(this.file)).buffer; this.status = 200; }
}
const worker = { location: { href: 'http://localhost/engine_bundle.js' } };
const around = { self: worker, XMLHttpRequest, WorkerGlobalScope: class {}, importScripts() {}, process: undefined };
const engine = fs.readFileSync(path.join(directory, 'engine_bundle.js'), 'utf8');
new Function(...Object.keys(around), engine)(...Object.values(around));

let seq = 0;
const port = { postMessage: answer };
worker.onmessage({ data: port });
const ask = (request, ...args) => {
  const message = Buffer.concat([int(1, seq++), int(2, request), ...args]);
  port.onmessage({ data: new Uint8Array(bytes(1, message)) });
};

function answer(stream) {
  for (const message of fields(Buffer.from(stream)).get(1)) {
    const of = fields(message);
    if (of.has(5)) throw new Error(of.get(5)[0].toString());
    for (const result of of.get(203) ?? []) {
      const rows = fields(result);
      if (rows.has(2)) throw new Error(rows.get(2)[0].toString());
      for (const name of rows.get(1) ?? []) columns.push(name.toString());
      for (const batch of rows.get(3) ?? []) values.push(...cells(batch));
    }
  }
}
const columns = [];
const values = [];

setTimeout(() => {
  try {
    ask(APPEND, bytes(101, fs.readFileSync(trace)));
    ask(FINISH);
    ask(QUERY, bytes(103, bytes(1, Buffer.from(sql))));
    while (values.length) console.log(values.splice(0, columns.length).join('\t'));
  } catch (error) {
    // Node would show the line of the worker, which has all of it.
    console.error(error.message);
    process.exitCode = 1;
  }
}, 0);
