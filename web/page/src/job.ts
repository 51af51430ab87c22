// The card of the work that goes on: what, how far, how long still, and a button to end it. One piece of work at a time.

import { byId } from './element';
import { cancelled } from './failure';
import { announce } from './live';
import type { Progress } from './protocol';
import { duration, roughly } from './quantities';
import { stageName } from './stages';

/** Milliseconds before the card appears: what is done by then needs none. */
const PATIENCE = 250;

export interface Running {
  onProgress: (progress: Progress['progress']) => void;
  /** Aborted when the user cancels. Calls of the client then fail by themselves; what waits for something else must look. */
  signal: AbortSignal;
}

export interface JobOptions {
  /** Seconds that it will take, if the device has shown that. */
  expected?: number | null;
  /** Told of every progress, beside the card. */
  onProgress?: (progress: Progress['progress']) => void;
}

export class Jobs {
  /** Told when work begins and when it ends. */
  onBusy: (busy: boolean) => void = () => {};

  readonly #card = byId('job');
  readonly #title = byId('job-title');
  readonly #bar = byId<HTMLProgressElement>('job-bar');
  readonly #stage = byId('job-stage');
  readonly #time = byId('job-time');
  readonly #cancelButton = byId<HTMLButtonElement>('job-cancel');
  readonly #stop: () => void;
  #running: AbortController | null = null;

  /** `stop` ends the work of the worker. */
  constructor(stop: () => void) {
    this.#stop = stop;
    this.#cancelButton.addEventListener('click', () => this.cancel());
  }

  get busy(): boolean {
    return this.#running !== null;
  }

  cancel(): void {
    if (!this.#running) return;
    this.#running.abort(cancelled());
    this.#stop();
    announce('Cancelled');
  }

  async run<T>(title: string, work: (running: Running) => Promise<T>, options: JobOptions = {}): Promise<T> {
    // What comes later is what the user wants.
    this.cancel();
    const job = new AbortController();
    const since = performance.now();
    this.#running = job;
    this.onBusy(true);
    let shown = false;
    const show = setTimeout(() => {
      shown = true;
      this.#card.hidden = false;
      // The button that began this may be gone.
      if (document.activeElement === document.body) this.#cancelButton.focus({ preventScroll: true });
      announce(title);
    }, PATIENCE);
    this.#title.textContent = title;
    this.#bar.removeAttribute('value');
    this.#stage.textContent = '';
    let done = 0;
    let quarter = 0;
    // What comes before the first step, such as its shaders, says nothing of the speed of the others.
    let started: number | null = null;
    const tell = (): void => {
      const now = performance.now();
      const measured = started === null ? 0 : (now - started) / 1000;
      this.#time.textContent = timeText((now - since) / 1000, measured, done, options.expected ?? null);
    };
    tell();
    const clock = setInterval(tell, 500);
    try {
      const given = work({
        signal: job.signal,
        onProgress: (progress) => {
          if (this.#running !== job) return;
          started ??= performance.now();
          done = progress.done;
          this.#bar.value = done;
          this.#stage.textContent = stageName(progress.stage);
          tell();
          // A screen reader is told four times, not of every step.
          if (Math.floor(4 * done) > quarter && done < 1) {
            quarter = Math.floor(4 * done);
            if (shown) announce(`${25 * quarter} percent`);
          }
          options.onProgress?.(progress);
        },
      });
      const stopped = new Promise<never>((_, reject) => {
        job.signal.addEventListener('abort', () => reject(job.signal.reason as Error));
      });
      // What the work does after that is of no interest.
      given.catch(() => {});
      return await Promise.race([given, stopped]);
    } finally {
      clearTimeout(show);
      clearInterval(clock);
      if (this.#running === job) {
        this.#running = null;
        this.#card.hidden = true;
        this.onBusy(false);
      }
    }
  }
}

/** Since the start, and how long still: by the speed of the `measured` seconds, else by what was expected. */
function timeText(elapsed: number, measured: number, done: number, expected: number | null): string {
  const left = done > 0.05 && measured > 0.5 ? (measured * (1 - done)) / done : expected === null ? null : expected - elapsed;
  return left !== null && left > 0 ? `${duration(elapsed)}, ${roughly(left)} left` : duration(elapsed);
}
