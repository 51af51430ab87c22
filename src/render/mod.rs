//! Pictures of scans, drawn on the CPU: for reports, and to see what a model makes of a room.
//!
//! ```text
//! positions, normals ─visible─▶ points to draw ─camera─▶ ─splat─▶ which point is at every pixel ─shade, paint─▶ Picture
//! ```
//!
//! The projection is orthographic, a point is a disc as large as the scan is sparse, and depth is told by eye-dome
//! lighting. A [`Shot`] is where things are; it can be painted several times, for example with the true classes and with
//! the predicted ones.

mod camera;
pub mod paint;
mod splat;
mod visible;

use crate::{
    PointCloud, Result,
    geometry::normals::{self, UP},
};

pub use camera::View;

use crate::parallel::prelude::*;
use camera::Camera;
use splat::{NOTHING, Raster};

/// Pixels along each side that are averaged into one, which smooths edges.
const OVERSAMPLING: usize = 2;
/// How dark a pixel becomes behind a nearer neighbour.
const EYE_DOME_STRENGTH: f32 = 1.5;
/// Metres of a step in depth that are noise.
const EYE_DOME_NOISE: f32 = 0.02;
/// Metres beyond which a step in depth counts no more.
const EYE_DOME_REACH: f32 = 0.25;
/// Metres of the voxels that normals are estimated from, at least.
const LEAST_CELL: f32 = 0.02;
/// Discs of at most this many pixels, however sparse the scan.
const LARGEST_POINT: f32 = 40.0;

/// How to look at a scan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShotOptions {
    /// Width and height in pixels.
    pub size: (usize, usize),
    /// From where.
    pub view: View,
    /// Leave the ceiling out, and what is above it.
    pub cut_ceiling: bool,
    /// Diameter of a point in metres; `None` fits it to the distance between neighbours.
    pub point_size: Option<f32>,
}

impl Default for ShotOptions {
    /// 900 by 700 pixels, seen from a corner, without a ceiling.
    fn default() -> Self {
        Self { size: (900, 700), view: View::Iso, cut_ceiling: true, point_size: None }
    }
}

/// Which point of a scan is seen at every pixel, and how bright.
#[derive(Clone, Debug)]
pub struct Shot {
    size: (usize, usize),
    /// `[height, width]` times the oversampling in both: point, or [`NOTHING`].
    points: Vec<u32>,
    /// As many: light from 0 to 1.
    light: Vec<f32>,
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `[height, width, 3]`: red, green, blue.
    pub pixels: Vec<u8>,
}

impl Shot {
    /// Looks at points `[n, 3]` in metres, z up. `normals` `[n, 3]` shade them; if they face the inside of the room, what
    /// is seen from behind is left out, so that near walls do not hide the room. Points that are not finite are not
    /// seen. The view is fitted to the points.
    ///
    /// # Panics
    /// If there are not as many normals as positions.
    pub fn take(positions: &[[f32; 3]], normals: Option<&[[f32; 3]]>, options: &ShotOptions) -> Self {
        assert!(normals.is_none_or(|normals| normals.len() == positions.len()), "one normal per point");
        let (width, height) = (options.size.0.max(1), options.size.1.max(1));
        let fine = (width * OVERSAMPLING, height * OVERSAMPLING);
        let axes = options.view.axes();
        let drawn = visible::visible(positions, normals, axes.towards_viewer, options.cut_ceiling);
        let camera = Camera::fitted(axes, positions, &drawn, fine);
        let diameters = match options.point_size {
            Some(size) => vec![size; drawn.len()],
            None => splat::local_sizes(positions, &drawn, splat::fitting_size(positions, &drawn)),
        };
        let limits = (OVERSAMPLING as f32, LARGEST_POINT * OVERSAMPLING as f32);
        let raster = Raster::draw(positions, &drawn, &camera, fine, &diameters, limits);
        let light = light(&raster, normals, &camera);
        Self { size: (width, height), points: raster.points, light }
    }

    /// Looks at a scan. Normals are its own, or estimated where it has none.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] for a scan too wide to estimate the normals of, and [`crate::Error::OutOfMemory`].
    pub async fn of_cloud(cloud: &PointCloud, options: &ShotOptions) -> Result<Self> {
        let estimated = match &cloud.normals {
            Some(own) if own.iter().any(normals::is_usable) => None,
            _ => Some(estimated_normals(cloud).await?),
        };
        Ok(Self::take(&cloud.positions, estimated.as_deref().or(cloud.normals.as_deref()), options))
    }

    /// The picture in which every point has its colour `[n, 3]`, on white.
    ///
    /// # Panics
    /// If there are fewer colours than there were points.
    pub fn paint(&self, colors: &[[u8; 3]]) -> Picture {
        let (width, height) = self.size;
        let mut pixels = vec![0; width * height * 3];
        pixels.par_chunks_mut(3).enumerate().for_each(|(pixel, out)| {
            let (x, y) = (pixel % width * OVERSAMPLING, pixel / width * OVERSAMPLING);
            let mut sum = [0.0f32; 3];
            for dy in 0..OVERSAMPLING {
                for dx in 0..OVERSAMPLING {
                    let place = (y + dy) * width * OVERSAMPLING + x + dx;
                    let color = match self.points[place] {
                        NOTHING => [255.0; 3],
                        point => colors[point as usize].map(|v| f32::from(v) * self.light[place]),
                    };
                    sum.iter_mut().zip(color).for_each(|(sum, v)| *sum += v);
                }
            }
            let count = (OVERSAMPLING * OVERSAMPLING) as f32;
            out.iter_mut().zip(sum).for_each(|(out, sum)| *out = (sum / count).round() as u8);
        });
        Picture { width, height, pixels }
    }

    /// Share of the pixels that show a point, 0 to 1.
    pub fn coverage(&self) -> f64 {
        let seen = self.points.iter().filter(|point| **point != NOTHING).count();
        seen as f64 / self.points.len() as f64
    }
}

/// `[n, 3]`: normals of a scan estimated on the CPU, turned towards the inside of a room; up where a point is nowhere.
///
/// # Errors
/// As [`Shot::of_cloud`].
pub async fn estimated_normals(cloud: &PointCloud) -> Result<Vec<[f32; 3]>> {
    let finite: Vec<u32> = (0..cloud.len() as u32).filter(|i| cloud.is_finite(*i as usize)).collect();
    let positions: Vec<[f32; 3]> = finite.iter().map(|i| cloud.positions[*i as usize]).collect();
    // Voxels with neighbours, however sparse the scan.
    let cell = splat::fitting_size(&cloud.positions, &finite).max(LEAST_CELL);
    let estimated = normals::of_points(&positions, f64::from(cell)).await?;
    let mut all = vec![UP; cloud.len()];
    finite.iter().zip(estimated).for_each(|(point, normal)| all[*point as usize] = normal);
    Ok(all)
}

/// Light from the viewer's upper left, and eye-dome lighting: darker the more a pixel lies behind its neighbours.
///
/// Source: C. Boucheny, "Interactive scientific visualisation of large datasets", 2009, with an orthographic depth.
fn light(raster: &Raster, normals: Option<&[[f32; 3]]>, camera: &Camera) -> Vec<f32> {
    let (width, height) = raster.size;
    let reach = 2 * OVERSAMPLING as isize;
    let lamp = camera.axes.lamp();
    let at = |x: isize, y: isize| {
        let inside = x >= 0 && y >= 0 && x < width as isize && y < height as isize;
        if inside { raster.depth[y as usize * width + x as usize] } else { f32::INFINITY }
    };
    let mut light = vec![1.0; raster.points.len()];
    light.par_iter_mut().enumerate().for_each(|(pixel, light)| {
        let point = raster.points[pixel];
        if point == NOTHING {
            return;
        }
        let (x, y, depth) = ((pixel % width) as isize, (pixel / width) as isize, raster.depth[pixel]);
        // Of opposite neighbours together, so that a slope is as bright as a level; beyond an edge there is no depth.
        let pairs = [(1, 0), (0, 1), (1, 1), (1, -1)];
        let behind = pairs.iter().map(|(dx, dy)| {
            let sides = [1, -1].map(|sign| depth - at(x + sign * dx * reach, y + sign * dy * reach));
            if sides.iter().all(|side| side.is_finite()) {
                (sides[0] + sides[1] - EYE_DOME_NOISE).clamp(0.0, EYE_DOME_REACH)
            } else {
                0.0
            }
        });
        let dome = (-EYE_DOME_STRENGTH * behind.sum::<f32>() / (pairs.len() as f32 * EYE_DOME_REACH)).exp();
        let shading = normals.map_or(1.0, |normals| {
            let n = normals[point as usize];
            let length = n.iter().map(|v| v * v).sum::<f32>().sqrt();
            let facing = n.iter().zip(lamp).map(|(n, l)| n * l).sum::<f32>() / length.max(1e-6);
            if facing.is_finite() { 0.82 + 0.18 * facing.clamp(0.0, 1.0) } else { 1.0 }
        });
        *light = dome * shading;
    });
    light
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A square of a metre, seen from above, with a smaller one half a metre above its middle.
    fn two_squares() -> (Vec<[f32; 3]>, Vec<[u8; 3]>) {
        let square = |side: i32, z: f32, color: [u8; 3]| {
            (-side..=side)
                .flat_map(move |i| (-side..=side).map(move |j| ([i as f32 * 0.01, j as f32 * 0.01, z], color)))
        };
        square(50, 0.0, [200, 0, 0]).chain(square(15, 0.5, [0, 0, 200])).unzip()
    }

    fn pixel(picture: &Picture, x: usize, y: usize) -> [u8; 3] {
        let place = 3 * (y * picture.width + x);
        [picture.pixels[place], picture.pixels[place + 1], picture.pixels[place + 2]]
    }

    const TOP: ShotOptions = ShotOptions { size: (120, 100), view: View::Top, cut_ceiling: false, point_size: None };

    #[test]
    fn the_nearer_point_is_seen_and_nothing_is_white() {
        let (positions, colors) = two_squares();
        let picture = Shot::take(&positions, None, &TOP).paint(&colors);
        assert_eq!((picture.width, picture.height, picture.pixels.len()), (120, 100, 120 * 100 * 3));
        assert_eq!(pixel(&picture, 60, 50), [0, 0, 200]);
        assert_eq!(pixel(&picture, 60 + 30, 50), [200, 0, 0]);
        assert_eq!(pixel(&picture, 2, 50), [255, 255, 255]);
    }

    #[test]
    fn a_step_in_depth_is_dark_on_its_far_side() {
        let (positions, colors) = two_squares();
        let picture = Shot::take(&positions, None, &TOP).paint(&colors);
        // Along the row through the middle: the small square ends 0.15 m from it, some 14 of 92 pixels per metre.
        let reds: Vec<u8> = (60..90).map(|x| pixel(&picture, x, 50)).filter(|p| p[2] == 0).map(|p| p[0]).collect();
        assert!(reds[0] < 150 && reds[10] == 200, "{reds:?}");
    }

    #[test]
    fn a_surface_has_no_holes_whatever_its_density() {
        for step in [0.005f32, 0.02, 0.07] {
            let side = (1.0 / step) as i32;
            let positions: Vec<[f32; 3]> =
                (0..side * side).map(|i| [(i % side) as f32 * step, (i / side) as f32 * step, 0.0]).collect();
            let shot = Shot::take(&positions, None, &ShotOptions { size: (200, 200), ..TOP });
            let picture = shot.paint(&vec![[0; 3]; positions.len()]);
            let holes = (40..160)
                .flat_map(|x| (40..160).map(move |y| (x, y)))
                .filter(|(x, y)| pixel(&picture, *x, *y) != [0; 3]);
            assert_eq!(holes.count(), 0, "points {step} m apart");
        }
    }

    #[test]
    fn a_near_wall_seen_from_behind_does_not_hide_the_room() {
        // Four walls, facing inwards, and a floor.
        let (mut positions, mut normals, mut colors) = (Vec::new(), Vec::new(), Vec::new());
        for i in 0..100 {
            for j in 0..100 {
                let (a, b) = (i as f32 * 0.04, j as f32 * 0.04);
                let surfaces = [
                    ([a, b, 0.0], [0.0, 0.0, 1.0], [0, 200, 0]),
                    ([a, 0.0, b / 2.0], [0.0, 1.0, 0.0], [200, 0, 0]),
                    ([a, 4.0, b / 2.0], [0.0, -1.0, 0.0], [0, 0, 200]),
                    ([0.0, a, b / 2.0], [1.0, 0.0, 0.0], [200, 0, 0]),
                    ([4.0, a, b / 2.0], [-1.0, 0.0, 0.0], [0, 0, 200]),
                ];
                for (position, normal, color) in surfaces {
                    positions.push(position);
                    normals.push(normal);
                    colors.push(color);
                }
            }
        }
        let options = ShotOptions { size: (160, 120), cut_ceiling: false, ..ShotOptions::default() };
        let hues = |normals: Option<&[[f32; 3]]>| {
            let picture = Shot::take(&positions, normals, &options).paint(&colors);
            let of = |c: usize| picture.pixels.chunks_exact(3).filter(|p| p[c] > 60 && p[(c + 1) % 3] < 30).count();
            [0, 1, 2].map(of)
        };
        let [near, floor, far] = hues(Some(&normals));
        assert!(near == 0 && floor > 2000 && far > 2000, "{near} {floor} {far}");
        let [near, _, _] = hues(None);
        assert!(near > 2000, "without normals the near walls are in the way: {near}");
    }

    #[test]
    fn no_points_and_points_nowhere_are_a_white_picture() {
        for positions in [vec![], vec![[f32::NAN; 3]; 3]] {
            let shot = Shot::take(&positions, None, &ShotOptions::default());
            assert!(shot.paint(&vec![[0; 3]; positions.len()]).pixels.iter().all(|v| *v == 255));
            assert_eq!(shot.coverage(), 0.0);
        }
        let one = Shot::take(&[[5.0, 1.0, 2.0]], Some(&[[0.0; 3]]), &TOP);
        assert!(one.coverage() > 0.0);
    }
}
