// A click on a point, Enter for the one in the middle, and the ring around the picked one.

import { Vector3 } from 'three';
import { byId } from './element';
import type { Place } from './point_picker';
import type { Viewer } from './viewer';

/** Pixels that a finger or mouse may move and still have clicked. */
const SLACK = 5;

export class Picking {
  onPick: (point: number | null) => void = () => {};
  /** While false, clicks belong to others. */
  enabled = false;

  readonly #viewer: Viewer;
  readonly #marker = byId('marker');
  #point: number | null = null;

  constructor(viewer: Viewer) {
    this.#viewer = viewer;
    const { canvas } = viewer;
    let down: { x: number; y: number } | null = null;
    canvas.addEventListener('pointerdown', (event) => {
      down = event.isPrimary && event.button === 0 ? { x: event.clientX, y: event.clientY } : null;
    });
    canvas.addEventListener('pointerup', (event) => {
      const still = down && Math.hypot(event.clientX - down.x, event.clientY - down.y) <= SLACK;
      down = null;
      if (still && this.enabled) void this.#pick({ x: event.offsetX, y: event.offsetY });
    });
    canvas.addEventListener('dblclick', (event) => void this.#focus({ x: event.offsetX, y: event.offsetY }));
    viewer.onDrawn = () => this.#placeMarker();
  }

  get point(): number | null {
    return this.#point;
  }

  set point(point: number | null) {
    this.#point = point;
    this.#placeMarker();
  }

  pickMiddle(): Promise<void> {
    return this.#pick(this.#viewer.middle);
  }

  focusMiddle(): Promise<void> {
    return this.#focus(this.#viewer.middle);
  }

  async #pick(place: Place): Promise<void> {
    this.onPick(await this.#viewer.pick(place));
  }

  async #focus(place: Place): Promise<void> {
    const point = await this.#viewer.pick(place);
    const { cloud } = this.#viewer;
    if (point !== null && cloud) this.#viewer.navigation.focus(cloud.place(point, new Vector3()));
  }

  #placeMarker(): void {
    const place = this.#point === null ? null : this.#viewer.project(this.#point);
    this.#marker.hidden = !place;
    if (place) this.#marker.style.translate = `${place.x}px ${place.y}px`;
  }
}
