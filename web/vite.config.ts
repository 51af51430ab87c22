import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vite';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** What the page offers without a file of the user's: every scene of `assets/scenes`, and the model. */
const SCENES = here('../assets/scenes');
const MODEL = here('../assets/models/rooms.safetensors');

/** Its address in the built page → the file it comes from. */
function bundledFiles(): Map<string, string> {
  const scenes = readdirSync(SCENES).filter((name) => name.endsWith('.ply'));
  return new Map([
    ...scenes.map((name): [string, string] => [`samples/${name}`, join(SCENES, name)]),
    ['rooms.safetensors', MODEL],
  ]);
}

/** Copies the scenes and the model into the build; the development server reads them where they are. */
function assets(): Plugin {
  const files = bundledFiles();
  return {
    name: 'pointtpa-assets',
    configureServer(server) {
      server.middlewares.use((request, response, next) => {
        const file = files.get((request.url ?? '').replace(/^\/|\?.*$/g, ''));
        if (file && existsSync(file)) response.end(readFileSync(file));
        else next();
      });
    },
    generateBundle() {
      for (const [fileName, file] of files) this.emitFile({ type: 'asset', fileName, source: readFileSync(file) });
    },
  };
}

/**
 * Writes into the service worker which files there are and a version that is a hash of them all. It runs on the finished
 * folder, because only there are the page itself and the files of `public` to be seen.
 */
function offline(): Plugin {
  let folder = '';
  return {
    name: 'pointtpa-offline',
    apply: 'build',
    configResolved(config) {
      folder = config.build.outDir;
    },
    closeBundle() {
      const worker = join(folder, 'sw.js');
      const files = readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && entry.name !== 'sw.js' && !entry.name.endsWith('.map'))
        .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
        .sort();
      const hash = createHash('sha256');
      for (const file of files) hash.update(file).update(readFileSync(join(folder, file)));
      const text = readFileSync(worker, 'utf8')
        .replace('__FILES__', () => JSON.stringify(files))
        .replace('__VERSION__', () => JSON.stringify(hash.digest('hex').slice(0, 16)));
      writeFileSync(worker, text);
    },
  };
}

export default defineConfig({
  root: here('page'),
  // Relative, so that any folder of any host serves it.
  base: './',
  resolve: { alias: { 'pointtpa-web': here('pkg/pointtpa_web.js') } },
  define: { __SAMPLES__: JSON.stringify([...bundledFiles().keys()].filter((name) => name.startsWith('samples/'))) },
  plugins: [assets(), offline()],
  worker: { format: 'es' },
  build: {
    outDir: here('dist'),
    emptyOutDir: true,
    target: 'es2022',
    // An inlined asset would be a data: address, which the page's content security policy refuses.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // three.js is larger than Vite's default of what deserves a warning.
    chunkSizeWarningLimit: 900,
    rolldownOptions: {
      input: { index: here('page/index.html'), download: here('page/download.html'), sw: here('page/src/sw.ts') },
      output: {
        // A service worker reaches only what lies beside it or below, and must keep its name from build to build.
        entryFileNames: (chunk) => (chunk.name === 'sw' ? 'sw.js' : 'assets/[name]-[hash].js'),
      },
    },
  },
});
