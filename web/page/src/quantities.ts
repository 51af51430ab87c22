// Numbers as people read them.

const whole = new Intl.NumberFormat('en');

export function count(n: number): string {
  return whole.format(n);
}

/** `27,133 points`, `1 point`. */
export function counted(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

export function bytes(n: number): string {
  for (const [unit, size] of [['GB', 1e9], ['MB', 1e6], ['kB', 1e3]] as const) {
    if (n >= size) return `${(n / size).toFixed(n >= 10 * size || unit === 'kB' ? 0 : 1)} ${unit}`;
  }
  return `${n} bytes`;
}

/** `512M`, `2G`, or bytes; null for anything else. */
export function sizeOf(text: string): number | null {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)([KMG]?)$/i.exec(text) ?? [];
  const factor = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 }[unit.toUpperCase()];
  return number === undefined || factor === undefined ? null : Number(number) * factor;
}

export function duration(seconds: number): string {
  if (seconds < 0.95) return `${seconds.toFixed(seconds < 0.1 ? 2 : 1)} s`;
  if (seconds < 9.5) return `${seconds.toFixed(1)} s`;
  if (seconds < 99.5) return `${Math.round(seconds)} s`;
  return seconds < 3600 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** Without a false precision, for what is only guessed. */
export function roughly(seconds: number): string {
  if (seconds < 1) return 'less than a second';
  if (seconds < 90) return `about ${Math.round(seconds)} s`;
  return seconds < 5400 ? `about ${Math.round(seconds / 60)} min` : `about ${Math.round(seconds / 3600)} h`;
}

export function length(metres: number): string {
  const centimetres = metres * 100;
  return metres < 1 ? `${Number(centimetres.toFixed(1))} cm` : `${metres.toFixed(metres < 100 ? 1 : 0)} m`;
}

export function percent(share: number): string {
  const value = share * 100;
  if (value > 0 && value < 0.1) return '< 0.1 %';
  return `${value.toFixed(value < 10 ? 1 : 0)} %`;
}
