//! Writes a labelled scan of a whole storey, room beside room, as large as you like: what tiles are for.
//!
//! ```sh
//! cargo run --release --example building -- 30000000 building.ply
//! pointtpa segment building.ply -o labelled.ply --memory 4G
//! ```
//!
//! Rooms are those of `pointtpa synth --domain mixed --views walk`, in rows of so many that the storey is about square.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};

use pointtpa::PointCloud;
use pointtpa::synth::{Collection, Domain, Views};
use rayon::prelude::*;

/// Points of a room, about.
const PER_ROOM: usize = 150_000;
/// Between two rooms, metres.
const WALL: f32 = 0.15;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [points, path] = &arguments[..] else { return Err("give a number of points and the file to write".into()) };
    let points: usize = points.parse()?;
    let buildings = [Domain::Home, Domain::Home, Domain::Home, Domain::Office, Domain::Office];
    let collection = Collection { views: Views::Walk, ..Collection::of(&buildings) };
    let across = ((points / PER_ROOM) as f64).sqrt().ceil().max(1.0) as u64;

    let mut out = BufWriter::new(File::create(path)?);
    write_header(&mut out, 0)?;
    let (mut written, mut row, mut y) = (0, 0, 0.0);
    while written < points {
        let seeds = row * across..(row + 1) * across;
        let rooms: Vec<PointCloud> = seeds.into_par_iter().map(|seed| collection.recipe(seed).cloud()).collect();
        let (mut x, mut depth) = (0.0, 0.0f32);
        for mut room in rooms {
            let Some((low, high)) = room.bounds() else { continue };
            room.positions.iter_mut().for_each(|p| *p = [p[0] - low[0] + x, p[1] - low[1] + y, p[2]]);
            x += high[0] - low[0] + WALL;
            depth = depth.max(high[1] - low[1] + WALL);
            written += write_points(&mut out, &room, points - written)?;
        }
        y += depth;
        row += 1;
        eprintln!("{written} of {points} points");
    }
    // The number has the same digits in both headers.
    out.seek(SeekFrom::Start(0))?;
    write_header(&mut out, written)?;
    Ok(out.flush()?)
}

fn write_header(out: &mut impl Write, points: usize) -> std::io::Result<()> {
    write!(
        out,
        "ply\nformat binary_little_endian 1.0\nelement vertex {points:012}\nproperty float x\nproperty float y\n\
         property float z\nproperty uchar red\nproperty uchar green\nproperty uchar blue\nproperty float nx\n\
         property float ny\nproperty float nz\nproperty int truth\nend_header\n"
    )
}

/// Writes at most so many points; how many it wrote.
fn write_points(out: &mut impl Write, room: &PointCloud, most: usize) -> std::io::Result<usize> {
    let count = room.len().min(most);
    for i in 0..count {
        for value in room.positions[i] {
            out.write_all(&value.to_le_bytes())?;
        }
        let color = room.colors.as_ref().map_or([128; 3], |colors| colors[i].map(|value| value.round() as u8));
        out.write_all(&color)?;
        for value in room.normals.as_ref().map_or([0.0, 0.0, 1.0], |normals| normals[i]) {
            out.write_all(&value.to_le_bytes())?;
        }
        out.write_all(&room.labels.as_ref().map_or(-1, |labels| labels[i]).to_le_bytes())?;
    }
    Ok(count)
}
