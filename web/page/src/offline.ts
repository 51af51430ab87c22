// After the first visit the page works without a network.

export function workOffline(): void {
  if (!import.meta.env.PROD || !('serviceWorker' in navigator)) return;
  // After loading, so that keeping the files does not compete with using them. Where it is refused (a private window, a host
  // without https), the page works as long as the network does.
  const register = (): void => void navigator.serviceWorker.register('./sw.js').catch(() => {});
  if (document.readyState === 'complete') register();
  else addEventListener('load', register, { once: true });
}
