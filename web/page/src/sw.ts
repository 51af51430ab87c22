// The service worker: keeps the files of one build and serves them, so that the page needs no network after the first visit. The build
// replaces the two names below (vite.config.ts).
//
// It never takes over an open page: that page would ask for files of its own build, which the other does not have.

declare const self: ServiceWorkerGlobalScope;
declare const __FILES__: string[];
declare const __VERSION__: string;

const PREFIX = 'pointtpa-';
const CACHE = PREFIX + __VERSION__;

self.addEventListener('install', (event) => {
  // `no-cache` asks the host whether its copy is the same: an old one from the browser's own store would stay for good.
  const files = __FILES__.map((file) => new Request(file, { cache: 'no-cache' }));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(files)));
});

self.addEventListener('activate', (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) => names.filter((name) => name.startsWith(PREFIX) && name !== CACHE))
      .then((names) => Promise.all(names.map((name) => caches.delete(name)))),
  );
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const address = new URL(request.url);
  if (request.method !== 'GET' || address.origin !== self.location.origin) return;
  const folder = new URL('./', self.location.href);
  // `?sample=` and the like are for the page to read; the file is the same.
  const file = address.pathname === folder.pathname ? new URL('index.html', folder).href : address.origin + address.pathname;
  event.respondWith(
    caches
      .open(CACHE)
      .then((cache) => cache.match(file))
      .then((kept) => kept ?? fetch(request)),
  );
});

export {};
