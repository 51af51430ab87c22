// The script of download.html, the frame that fetches a scan from a web address for the page; downloads.ts is about the other
// direction. See download.html for why this is not done in the page.

const address = new URLSearchParams(location.search).get('url') ?? '';

/** `done` null: the host does not say how large the file is. */
export type FromFrame =
  | { downloaded: ArrayBuffer }
  | { progress: { bytes: number; done: number | null } }
  | { failed: string };

function tell(message: FromFrame, transfer: Transferable[] = []): void {
  parent.postMessage(message, location.origin, transfer);
}

async function download(): Promise<void> {
  const response = await fetch(address, { credentials: 'omit' }).catch(() => null);
  if (!response) {
    tell({
      failed: `${address} cannot be fetched. Is the address right, and does its host allow other pages to read it (CORS)? Else download the file and drop it here.`,
    });
    return;
  }
  if (!response.ok || !response.body) {
    tell({ failed: `${address} cannot be fetched: its host answers ${response.status} ${response.statusText}.`.trim() });
    return;
  }
  const size = Number(response.headers.get('content-length')) || null;
  const parts: BlobPart[] = [];
  let bytes = 0;
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    bytes += value.byteLength;
    tell({ progress: { bytes, done: size && Math.min(1, bytes / size) } });
  }
  const whole = await new Blob(parts).arrayBuffer();
  tell({ downloaded: whole }, [whole]);
}

// Opened by itself it does nothing.
if (parent !== window) {
  download().catch((error: unknown) => tell({ failed: `${address} cannot be fetched: ${String(error)}` }));
}
