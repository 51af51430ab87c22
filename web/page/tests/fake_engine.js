// An engine that answers every call of protocol.ts without a network: it reads small binary PLY files, takes labels from them or else
// from the height, and waits where the real one would compute. For the test of the page.
//
// The name of a scan can ask for trouble: `lost-once`, `lost-always`, `no-memory`, `too-big`, `crash`. The device `fake-software` is a
// software adapter.

const CLASSES = [
  'wall 174 199 232', 'floor 152 223 138', 'cabinet 31 119 180', 'bed 255 187 120', 'chair 188 189 34', 'sofa 140 86 75',
  'table 255 152 150', 'door 214 39 40', 'window 197 176 213', 'bookshelf 148 103 189', 'picture 196 156 148',
  'counter 23 190 207', 'desk 247 182 210', 'curtain 219 219 141', 'refrigerator 255 127 14', 'shower curtain 158 218 229',
  'toilet 44 160 44', 'sink 112 128 144', 'bathtub 227 119 194', 'otherfurniture 82 84 163', 'ceiling 209 187 215',
].map((line, id) => {
  const [, name, ...color] = /^(.+) (\d+) (\d+) (\d+)$/.exec(line);
  return { id, name, color: color.map(Number) };
});

const READERS = {
  float: ['getFloat32', 4], double: ['getFloat64', 8], uchar: ['getUint8', 1], uint8: ['getUint8', 1], int: ['getInt32', 4], uint: ['getUint32', 4],
};

const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const fail = (kind, message) => { throw { kind, message }; };

export default async function init() {
  await wait(20);
}

export class Engine {
  async handle(call, ask, progress) {
    if (!this[call]) fail('argument', `there is no call ${call}`);
    return this[call](ask, progress);
  }

  async start({ device }) {
    await wait(60);
    this.device = device;
    if (device === 'cpu') return { kind: 'cpu', description: 'CPU (WebAssembly, SIMD)', reason: 'The CPU was asked for.' };
    if (device === 'fake-software') {
      return { kind: 'software', description: 'SwiftShader Device (BrowserWebGpu)', reason: '' };
    }
    if (device === 'fake-none') return { kind: 'cpu', description: 'CPU (WebAssembly, SIMD)', reason: 'This browser has no WebGPU.' };
    return { kind: 'gpu', description: 'Fake GPU (BrowserWebGpu)', reason: '' };
  }

  async model({ name, bytes }) {
    await wait(60);
    if (bytes.byteLength < 1000) fail('model', `${name}: the file ends within its header. Download it again.`);
    this.info = {
      name: name.replace(/\.[^.]*$/, ''), bytes: bytes.byteLength, parameters: 2784917, gridSize: 0.04,
      labels: { name: 'rooms', classes: CLASSES.map((each) => ({ ...each })) }, licence: 'MIT OR Apache-2.0',
      provenance: 'trained by pointtpa 0.1.0 from scratch', note: null, adapter: null,
    };
    return structuredClone(this.info);
  }

  async applyAdapter({ name, bytes }) {
    if (!this.info) fail('model', 'there is no model to lay it over');
    const text = new TextDecoder('latin1').decode(bytes);
    this.info.adapter = name;
    this.info.labels.classes = JSON.parse(text.slice(8)).__metadata__.classes;
    return structuredClone(this.info);
  }

  async open({ name, bytes }) {
    await wait(80);
    const head = new TextDecoder('latin1').decode(bytes.slice(0, 4096));
    const end = head.indexOf('end_header\n');
    if (!head.startsWith('ply') || end < 0) fail('scan', `${name}: not a PLY file: it begins with ${JSON.stringify(head.slice(0, 12))}, and a PLY file begins with "ply". Is it another format?`);
    const count = Number(/element vertex (\d+)/.exec(head)[1]);
    const properties = [...head.slice(0, end).matchAll(/property (\w+) (\w+)/g)].map(([, type, property]) => ({ type, property }));
    const stride = properties.reduce((sum, { type }) => sum + READERS[type][1], 0);
    const view = new DataView(bytes, end + 'end_header\n'.length);
    if (view.byteLength < count * stride) fail('scan', `${name}: the file ends after ${Math.floor(view.byteLength / stride)} of its ${count} points. Copy it again.`);
    const column = {};
    let offset = 0;
    for (const { type, property } of properties) {
      const [reader, size] = READERS[type];
      const values = new Float64Array(count);
      for (let i = 0; i < count; i++) values[i] = view[reader](i * stride + offset, true);
      column[property] = values;
      offset += size;
    }
    const axes = ['x', 'y', 'z'];
    const low = axes.map((axis) => column[axis].reduce((a, b) => (b < a ? b : a), Infinity));
    const high = axes.map((axis) => column[axis].reduce((a, b) => (b > a ? b : a), -Infinity));
    const origin = low.map((value, axis) => (value + high[axis]) / 2);
    const rows = (names, Kind, move) => column[names[0]] && Kind.from({ length: 3 * count }, (_, i) => column[names[i % 3]][(i / 3) | 0] - (move ? origin[i % 3] : 0));
    this.scan = { name, bytes, count, positions: rows(axes, Float32Array, true), labels: column.label, colors: rows(['red', 'green', 'blue'], Uint8Array) ?? null, normals: rows(['nx', 'ny', 'nz'], Float32Array) ?? null };
    this.painted = null;
    const { positions, colors, normals } = this.scan;
    return {
      description: {
        file: name, format: 'ply binary_little_endian', points: count, non_finite_points: column.x.filter(Number.isNaN).length, properties: properties.map(({ type, property }) => `${property}:${type}`),
        labels: column.label ? [...new Set(column.label)].sort((a, b) => a - b) : null,
        elements: [{ name: 'vertex', count }], faces: 0, extent: high.map((value, axis) => value - low[axis]),
        warnings: name.includes('warn') ? ['the extent of 5,197 m would be large for a room: are these millimetres? They were taken as metres'] : [],
        up: { answer: '+z', reason: '16 % of the points lie in one thin slab near its low end' },
        units: { answer: 'metres', reason: '5.2 m is plausible for a scan' },
      },
      positions: positions.slice(), colors: colors && colors.slice(), normals: normals && normals.slice(), origin,
      estimate: await this.estimate({ gridSize: null }),
    };
  }

  async estimate({ gridSize }) {
    const size = gridSize ?? 0.04;
    const voxels = Math.round(this.scan.count * 0.6 * (0.04 / size) ** 2);
    const tooBig = this.scan.name.includes('too-big') && size < 0.07;
    return {
      voxels, memory: voxels * 9000, seconds: this.speed ? voxels * this.speed : null,
      problem: tooBig ? 'The scan needs 6.1 GB of memory and the device allows 2.0 GB.' : null, fittingGridSize: tooBig ? 0.08 : null,
    };
  }

  async segment({ gridSize, smaller }, progress) {
    const { name, count } = this.scan;
    const stages = ['voxelize', 'normals', 'pyramid', 'enc0', 'enc1', 'enc2', 'enc3', 'dec2', 'dec1', 'dec0', 'head', 'labels'];
    const pause = name.includes('slow') ? 1000 : 60;
    for (const [i, stage] of stages.entries()) {
      progress(stage, i / stages.length);
      await wait(pause);
      if (stage === 'enc1') {
        if (name.includes('lost-always') && this.device !== 'cpu') fail('device-lost', 'the GPU was lost');
        if (name.includes('lost-once') && !smaller) fail('device-lost', 'the GPU was lost');
        if (name.includes('no-memory')) fail('memory', 'The scan needs 6.1 GB of memory and the device allows 2.0 GB. Use larger voxels.');
        if (name.includes('crash')) throw new WebAssembly.RuntimeError('unreachable');
      }
    }
    this.speed = (stages.length * pause) / 1000 / (count * 0.6);
    this.segmentation = { ...this.labelled(), voxels: Math.round(count * 0.6), seconds: (stages.length * pause) / 1000, stages: stages.map((stage) => [stage, pause / 1000]), peakBytes: 96e6, warnings: smaller ? ['The scan was labelled in 4 tiles, one after the other.'] : [] };
    return structuredClone(this.segmentation);
  }

  labelled() {
    const { count, positions, labels } = this.scan;
    const found = new Int32Array(count);
    const confidence = new Float32Array(count);
    for (let i = 0; i < count; i++) {
      const z = positions[3 * i + 2];
      found[i] = labels ? labels[i] : z < -0.9 ? 1 : z > 1 ? 20 : 0;
      confidence[i] = 0.55 + 0.45 * Math.abs(Math.sin(9 * positions[3 * i] + 7 * positions[3 * i + 1]));
    }
    return { labels: found, confidence };
  }

  async features() {
    const { count, positions } = this.scan;
    return { colors: Uint8Array.from({ length: 3 * count }, (_, i) => 128 + 90 * Math.sin(positions[i] * 1.7 + (i % 3))) };
  }

  async similar({ point }) {
    const { labels } = this.segmentation;
    return { similarity: Float32Array.from(labels, (label, i) => (label === labels[point] ? 0.75 : 0.1) + 0.2 * Math.sin(i)) };
  }

  async point({ point }) {
    const label = this.segmentation.labels[point];
    return { label, top: [{ label, probability: 0.81 }, { label: (label + 3) % 21, probability: 0.12 }, { label: (label + 7) % 21, probability: 0.04 }] };
  }

  async export({ format }) {
    if (format === 'las') return { bytes: new TextEncoder().encode('LASF').buffer, leftOut: 0 };
    return { leftOut: 0, bytes: this.scan.bytes.slice(0) };
  }

  async teach({ labels, added, seconds }, progress) {
    this.before = { info: structuredClone(this.info), segmentation: structuredClone(this.segmentation) };
    const losses = [];
    const steps = Math.max(10, seconds * 6);
    // The first step waits for shaders.
    await wait(1000);
    for (let step = 0; step < steps; step++) {
      losses.push(2.4 * Math.exp(-step / (steps / 4)) + 0.15 + 0.12 * Math.abs(Math.sin(step)));
      progress(`step ${step}`, step / steps, losses.at(-1));
      await wait(40);
    }
    const { classes } = this.info.labels;
    for (const each of added) classes.push({ id: classes.length, ...each });
    // Whatever has the class of a painted point gets the class it was painted with.
    const becomes = new Map();
    labels.forEach((label, i) => label >= 0 && becomes.set(this.segmentation.labels[i], label));
    this.segmentation = { ...this.segmentation, labels: this.segmentation.labels.map((label) => becomes.get(label) ?? label) };
    return { steps, seconds: steps * 0.04, losses, segmentation: structuredClone(this.segmentation), labels: structuredClone(this.info.labels) };
  }

  async undo() {
    ({ info: this.info, segmentation: this.segmentation } = this.before);
    return { model: structuredClone(this.info), segmentation: structuredClone(this.segmentation) };
  }

  async adapter() {
    const header = new TextEncoder().encode(JSON.stringify({ __metadata__: { adapter: '{}', base: '{"name":"rooms"}', classes: this.info.labels.classes } }));
    const bytes = new ArrayBuffer(8 + header.length);
    new DataView(bytes).setBigUint64(0, BigInt(header.length), true);
    new Uint8Array(bytes, 8).set(header);
    return { bytes };
  }
}
