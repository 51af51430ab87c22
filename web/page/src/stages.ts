// Names of stages for people.

const NAMES: Record<string, string> = {
  voxelize: 'Cutting the scan into voxels',
  normals: 'Estimating normals',
  pyramid: 'Finding neighbours and windows',
  embedding: 'Embedding the voxels',
  head: 'Choosing classes',
  labels: 'Carrying labels to all points',
};

export function stageName(stage: string): string {
  const known = NAMES[stage];
  if (known) return known;
  const [, part, number] = /^(enc|dec|step )(\d+)$/.exec(stage) ?? [];
  if (part === 'enc') return `Network: encoder, stage ${Number(number) + 1}`;
  if (part === 'dec') return `Network: decoder, stage ${Number(number) + 1}`;
  if (part) return `Step ${number}`;
  return stage;
}
