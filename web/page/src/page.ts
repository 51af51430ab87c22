// What the parts of the page share: its tools, and what is shown at the moment.

import { Client, type NamedFile } from './client';
import type { Layers } from './colors';
import { byId } from './element';
import type { Sent } from './embedding';
import { Jobs } from './job';
import { Legend } from './legend';
import { announce } from './live';
import { BUNDLED, ModelPicker } from './picker';
import { Picking } from './picking';
import { Plan } from './plan';
import type { DeviceInfo, ModelInfo, OpenedScan, Segmentation } from './protocol';
import { Machine } from './state';
import { Teach } from './teach';
import { ViewControls } from './view_controls';
import { Viewer } from './viewer';

/** The scan that is shown. */
export interface Shown {
  name: string;
  opened: OpenedScan;
  layers: Layers;
  segmentation: Segmentation | null;
  /** If the embedding page has sent it. */
  sent: Sent | null;
}

/** What there was before a lesson. */
export interface BeforeLesson {
  segmentation: Segmentation;
  model: ModelInfo;
  adapter: NamedFile | null;
}

export class Page {
  readonly client = new Client();
  readonly machine = new Machine();
  readonly jobs = new Jobs(() => this.client.cancel());
  readonly legend = new Legend();
  readonly picker = new ModelPicker();
  readonly plan = new Plan();
  readonly viewer = new Viewer(byId<HTMLCanvasElement>('canvas'));
  readonly controls = new ViewControls(this.viewer);
  readonly picking = new Picking(this.viewer);
  readonly teach = new Teach(this.viewer);

  device: DeviceInfo | null = null;
  model: ModelInfo | null = null;
  modelName = BUNDLED;
  shown: Shown | null = null;
  beforeLesson: BeforeLesson | null = null;

  /** Whether work goes on that a click must not end unasked; then it is said. */
  refuseWhileBusy(): boolean {
    if (this.jobs.busy) announce('Something is still being computed. Cancel it first.');
    return this.jobs.busy;
  }
}
