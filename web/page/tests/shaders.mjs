// Compiles every shader in a browser, by the page's own worker.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** `{ entryPoints, problems }`; `page` has the built page of `dist` open. */
export function compileShaders(page, dist) {
  const name = readdirSync(join(dist, 'assets')).find((file) => /^worker-.*\.js$/.test(file));
  return page.evaluate(async (address) => {
    const blob = new Blob([`import ${JSON.stringify(new URL(address, document.baseURI).href)};`], { type: 'text/javascript' });
    const worker = new Worker(URL.createObjectURL(blob), { type: 'module' });
    const answer = new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => {
        if (data.failure) reject(new Error(data.failure.message));
        else if (data.id === 2) resolve(data.answer);
      };
    });
    worker.postMessage({ id: 1, call: 'start', ask: { device: 'software', memory: null } });
    worker.postMessage({ id: 2, call: 'shaders', ask: {} });
    return answer;
  }, `./assets/${name}`);
}
