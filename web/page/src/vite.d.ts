/// <reference types="vite/client" />

/** Addresses of the bundled scenes, by the build (vite.config.ts). */
declare const __SAMPLES__: string[];
