// What kind of file the user has brought.

/** Endings of model and adapter files; everything else is taken for a scan. */
const MODEL = /\.(safetensors|pth|pt|ckpt)$/i;

export function isModelName(name: string): boolean {
  return MODEL.test(name);
}

/** Headers longer than this are not read: an adapter's is a few kilobytes. */
const LONGEST_HEADER = 16 << 20;

/** Whether a .safetensors file is an adapter: its metadata then names the base that it is for. */
export async function isAdapter(file: Blob): Promise<boolean> {
  try {
    const size = Number(new DataView(await file.slice(0, 8).arrayBuffer()).getBigUint64(0, true));
    if (size > LONGEST_HEADER) return false;
    const header: unknown = JSON.parse(await file.slice(8, 8 + size).text());
    const metadata = (header as { __metadata__?: Record<string, unknown> }).__metadata__;
    return metadata !== undefined && 'base' in metadata && 'adapter' in metadata;
  } catch {
    // No such header: what it is, the engine will say.
    return false;
  }
}
