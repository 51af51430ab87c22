// The page with a fake engine instead of the WebAssembly module, for its own test. Not a part of what is shipped.

import { fileURLToPath } from 'node:url';
import { mergeConfig } from 'vite';
import page from '../../vite.config.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default mergeConfig(page, {
  resolve: { alias: { 'pointtpa-web': here('fake_engine.js') } },
  build: { outDir: here('../../node_modules/.fake-dist') },
});
