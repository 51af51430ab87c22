// The brush: follows the pointer over the canvas and asks which points are seen under it. One question at a time: the places that the
// pointer comes to meanwhile are collected and asked together.

import { byId } from './element';
import type { Place } from './point_picker';
import type { Viewer } from './viewer';

/** Places that are asked together at most, so that an answer stays short. */
const TOGETHER = 24;

interface Stroke {
  pointer: number;
  /** Where the pointer was, and has not been asked for. */
  places: Place[];
  last: Place;
  begun: boolean;
  ended: boolean;
}

export class Brush {
  onBegin: () => void = () => {};
  onPaint: (points: Set<number>) => void = () => {};
  onEnd: () => void = () => {};

  readonly #viewer: Viewer;
  readonly #ring = byId('brush-ring');
  #radius = 16;
  #active = false;
  /** In the order in which they were begun; all but the last have ended. */
  readonly #strokes: Stroke[] = [];
  #working = false;

  constructor(viewer: Viewer) {
    this.#viewer = viewer;
    const { canvas } = viewer;
    canvas.addEventListener('pointerdown', (event) => this.#down(event));
    canvas.addEventListener('pointermove', (event) => this.#move(event));
    for (const type of ['pointerup', 'pointercancel'] as const) canvas.addEventListener(type, (event) => this.#up(event));
    canvas.addEventListener('pointerleave', () => (this.#ring.hidden = true));
  }

  set radius(radius: number) {
    this.#radius = radius;
    this.#ring.style.setProperty('--radius', `${radius}px`);
  }

  set active(active: boolean) {
    this.#active = active;
    this.#viewer.navigation.painting = active;
    this.#viewer.canvas.classList.toggle('painting', active);
    if (!active) this.#ring.hidden = true;
  }

  /** A dab in the middle of the view, for those who paint by keys. */
  dab(): void {
    this.#begin(-1, this.#viewer.middle).ended = true;
  }

  #begin(pointer: number, place: Place): Stroke {
    const stroke = { pointer, places: [place], last: place, begun: false, ended: false };
    this.#strokes.push(stroke);
    if (!this.#working) void this.#work();
    return stroke;
  }

  #down(event: PointerEvent): void {
    if (!this.#active || event.button !== 0) return;
    const current = this.#strokes.at(-1);
    if (event.isPrimary) {
      this.#begin(event.pointerId, { x: event.offsetX, y: event.offsetY });
    } else if (current) {
      // A second finger: this is a gesture, not a stroke.
      current.ended = true;
      current.places.length = 0;
    }
  }

  #move(event: PointerEvent): void {
    if (!this.#active) return;
    const to = { x: event.offsetX, y: event.offsetY };
    this.#ring.hidden = event.pointerType === 'touch';
    this.#ring.style.setProperty('--x', `${to.x}px`);
    this.#ring.style.setProperty('--y', `${to.y}px`);
    const stroke = this.#strokes.at(-1);
    if (!stroke || stroke.ended || stroke.pointer !== event.pointerId) return;
    // A fast pointer leaves gaps between its events.
    const { x, y } = stroke.last;
    const steps = Math.max(1, Math.ceil((2 * Math.hypot(to.x - x, to.y - y)) / this.#radius));
    for (let i = 1; i <= steps; i++) stroke.places.push({ x: x + ((to.x - x) * i) / steps, y: y + ((to.y - y) * i) / steps });
    stroke.last = to;
    if (!this.#working) void this.#work();
  }

  #up(event: PointerEvent): void {
    const stroke = this.#strokes.at(-1);
    if (!stroke || stroke.ended || stroke.pointer !== event.pointerId) return;
    stroke.ended = true;
    if (!this.#working) void this.#work();
  }

  /** Asks until there is nothing to ask, stroke after stroke. */
  async #work(): Promise<void> {
    this.#working = true;
    try {
      for (let stroke = this.#strokes[0]; stroke; stroke = this.#strokes[0]) {
        const places = stroke.places.splice(0, TOGETHER);
        if (places.length > 0) {
          const points = await this.#viewer.pickCircles(places, this.#radius);
          if (!stroke.begun) this.onBegin();
          stroke.begun = true;
          this.onPaint(points);
        } else if (stroke.ended) {
          this.#strokes.shift();
          if (stroke.begun) this.onEnd();
        } else {
          return;
        }
      }
    } finally {
      this.#working = false;
    }
  }
}
