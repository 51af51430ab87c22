// The line between before and after: left of it the original colours, right of it the chosen ones.

import { byId } from './element';

export class Split {
  /** Share of the width, 0 to 1; 0 while it is hidden. */
  onMove: (share: number) => void = () => {};

  readonly #line = byId('split');
  readonly #handle = byId('split-handle');
  readonly #right = byId('split-right');
  #share = 0.5;

  constructor() {
    const handle = this.#handle;
    handle.addEventListener('pointerdown', (event) => {
      handle.setPointerCapture(event.pointerId);
      event.preventDefault();
      handle.focus();
    });
    handle.addEventListener('pointermove', (event) => {
      if (!handle.hasPointerCapture(event.pointerId)) return;
      const { left, width } = this.#line.getBoundingClientRect();
      this.#move((event.clientX - left) / width);
    });
    handle.addEventListener('keydown', (event) => {
      const step = event.shiftKey ? 0.1 : 0.02;
      const to: Record<string, number> = {
        ArrowLeft: this.#share - step,
        ArrowDown: this.#share - step,
        ArrowRight: this.#share + step,
        ArrowUp: this.#share + step,
        PageDown: this.#share - 0.1,
        PageUp: this.#share + 0.1,
        Home: 0,
        End: 1,
      };
      const share = to[event.key];
      if (share === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      this.#move(share);
    });
  }

  get shown(): boolean {
    return !this.#line.hidden;
  }

  set shown(shown: boolean) {
    this.#line.hidden = !shown;
    this.#move(this.#share);
  }

  /** What stands on the right side. */
  set name(name: string) {
    this.#right.textContent = name;
  }

  #move(share: number): void {
    this.#share = Math.min(1, Math.max(0, share));
    const percent = Math.round(100 * this.#share);
    this.#line.style.setProperty('--split', `${100 * this.#share}%`);
    this.#handle.setAttribute('aria-valuenow', String(percent));
    this.#handle.setAttribute('aria-valuetext', `${percent} % original`);
    this.onMove(this.shown ? this.#share : 0);
  }
}
