// Colours for numbers. All three are even in lightness and tell apart for every kind of colour vision: viridis, cividis and magma of
// matplotlib (CC0), sampled nine times and interpolated.

type Stops = readonly number[];

const VIRIDIS: Stops = [0x440154, 0x472d7b, 0x3b528b, 0x2c728e, 0x21918c, 0x28ae80, 0x5ec962, 0xaddc30, 0xfde725];
const CIVIDIS: Stops = [0x00224e, 0x123570, 0x3b496c, 0x575d6d, 0x707173, 0x8a8678, 0xa59c74, 0xc3b369, 0xfee838];
const MAGMA: Stops = [0x000004, 0x1d1147, 0x51127c, 0x832681, 0xb73779, 0xe75263, 0xfc8961, 0xfec488, 0xfcfdbf];

/** 256 colours, red, green, blue. */
export type Palette = Uint8Array;

function palette(stops: Stops): Palette {
  const table = new Uint8Array(256 * 3);
  for (let i = 0; i < 256; i++) {
    const at = (i / 255) * (stops.length - 1);
    const from = Math.min(Math.floor(at), stops.length - 2);
    for (let channel = 0; channel < 3; channel++) {
      const shift = 16 - 8 * channel;
      const a = ((stops[from] ?? 0) >> shift) & 255;
      const b = ((stops[from + 1] ?? 0) >> shift) & 255;
      table[3 * i + channel] = Math.round(a + (b - a) * (at - from));
    }
  }
  return table;
}

export const HEIGHT = palette(VIRIDIS);
export const CONFIDENCE = palette(CIVIDIS);
export const SIMILARITY = palette(MAGMA);

/** The palette as a CSS gradient, for the strip that explains it. */
export function gradient(colors: Palette): string {
  const stops = [0, 32, 64, 96, 128, 160, 192, 224, 255].map(
    (i) => `rgb(${colors[3 * i]} ${colors[3 * i + 1]} ${colors[3 * i + 2]})`,
  );
  return `linear-gradient(to right, ${stops.join(', ')})`;
}
