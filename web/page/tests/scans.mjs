// Scans for the tests, made of a bundled scene.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const SCENES = fileURLToPath(new URL('../../../assets/scenes', import.meta.url));
export const SCENE = readFileSync(`${SCENES}/living_room.ply`);
export const POINTS = Number(/element vertex (\d+)/.exec(SCENE.toString('latin1', 0, 2000))[1]);

const START = SCENE.indexOf('end_header\n') + 'end_header\n'.length;
const STRIDE = (SCENE.length - START) / POINTS;

/** The scene's points, each through `move([x, y, z])`; these are its first properties. */
function moved(move) {
  const rows = Buffer.from(SCENE.subarray(START));
  for (let row = 0; row < rows.length; row += STRIDE) {
    const place = [0, 4, 8].map((axis) => rows.readFloatLE(row + axis));
    move(place).forEach((value, axis) => rows.writeFloatLE(value, row + 4 * axis));
  }
  return rows;
}

/** So many copies of the scene in a row, for what needs time. The rooms are six metres apart. */
export function copies(times) {
  const header = SCENE.toString('latin1', 0, START).replace(`element vertex ${POINTS}`, `element vertex ${times * POINTS}`);
  const rows = Array.from({ length: times }, (_, copy) => moved(([x, y, z]) => [x + 6 * copy, y, z]));
  return Buffer.concat([Buffer.from(header, 'latin1'), ...rows]);
}

/** The scene as a program that counts in millimetres writes it. */
export function inMillimetres() {
  return Buffer.concat([SCENE.subarray(0, START), moved((place) => place.map((metres) => 1000 * metres))]);
}
