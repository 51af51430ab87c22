// The page's side of the worker: calls as promises, and the memory of what the worker should hold.
//
// Work in WebAssembly cannot be interrupted, so to cancel is to end the worker. The client keeps the files that the worker was
// given, and gives them to the next worker when something is asked that needs them, not before.

import { bytesOf, cancelled, Rejection } from './failure';
import type { Answer, Call, Calls, DeviceInfo, ModelInfo, OpenedScan, Progress, Segmentation, TeachReport } from './protocol';
import { inPageWords } from './words';
import workerAddress from './worker.ts?worker&url';

export interface NamedFile {
  name: string;
  file: Blob;
}

export type OnProgress = (progress: Progress['progress']) => void;

/** What a worker has, each with all before it. */
const LEVELS = ['nothing', 'device', 'model', 'scan', 'labels'] as const;
type Level = (typeof LEVELS)[number];

interface Pending {
  resolve: (answer: unknown) => void;
  reject: (rejection: Rejection) => void;
  onProgress: OnProgress | undefined;
}

export class Client {
  /** Told whenever a worker has found its device, also when a later one finds another. */
  onDevice: (device: DeviceInfo) => void = () => {};

  /** The most bytes that tensors may take; null for what a tab can be trusted with. */
  memory: number | null = null;

  #worker: Worker | null = null;
  #pending = new Map<number, Pending>();
  #next = 1;
  #turn: Promise<unknown> = Promise.resolve();
  /** Grows with every cancel, so that calls which still wait for their turn know that they are off. */
  #generation = 0;

  #has: Level = 'nothing';
  /** Whether the worker itself knows the state before the last `teach`. */
  #canUndo = false;

  #device = 'auto';
  #model: NamedFile | null = null;
  #adapter: NamedFile | null = null;
  #scan: NamedFile | null = null;
  #gridSize: number | null = null;
  /** Whether the last run had to take smaller pieces. */
  #smaller = false;

  get adapter(): NamedFile | null {
    return this.#adapter;
  }

  /** Whether the next call must first bring a worker to where the last one was. */
  get mustRestore(): boolean {
    return this.#has === 'nothing';
  }

  start(device: string): Promise<DeviceInfo> {
    this.#device = device;
    this.cancel();
    return this.#inTurn(() => this.#start());
  }

  model(model: NamedFile): Promise<ModelInfo> {
    return this.#inTurn(async () => {
      await this.#reach('device');
      const info = await this.#sendFile('model', model);
      this.#model = model;
      this.#adapter = null;
      this.#has = this.#has === 'labels' || this.#has === 'scan' ? 'scan' : 'model';
      return info;
    });
  }

  /** Lays an adapter over the model as it came from its file, not over an adapter before. */
  applyAdapter(adapter: NamedFile): Promise<ModelInfo> {
    return this.#inTurn(async () => {
      await this.#reach('model');
      if (this.#adapter && this.#model) await this.#sendFile('model', this.#model);
      const info = await this.#sendFile('applyAdapter', adapter);
      this.#adapter = adapter;
      if (this.#has === 'labels') this.#has = 'scan';
      return info;
    });
  }

  /** The model as it came from its file. */
  removeAdapter(): Promise<ModelInfo> {
    if (!this.#model) throw new Error('there is no model to take an adapter from');
    return this.model(this.#model);
  }

  open(scan: NamedFile): Promise<OpenedScan> {
    return this.#inTurn(async () => {
      await this.#reach(this.#model ? 'model' : 'device');
      // After a failure the worker may have no scan, and gets the one before when that is needed.
      if (this.#has !== 'device') this.#has = 'model';
      const opened = await this.#sendFile('open', scan);
      this.#scan = scan;
      if (this.#has === 'model') this.#has = 'scan';
      return opened;
    });
  }

  segment(gridSize: number | null, smaller: boolean, onProgress?: OnProgress): Promise<Segmentation> {
    return this.#inTurn(async () => {
      await this.#reach('scan', onProgress);
      const segmentation = await this.#send('segment', { gridSize, smaller }, onProgress);
      this.#gridSize = gridSize;
      this.#smaller = smaller;
      this.#has = 'labels';
      return segmentation;
    });
  }

  /** What was learned is fetched at once, so that a later worker can be brought to it. */
  teach(ask: Calls['teach']['ask'], onProgress?: OnProgress): Promise<{ report: TeachReport; adapter: NamedFile }> {
    return this.#inTurn(async () => {
      await this.#reach('labels', onProgress);
      const report = await this.#send('teach', ask, onProgress);
      const { bytes } = await this.#send('adapter', {});
      const adapter = { name: 'adapter.safetensors', file: new Blob([bytes]) };
      this.#adapter = adapter;
      this.#canUndo = true;
      return { report, adapter };
    });
  }

  /**
   * Goes back to before the last `teach`, when `adapter` was in use. Null if the worker that learned is gone: the next one will
   * start from there, and the page shows what it has kept.
   */
  undo(adapter: NamedFile | null): Promise<Calls['undo']['answer'] | null> {
    return this.#inTurn(async () => {
      const answer = this.#canUndo && this.#has === 'labels' ? await this.#send('undo', {}) : null;
      this.#adapter = adapter;
      this.#canUndo = false;
      if (!answer) this.#end();
      return answer;
    });
  }

  estimate(gridSize: number | null): Promise<Calls['estimate']['answer']> {
    return this.#inTurn(async () => {
      await this.#reach('scan');
      return this.#send('estimate', { gridSize });
    });
  }

  /** The calls about a labelled scan that change nothing. */
  ask<C extends 'features' | 'similar' | 'point' | 'export'>(
    call: C,
    ask: Calls[C]['ask'],
    onProgress?: OnProgress,
  ): Promise<Calls[C]['answer']> {
    return this.#inTurn(async () => {
      await this.#reach('labels', onProgress);
      return this.#send(call, ask, onProgress);
    });
  }

  /** Ends the worker and with it all that it was doing or was to do. */
  cancel(): void {
    this.#generation += 1;
    this.#end();
  }

  /** Another worker, on another device if one is named, at the next call. */
  restart(device = this.#device): void {
    this.#device = device;
    this.#end();
  }

  #end(rejection: Rejection = cancelled()): void {
    this.#worker?.terminate();
    this.#worker = null;
    this.#has = 'nothing';
    this.#canUndo = false;
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of pending) reject(rejection);
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const generation = this.#generation;
    const result = this.#turn.then(() => {
      if (generation !== this.#generation) throw cancelled();
      return work();
    });
    this.#turn = result.catch(() => {});
    return result;
  }

  /** Brings the worker to a level, from wherever it is. */
  async #reach(level: Level, onProgress?: OnProgress): Promise<void> {
    const lacks = (step: Level): boolean =>
      LEVELS.indexOf(this.#has) < LEVELS.indexOf(step) && LEVELS.indexOf(step) <= LEVELS.indexOf(level);
    if (lacks('device')) await this.#start();
    if (lacks('model') && this.#model) {
      await this.#sendFile('model', this.#model);
      if (this.#adapter) await this.#sendFile('applyAdapter', this.#adapter);
      this.#has = 'model';
    }
    if (lacks('scan') && this.#scan) {
      await this.#sendFile('open', this.#scan);
      this.#has = 'scan';
    }
    if (lacks('labels')) {
      await this.#send('segment', { gridSize: this.#gridSize, smaller: this.#smaller }, onProgress);
      this.#has = 'labels';
    }
  }

  async #start(): Promise<DeviceInfo> {
    const device = await this.#send('start', { device: this.#device, memory: this.memory });
    this.#has = 'device';
    this.onDevice(device);
    return device;
  }

  async #sendFile<C extends 'model' | 'open' | 'applyAdapter'>(call: C, { name, file }: NamedFile): Promise<Calls[C]['answer']> {
    const worker = this.#worker;
    const bytes = await bytesOf(name, file);
    if (worker !== this.#worker) throw cancelled();
    return this.#send(call, { name, bytes }, undefined, [bytes]);
  }

  #send<C extends Call>(
    call: C,
    ask: Calls[C]['ask'],
    onProgress?: OnProgress,
    transfer: Transferable[] = [],
  ): Promise<Calls[C]['answer']> {
    const worker = (this.#worker ??= this.#startWorker());
    const id = this.#next++;
    return new Promise<Calls[C]['answer']>((resolve, reject) => {
      this.#pending.set(id, { resolve: (answer) => resolve(answer as Calls[C]['answer']), reject, onProgress });
      worker.postMessage({ id, call, ask }, transfer);
    });
  }

  #startWorker(): Worker {
    // From a blob: address, because such a worker inherits the content security policy of the page. One from the network would
    // get the policy of its own response, which on a host without special headers is none.
    const address = new URL(workerAddress, document.baseURI).href;
    const blob = URL.createObjectURL(new Blob([`import ${JSON.stringify(address)};`], { type: 'text/javascript' }));
    const worker = new Worker(blob, { type: 'module', name: 'pointtpa' });
    worker.onmessage = ({ data }: MessageEvent<Answer | Progress>) => {
      if (worker === this.#worker) this.#receive(data);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      if (worker !== this.#worker) return;
      const message = `The computation broke off (${event.message || 'its program could not be loaded'}). Try again; if it happens again, load the page anew.`;
      this.#end(new Rejection({ kind: 'crash', message }));
    };
    return worker;
  }

  #receive(message: Answer | Progress): void {
    const pending = this.#pending.get(message.id);
    if (!pending) return;
    if ('progress' in message) {
      pending.onProgress?.(message.progress);
      return;
    }
    this.#pending.delete(message.id);
    if ('answer' in message) {
      pending.resolve(message.answer);
      return;
    }
    const { failure } = message;
    // After these the worker is of no use.
    if (failure.kind === 'device-lost' || failure.kind === 'crash') this.#end();
    pending.reject(new Rejection({ kind: failure.kind, message: inPageWords(failure.message) }));
  }
}
