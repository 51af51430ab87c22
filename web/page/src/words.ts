// What the library says to users of its program, in the words of the page.

const WORDS: [RegExp, string][] = [
  // A scan that is refused is not shown, and larger voxels cannot be chosen for it.
  [
    /^grid size: the scene's ([xyz]) extent of ([\d.]+) .* cells of ([\d.]+), at most .*$/,
    "The scan is $2 metres long in $1 if its unit is the metre, too long for voxels of $3 m. Is it in millimetres? Save it in metres. If not, remove stray points or cut it.",
  ],
  [/Raise `--memory`, use/, 'Use'],
  [/a coarser `?--grid`?/, 'larger voxels'],
  [/`--device cpu` goes/, 'computing on the CPU goes'],
  [/(?:use|try) (?:`--device cpu`|another `--device`)/, 'compute on the CPU'],
  [/Try `--device cpu`/, 'Compute on the CPU'],
];

export function inPageWords(message: string): string {
  return WORDS.reduce((text, [theirs, ours]) => text.replace(theirs, ours), message);
}
