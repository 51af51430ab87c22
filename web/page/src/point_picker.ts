// Which points are seen in a part of the screen: the part is drawn anew with the number of its point as the colour of every pixel,
// and read back without waiting for the GPU.

import { NearestFilter, Scene, WebGLRenderTarget, type PerspectiveCamera, type WebGLRenderer } from 'three';
import type { Cloud } from './cloud';

/** How far from the cursor, in pixels of the page, a point is still meant. */
const REACH = 8;

/** In pixels of the page, from the canvas's upper left. */
export interface Place {
  x: number;
  y: number;
}

export class PointPicker {
  readonly #renderer: WebGLRenderer;
  readonly #camera: PerspectiveCamera;
  readonly #scene: Scene;

  constructor(renderer: WebGLRenderer, camera: PerspectiveCamera, scene: Scene) {
    this.#renderer = renderer;
    this.#camera = camera;
    this.#scene = scene;
  }

  /** The point that is seen nearest to a place, or null if there is none near. */
  async nearest(cloud: Cloud, place: Place, width: number, height: number): Promise<number | null> {
    let best: number | null = null;
    let bestDistance = Infinity;
    await this.#visit(cloud, [place], REACH, width, height, (point, distance) => {
      if (distance < bestDistance) [best, bestDistance] = [point, distance];
    });
    return best;
  }

  /** All points that are seen within circles about the places. */
  async within(cloud: Cloud, places: Place[], radius: number, width: number, height: number): Promise<Set<number>> {
    const found = new Set<number>();
    await this.#visit(cloud, places, radius, width, height, (point) => found.add(point));
    return found;
  }

  /** Calls `see` for every pixel within the circles that shows a point, with the squared distance to the nearest place. */
  async #visit(
    cloud: Cloud,
    places: Place[],
    radius: number,
    width: number,
    height: number,
    see: (point: number, distance: number) => void,
  ): Promise<void> {
    const bound = (value: number, most: number): number => Math.min(most, Math.max(0, Math.round(value)));
    const left = bound(Math.min(...places.map(({ x }) => x)) - radius, width - 1);
    const top = bound(Math.min(...places.map(({ y }) => y)) - radius, height - 1);
    const columns = bound(Math.max(...places.map(({ x }) => x)) + radius, width - 1) - left + 1;
    const rows = bound(Math.max(...places.map(({ y }) => y)) + radius, height - 1) - top + 1;
    const ids = await this.#draw(cloud, left, top, columns, rows, width, height);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        // Rows of pixels come from below.
        const id = ids[(rows - 1 - row) * columns + column]!;
        if (id === 0) continue;
        let distance = Infinity;
        for (const { x, y } of places) {
          const [dx, dy] = [left + column + 0.5 - x, top + row + 0.5 - y];
          distance = Math.min(distance, dx * dx + dy * dy);
        }
        if (distance <= radius * radius) see(id - 1, distance);
      }
    }
  }

  /** The numbers of the points that are seen in a part of the screen, moved up by one; 0 where there is none. */
  async #draw(
    cloud: Cloud,
    left: number,
    top: number,
    columns: number,
    rows: number,
    width: number,
    height: number,
  ): Promise<Uint32Array> {
    const renderer = this.#renderer;
    const target = new WebGLRenderTarget(columns, rows, { minFilter: NearestFilter, magFilter: NearestFilter });
    this.#camera.setViewOffset(width, height, left, top, columns, rows);
    // Sizes in pixels of the page, for this pass has one pixel for each of those.
    const ratio = renderer.getPixelRatio();
    const { pixels } = cloud.picture.uniforms;
    pixels!.value /= ratio;
    cloud.points.material = cloud.ids;
    renderer.setRenderTarget(target);
    renderer.clear();
    renderer.render(this.#scene, this.#camera);
    renderer.setRenderTarget(null);
    cloud.points.material = cloud.picture;
    pixels!.value *= ratio;
    this.#camera.clearViewOffset();
    const bytes = new Uint8Array(4 * columns * rows);
    try {
      await renderer.readRenderTargetPixelsAsync(target, 0, 0, columns, rows, bytes);
    } finally {
      target.dispose();
    }
    return new Uint32Array(bytes.buffer);
  }
}
