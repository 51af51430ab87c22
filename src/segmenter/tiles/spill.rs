//! Points of tiles that wait in a temporary file.
//!
//! A tile gathers points until it has a batch of them, which goes to the end of the one file that all tiles share: a file per
//! tile would be more than some systems let a program have open. The file has no name, so it goes with the program.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::buckets::Buckets;
use crate::{Error, PointCloud, Result};

/// Points of a tile that are written at once, at most and at least.
const BATCH: usize = 4096;
const LEAST_BATCH: usize = 64;
/// Points that wait for others of their tile, in all tiles together: some 160 MB.
const WAITING: usize = 1 << 22;

/// Tiles on disk.
pub(super) struct Spilled {
    folder: PathBuf,
    file: File,
    tiles: Vec<Tile>,
    /// Points of a tile that are written at once.
    batch: usize,
    /// The columns of the scene, known with its first point.
    columns: Option<Columns>,
}

#[derive(Default)]
struct Tile {
    /// Where in the file its batches begin, and how many points each has.
    batches: Vec<(u64, usize)>,
    points: Vec<u32>,
    /// The rows of those points, in the order of [`Columns`].
    rows: Vec<f32>,
}

/// Which columns a scene has beside its positions.
#[derive(Clone, Copy, PartialEq)]
struct Columns {
    origin: [f64; 3],
    colors: bool,
    normals: bool,
}

impl Columns {
    fn of(cloud: &PointCloud) -> Self {
        Self { origin: cloud.origin, colors: cloud.colors.is_some(), normals: cloud.normals.is_some() }
    }

    /// Values per row.
    fn width(self) -> usize {
        3 * (1 + usize::from(self.colors) + usize::from(self.normals))
    }
}

impl Spilled {
    /// For so many tiles, in a file in `folder`.
    pub(super) fn new(folder: &Path, tiles: usize) -> Result<Self> {
        let file = tempfile::tempfile_in(folder).map_err(|source| Error::Io {
            action: "create a temporary file in",
            path: folder.to_owned(),
            source,
        })?;
        let batch = (WAITING / tiles.max(1)).clamp(LEAST_BATCH, BATCH);
        let tiles = std::iter::repeat_with(Tile::default).take(tiles).collect();
        Ok(Self { folder: folder.to_owned(), file, tiles, batch, columns: None })
    }

    fn flush(&mut self, tile: usize) -> Result<()> {
        let tile = &mut self.tiles[tile];
        let mut write = || {
            let at = self.file.seek(SeekFrom::End(0))?;
            self.file.write_all(bytemuck::cast_slice(&tile.points))?;
            self.file.write_all(bytemuck::cast_slice(&tile.rows))?;
            Ok(at)
        };
        let at = write().map_err(|source| failed("write the temporary file in", &self.folder, source))?;
        tile.batches.push((at, tile.points.len()));
        tile.points.clear();
        tile.rows.clear();
        Ok(())
    }
}

fn failed(action: &'static str, folder: &Path, source: std::io::Error) -> Error {
    Error::Io { action, path: folder.to_owned(), source }
}

impl Buckets for Spilled {
    fn put(&mut self, tile: usize, point: u32, block: &PointCloud, row: usize) -> Result<()> {
        if *self.columns.get_or_insert(Columns::of(block)) != Columns::of(block) {
            return Err(Error::Argument {
                what: "scan".into(),
                problem: format!("the block with point {point} has other columns than the first"),
                advice: "Give all blocks of a scan the same columns and the same origin".into(),
            });
        }
        let waiting = &mut self.tiles[tile];
        waiting.points.push(point);
        let columns = [Some(&block.positions), block.colors.as_ref(), block.normals.as_ref()];
        columns.into_iter().flatten().for_each(|column| waiting.rows.extend(column[row]));
        if waiting.points.len() == self.batch { self.flush(tile) } else { Ok(()) }
    }

    fn take(&mut self, tile: usize) -> Result<(Vec<u32>, PointCloud)> {
        let waiting = std::mem::take(&mut self.tiles[tile]);
        let Some(columns) = self.columns else { return Ok((Vec::new(), PointCloud::default())) };
        let count = waiting.batches.iter().map(|(_, points)| points).sum::<usize>() + waiting.points.len();
        let mut points = Vec::with_capacity(count);
        let column = |there: bool| there.then(|| Vec::with_capacity(count));
        let mut cloud = PointCloud {
            positions: Vec::with_capacity(count),
            origin: columns.origin,
            colors: column(columns.colors),
            normals: column(columns.normals),
            labels: None,
        };
        let mut append = |numbers: &[u32], rows: &[f32]| {
            points.extend_from_slice(numbers);
            for row in rows.chunks_exact(columns.width()) {
                let mut parts = row.chunks_exact(3).map(|part| [part[0], part[1], part[2]]);
                cloud.positions.extend(parts.next());
                for column in [&mut cloud.colors, &mut cloud.normals].into_iter().flatten() {
                    column.extend(parts.next());
                }
            }
        };
        let (mut numbers, mut rows) = (vec![0u32; self.batch], vec![0f32; self.batch * columns.width()]);
        for (at, count) in waiting.batches {
            let (numbers, rows) = (&mut numbers[..count], &mut rows[..count * columns.width()]);
            let mut read = || {
                self.file.seek(SeekFrom::Start(at))?;
                self.file.read_exact(bytemuck::cast_slice_mut(numbers))?;
                self.file.read_exact(bytemuck::cast_slice_mut(rows))
            };
            read().map_err(|source| failed("read the temporary file in", &self.folder, source))?;
            append(numbers, rows);
        }
        append(&waiting.points, &waiting.rows);
        Ok((points, cloud))
    }
}

#[cfg(test)]
mod tests {
    use super::super::buckets::Picked;
    use super::*;
    use crate::kernels::testing::Noise;

    #[test]
    fn points_come_back_as_those_that_stayed_in_memory() {
        let mut noise = Noise::new(5);
        let count = 3 * BATCH + 17;
        let mut column = || (0..count).map(|_| [0; 3].map(|_: i32| noise.float())).collect::<Vec<[f32; 3]>>();
        let cloud = PointCloud {
            positions: column(),
            origin: [1.0, 2.0, 3.0],
            colors: Some(column()),
            normals: Some(column()),
            labels: None,
        };
        for cloud in [PointCloud { colors: None, ..cloud.clone() }, cloud] {
            let folder = tempfile::tempdir().unwrap();
            let (mut spilled, mut picked) = (Spilled::new(folder.path(), 4).unwrap(), Picked::new(&cloud, 4));
            // Tile 0 has two points in three, tile 1 the third, tile 2 some of both, tile 3 none.
            for row in 0..count {
                let tiles = [Some(usize::from(row % 3 == 2)), (row % 1000 == 0).then_some(2)];
                for tile in tiles.into_iter().flatten() {
                    spilled.put(tile, row as u32, &cloud, row).unwrap();
                    picked.put(tile, row as u32, &cloud, row).unwrap();
                }
            }
            for tile in [2, 0, 1, 3] {
                assert_eq!(spilled.take(tile).unwrap(), picked.take(tile).unwrap(), "tile {tile}");
            }
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file has a name");
        }
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = Spilled::new(Path::new("no/such/folder"), 1).err().unwrap().to_string();
        assert!(error.contains("no/such/folder"), "{error}");
    }
}
