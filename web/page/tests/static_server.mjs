// A host of static files without special headers, as the page expects no more.

import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
};

/** Serves a folder on a free port of this machine. `other` answers paths that are no files. */
export async function serve(folder, other = {}) {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://here');
    if (other[pathname]) {
      other[pathname](request, response);
      return;
    }
    const file = join(folder, normalize(decodeURIComponent(pathname.endsWith('/') ? `${pathname}index.html` : pathname)));
    const size = file.startsWith(folder) && statSync(file, { throwIfNoEntry: false })?.isFile() ? statSync(file).size : null;
    if (size === null) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream', 'content-length': size });
    createReadStream(file).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { address: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}
