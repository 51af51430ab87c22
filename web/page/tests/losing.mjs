// A host whose page loses its GPU in the middle of its first run. Firefox lets no test into a worker, so the loss comes with the worker.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { serve } from './static_server.mjs';

/** Before the worker's own program: the third commands that it encodes end the device, if the host says that this is the first worker. */
const LOSS = `
  let losing = false;
  fetch(new URL('/losing', import.meta.url)).then((answer) => answer.text()).then((text) => (losing = text === 'yes'));
  const create = GPUDevice.prototype.createCommandEncoder;
  let calls = 0;
  GPUDevice.prototype.createCommandEncoder = function (...options) {
    if (++calls >= 3 && losing) {
      losing = false;
      this.destroy();
    }
    return create.apply(this, options);
  };
`;

/** Serves the built page of `dist`; `workers()` is how many there have been. */
export async function serveLosing(dist) {
  const worker = readdirSync(join(dist, 'assets')).find((name) => name.startsWith('worker'));
  const script = LOSS + readFileSync(join(dist, 'assets', worker), 'utf8');
  let workers = 0;
  const host = await serve(dist, {
    [`/assets/${worker}`]: (_, response) => response.writeHead(200, { 'content-type': 'text/javascript' }).end(script),
    '/losing': (_, response) => response.writeHead(200, { 'content-type': 'text/plain', 'cache-control': 'no-store' }).end(workers++ ? 'no' : 'yes'),
  });
  return { ...host, workers: () => workers };
}
