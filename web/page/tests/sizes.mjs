// The sizes of what a visitor loads, compressed as hosts send it, and the most they may be.
//
//   npm run sizes     of web/dist

import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const DIST = fileURLToPath(new URL('../../dist', import.meta.url));
/** Kilobytes of 1,000 bytes. */
const MOST_MODULE = 900;
const MOST_PAGE = 1200;

const files = readdirSync(DIST, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => relative(DIST, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
  // Weights and scenes are loaded beside the page.
  .filter((file) => !file.endsWith('.safetensors') && !file.startsWith('samples/'))
  .map((file) => ({ file, size: gzipSync(readFileSync(join(DIST, file)), { level: 9 }).length / 1000 }))
  .sort((a, b) => b.size - a.size);
for (const { file, size } of files) console.log(`${size.toFixed(1).padStart(8)} kB  ${file}`);

const sum = (some) => some.reduce((total, { size }) => total + size, 0);
const module = files.filter(({ file }) => file.endsWith('.wasm'));
if (module.length !== 1) throw new Error(`${module.length} modules in ${DIST}`);
const over = [
  ['the module', sum(module), MOST_MODULE],
  ['the page with it', sum(files), MOST_PAGE],
].filter(([what, size, most]) => {
  console.log(`${size.toFixed(1).padStart(8)} kB of ${most} kB: ${what}`);
  return size > most;
});
if (over.length > 0) process.exitCode = 1;
