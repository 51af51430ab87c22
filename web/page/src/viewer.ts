// The canvas: draws the scan when something has changed, and only then.

import { PerspectiveCamera, Scene, Vector3, WebGLRenderer } from 'three';
import type { Cloud } from './cloud';
import { EyeDome } from './eye_dome';
import { Navigation } from './navigation';
import { PointPicker, type Place } from './point_picker';

/** More pixels than this per pixel of the page cost time and are not seen. */
const MOST_PIXELS = 2;

/** Tangent of half the camera's angle of view; the angle is 50 degrees. */
const HALF_ANGLE = Math.tan((25 * Math.PI) / 180);

export class Viewer {
  readonly canvas: HTMLCanvasElement;
  readonly navigation: Navigation;
  /** Told after every picture. */
  onDrawn: () => void = () => {};
  /** Told when the browser takes the canvas away, and when it gives it back. */
  onContext: (lost: boolean) => void = () => {};

  readonly #renderer: WebGLRenderer;
  readonly #scene = new Scene();
  readonly #camera = new PerspectiveCamera(50, 1, 0.01, 100);
  readonly #dome = new EyeDome();
  readonly #picker: PointPicker;
  #cloud: Cloud | null = null;
  #asked = false;
  #lost = false;
  #pointScale = 1;
  /** Share of the width. */
  #split = 0;
  #width = 1;
  #height = 1;

  constructor(canvas: HTMLCanvasElement) {
    this.canvas = canvas;
    this.#renderer = new WebGLRenderer({ canvas, alpha: true, antialias: false, powerPreference: 'high-performance' });
    this.#renderer.setClearColor(0, 0);
    this.#renderer.autoClear = false;
    this.#picker = new PointPicker(this.#renderer, this.#camera, this.#scene);
    this.navigation = new Navigation(this.#camera, canvas, () => this.draw());
    new ResizeObserver(() => this.#fit()).observe(canvas);
    // A window dragged to another screen, or a zoomed page, may change the ratio and not the size.
    addEventListener('resize', () => this.#fit());
    canvas.addEventListener('webglcontextlost', () => this.#setLost(true));
    canvas.addEventListener('webglcontextrestored', () => this.#setLost(false));
    this.#fit();
  }

  get cloud(): Cloud | null {
    return this.#cloud;
  }

  /** Shows another scan, from the first viewpoint. */
  show(cloud: Cloud | null): void {
    if (this.#cloud) {
      this.#scene.remove(this.#cloud.points);
      this.#cloud.dispose();
    }
    this.#cloud = cloud;
    if (cloud) {
      this.#scene.add(cloud.points);
      this.navigation.frame(cloud);
      this.#sizes();
    }
    this.draw();
  }

  /** Asks for a picture before the browser shows the page next. */
  draw(): void {
    if (this.#asked) return;
    this.#asked = true;
    requestAnimationFrame(() => {
      this.#asked = false;
      this.#render();
    });
  }

  set pointScale(scale: number) {
    this.#pointScale = scale;
    this.#sizes();
  }

  /** Edges by depth, and with `relief` surfaces by their direction. */
  shade(edges: boolean, relief: boolean): void {
    this.#dome.on = edges;
    this.#cloud?.uniform('relief', relief ? 0.35 : 0);
    this.draw();
  }

  /** Left of it, as a share of the width, the original colours are shown. */
  set split(share: number) {
    this.#split = share;
    this.#sizes();
  }

  /** Share of the scan's height that is cut away from above. */
  set cut(share: number) {
    const cloud = this.#cloud;
    if (!cloud) return;
    const [low, high] = cloud.heights;
    cloud.uniform('cut', share > 0 ? high - share * (high - low) : Infinity);
    this.draw();
  }

  set seeInto(on: boolean) {
    this.#cloud?.uniform('hideBehind', on);
    this.draw();
  }

  /** The point seen at a place of the canvas; null if there is none. */
  async pick(place: Place): Promise<number | null> {
    if (!this.#cloud || this.#lost) return null;
    return this.#picker.nearest(this.#cloud, place, this.#width, this.#height);
  }

  /** The points seen within circles about places of the canvas. */
  async pickCircles(places: Place[], radius: number): Promise<Set<number>> {
    if (!this.#cloud || this.#lost) return new Set();
    return this.#picker.within(this.#cloud, places, radius, this.#width, this.#height);
  }

  /** Where a point is on the canvas, or null if it is behind the camera. */
  project(point: number): Place | null {
    if (!this.#cloud) return null;
    const { x, y, z } = this.#cloud.place(point, new Vector3()).project(this.#camera);
    return z < 1 ? { x: ((x + 1) / 2) * this.#width, y: ((1 - y) / 2) * this.#height } : null;
  }

  get middle(): Place {
    return { x: this.#width / 2, y: this.#height / 2 };
  }

  /** The picture as it is, on the page's background. */
  async png(): Promise<Blob> {
    this.#render();
    const copy = document.createElement('canvas');
    copy.width = this.canvas.width;
    copy.height = this.canvas.height;
    const context = copy.getContext('2d');
    if (!context) throw new Error('The browser gives no canvas to copy the picture to.');
    context.fillStyle = getComputedStyle(this.canvas.parentElement ?? this.canvas).backgroundColor;
    context.fillRect(0, 0, copy.width, copy.height);
    // In the same task as the rendering: afterwards the browser may clear the drawing buffer.
    context.drawImage(this.canvas, 0, 0);
    return new Promise((resolve, reject) => {
      copy.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('The browser could not make a PNG.'))), 'image/png');
    });
  }

  #render(): void {
    if (this.#lost) return;
    this.#renderer.setRenderTarget(null);
    this.#renderer.clear();
    if (this.#cloud) {
      this.navigation.nearAndFar();
      this.#dome.render(this.#renderer, this.#scene, this.#camera);
    }
    this.onDrawn();
  }

  #fit(): void {
    this.#width = Math.max(1, this.canvas.clientWidth);
    this.#height = Math.max(1, this.canvas.clientHeight);
    this.#renderer.setPixelRatio(Math.min(devicePixelRatio, MOST_PIXELS));
    this.#renderer.setSize(this.#width, this.#height, false);
    this.#camera.aspect = this.#width / this.#height;
    this.#camera.updateProjectionMatrix();
    this.#sizes();
    // At once, for setting the size has cleared the canvas.
    this.#render();
  }

  #sizes(): void {
    const cloud = this.#cloud;
    if (!cloud) return;
    const ratio = this.#renderer.getPixelRatio();
    // Splats somewhat larger than the spacing close the surface.
    cloud.uniform('size', 1.8 * cloud.extent.spacing * this.#pointScale);
    cloud.uniform('pixels', (ratio * this.#height) / (2 * HALF_ANGLE));
    cloud.uniform('split', this.#split * this.#width * ratio);
    cloud.pixelRange(1.5 * ratio * Math.min(1, this.#pointScale), 48 * ratio);
    this.draw();
  }

  #setLost(lost: boolean): void {
    this.#lost = lost;
    this.onContext(lost);
    if (!lost) this.draw();
  }
}
