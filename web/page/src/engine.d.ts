// The WebAssembly package that wasm-bindgen writes to web/pkg; the alias stands in vite.config.ts. Declared here so that the
// page can be checked before the module is built.
declare module 'pointtpa-web' {
  /** Loads the module. Before anything else. */
  export default function init(): Promise<unknown>;

  export class Engine {
    /** Answers one call of protocol.ts; throws a Failure. `progress` may be called any number of times before it ends. */
    handle(
      call: string,
      ask: unknown,
      progress: (stage: string, done: number, loss?: number) => void,
    ): Promise<unknown>;
  }
}
