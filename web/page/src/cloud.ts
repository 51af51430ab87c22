// The points as three.js draws them.

import {
  BufferAttribute,
  BufferGeometry,
  DataTexture,
  GLSL3,
  Points,
  Quaternion,
  RawShaderMaterial,
  Vector2,
  Vector3,
} from 'three';
import type { Extent } from './extent';
import { nextTask, SLICE } from './next_task';
import { FRAGMENT, ID_FRAGMENT, NOWHERE, TABLE, VERTEX } from './point_shader';
import type { Class, OpenedScan } from './protocol';
import type { Up } from './up';

export class Cloud {
  readonly points: Points<BufferGeometry, RawShaderMaterial>;
  readonly extent: Extent;
  readonly count: number;
  /** Colours left of the split and right of it, four bytes per point. */
  readonly original: Uint8Array;
  readonly shade: Uint8Array;
  /** Lowest and highest point along up, which is the world's z. */
  readonly heights: [number, number];

  readonly picture: RawShaderMaterial;
  readonly ids: RawShaderMaterial;

  readonly #tags: Uint16Array;
  readonly #table = new Uint8Array(4 * TABLE).fill(255);
  readonly #classes = new DataTexture(this.#table, TABLE, 1);

  private constructor(
    { positions }: OpenedScan,
    extent: Extent,
    up: Up,
    drawn: Float32Array,
    normals: Int8Array,
    tags: Uint16Array,
  ) {
    this.extent = extent;
    this.count = positions.length / 3;
    this.original = new Uint8Array(4 * this.count).fill(148);
    this.shade = new Uint8Array(4 * this.count).fill(148);
    this.#tags = tags;

    const uniforms = {
      size: { value: 1 },
      pixels: { value: 1 },
      pixelRange: { value: new Vector2(1, 64) },
      cut: { value: Infinity },
      hideBehind: { value: false },
      relief: { value: 0 },
      classes: { value: this.#classes },
      split: { value: 0 },
    };
    const common = { glslVersion: GLSL3, vertexShader: VERTEX, uniforms };
    this.picture = new RawShaderMaterial({ ...common, fragmentShader: FRAGMENT });
    this.ids = new RawShaderMaterial({ ...common, fragmentShader: ID_FRAGMENT });
    this.#classes.needsUpdate = true;

    const geometry = new BufferGeometry();
    geometry.setAttribute('position', new BufferAttribute(drawn, 3));
    geometry.setAttribute('original', new BufferAttribute(this.original, 4, true));
    geometry.setAttribute('shade', new BufferAttribute(this.shade, 4, true));
    geometry.setAttribute('normal', new BufferAttribute(normals, 4, true));
    geometry.setAttribute('tag', new BufferAttribute(tags, 2));
    this.points = new Points(geometry, this.picture);
    this.points.frustumCulled = false;

    const axis = new Vector3().setComponent(up.axis, up.sign);
    this.points.quaternion.copy(new Quaternion().setFromUnitVectors(axis, new Vector3(0, 0, 1)));
    const ends = [extent.low[up.axis] * up.sign, extent.high[up.axis] * up.sign];
    this.heights = [Math.min(...ends), Math.max(...ends)];
  }

  static async of(opened: OpenedScan, extent: Extent, up: Up): Promise<Cloud> {
    const { positions, normals } = opened;
    const count = positions.length / 3;
    const tags = new Uint16Array(2 * count);
    const directions = new Int8Array(4 * count);
    const drawn = extent.finite === count ? positions : positions.slice();
    for (let from = 0; from < count; from += SLICE) {
      if (from > 0) await nextTask();
      for (let i = from; i < Math.min(from + SLICE, count); i++) {
        if (normals) for (let axis = 0; axis < 3; axis++) directions[4 * i + axis] = 127 * normals[3 * i + axis]!;
        if (drawn === positions || Number.isFinite(drawn[3 * i]! + drawn[3 * i + 1]! + drawn[3 * i + 2]!)) continue;
        tags[2 * i] = NOWHERE;
        drawn.fill(0, 3 * i, 3 * i + 3);
      }
    }
    return new Cloud(opened, extent, up, drawn, directions, tags);
  }

  uniform(name: 'size' | 'pixels' | 'cut' | 'hideBehind' | 'relief' | 'split', value: number | boolean): void {
    this.picture.uniforms[name]!.value = value;
  }

  pixelRange(low: number, high: number): void {
    (this.picture.uniforms['pixelRange']!.value as Vector2).set(low, high);
  }

  colorsChanged(which: 'original' | 'shade'): void {
    this.points.geometry.getAttribute(which).needsUpdate = true;
  }

  setLabels(labels: Int32Array | null): void {
    for (let i = 0; i < this.count; i++) {
      if (this.#tags[2 * i] !== NOWHERE) this.#tags[2 * i] = (labels?.[i] ?? -1) + 1;
    }
    this.#tagsChanged();
  }

  /** Marks points as painted with a class, -1 for not painted. */
  setPaint(points: Iterable<number>, id: number): void {
    for (const point of points) this.#tags[2 * point + 1] = id + 1;
    this.#tagsChanged();
  }

  /** Colours of classes, and which of them are to be seen; -1 stands for points without one. */
  setClasses(classes: Class[], visible: (id: number) => boolean): void {
    this.#table.fill(255);
    for (const { id, color } of classes) {
      if (id + 1 < TABLE) this.#table.set([...color, visible(id) ? 255 : 0], 4 * (id + 1));
    }
    this.#table[3] = visible(-1) ? 255 : 0;
    this.#classes.needsUpdate = true;
  }

  /** Where a point is in the world. */
  place(point: number, into: Vector3): Vector3 {
    return into
      .fromBufferAttribute(this.points.geometry.getAttribute('position'), point)
      .applyQuaternion(this.points.quaternion);
  }

  dispose(): void {
    this.points.geometry.dispose();
    this.picture.dispose();
    this.ids.dispose();
    this.#classes.dispose();
  }

  #tagsChanged(): void {
    this.points.geometry.getAttribute('tag').needsUpdate = true;
  }
}
