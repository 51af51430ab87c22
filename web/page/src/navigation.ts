// Moving around a scan: by mouse and touch (three's OrbitControls), by keys, and to fixed viewpoints.

import { MOUSE, TOUCH, Vector3, type PerspectiveCamera } from 'three';
import { OrbitControls } from 'three/examples/jsm/controls/OrbitControls.js';
import type { Cloud } from './cloud';

/** Radians per press of an arrow key. */
const TURN = 0.12;
/** Pixels per press of an arrow key with Shift. */
const MOVE = 40;
/** The distance that a press of plus leaves. */
const ZOOM = 0.87;

export type Viewpoint = 'reset' | 'top' | 'front';

/** From where the camera looks at the middle. Not quite from above for `top`: there, up would have no direction. */
const DIRECTIONS: Record<Viewpoint, Vector3> = {
  reset: new Vector3(-0.62, -1, 0.78).normalize(),
  top: new Vector3(0, -0.0005, 1).normalize(),
  front: new Vector3(0, -1, 0),
};

export class Navigation {
  readonly #camera: PerspectiveCamera;
  readonly #controls: OrbitControls;
  #radius = 1;

  constructor(camera: PerspectiveCamera, canvas: HTMLCanvasElement, onChange: () => void) {
    this.#camera = camera;
    camera.up.set(0, 0, 1);
    camera.position.copy(DIRECTIONS.reset);
    this.#controls = new OrbitControls(camera, canvas);
    this.#controls.enableDamping = false;
    this.#controls.zoomToCursor = true;
    this.#controls.addEventListener('change', onChange);
    canvas.addEventListener('keydown', (event) => this.#key(event));
  }

  /** From where a new scan is seen first. */
  frame(cloud: Cloud): void {
    const { low, high } = cloud.extent;
    this.#radius = Math.max(Math.hypot(high[0] - low[0], high[1] - low[1], high[2] - low[2]) / 2, 1e-3);
    this.#controls.minDistance = this.#radius / 200;
    this.#controls.maxDistance = this.#radius * 8;
    this.look('reset');
  }

  look(from: Viewpoint): void {
    // On a narrow screen the sides bound the view.
    const narrow = Math.min(1, this.#camera.aspect);
    const distance = (this.#radius * 0.97) / (Math.sin((25 * Math.PI) / 180) * narrow);
    this.#controls.target.set(0, 0, 0);
    this.#camera.position.copy(DIRECTIONS[from]).multiplyScalar(distance);
    this.#controls.update();
  }

  /** Turns about this place from here on, and brings it to the middle. */
  focus(place: Vector3): void {
    const start = this.#controls.target.clone();
    const offset = place.clone().sub(start);
    const move = (share: number): void => {
      const target = start.clone().addScaledVector(offset, share);
      this.#camera.position.add(target.clone().sub(this.#controls.target));
      this.#controls.target.copy(target);
      this.#controls.update();
    };
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) {
      move(1);
      return;
    }
    const begin = performance.now();
    const step = (now: number): void => {
      const share = Math.min(1, Math.max(0, now - begin) / 250);
      move(1 - (1 - share) ** 3);
      if (share < 1) requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  /** While painting, the left button and one finger belong to the brush; the right button and two fingers turn. */
  set painting(painting: boolean) {
    this.#controls.mouseButtons = painting
      ? { LEFT: null, MIDDLE: MOUSE.PAN, RIGHT: MOUSE.ROTATE }
      : { LEFT: MOUSE.ROTATE, MIDDLE: MOUSE.DOLLY, RIGHT: MOUSE.PAN };
    this.#controls.touches = painting
      ? { ONE: null, TWO: TOUCH.DOLLY_ROTATE }
      : { ONE: TOUCH.ROTATE, TWO: TOUCH.DOLLY_PAN };
    this.#controls.cursorStyle = painting ? 'auto' : 'grab';
  }

  /** Depth is kept for what is there: as little before and behind the scan as can be. */
  nearAndFar(): void {
    const distance = this.#camera.position.length();
    const reach = 1.05 * this.#radius;
    this.#camera.near = Math.max(distance - reach, this.#radius / 400);
    this.#camera.far = Math.max(distance + reach, 2 * this.#camera.near);
    this.#camera.updateProjectionMatrix();
  }

  #key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const turn = !event.shiftKey;
    const controls = this.#controls;
    const keys: Record<string, () => void> = {
      ArrowLeft: () => (turn ? controls.rotateLeft(TURN) : controls.pan(MOVE, 0)),
      ArrowRight: () => (turn ? controls.rotateLeft(-TURN) : controls.pan(-MOVE, 0)),
      ArrowUp: () => (turn ? controls.rotateUp(TURN) : controls.pan(0, MOVE)),
      ArrowDown: () => (turn ? controls.rotateUp(-TURN) : controls.pan(0, -MOVE)),
      '+': () => controls.dollyIn(ZOOM),
      '=': () => controls.dollyIn(ZOOM),
      '-': () => controls.dollyOut(ZOOM),
    };
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }
}
