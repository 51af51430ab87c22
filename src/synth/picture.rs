//! One depth picture: what a structured-light camera measures from where it stands.

use glam::Vec3;

use super::dice::{Dice, lattice};
use super::light::Seen;
use super::material::Material;
use super::room::Room;
use super::scanner::ScannerOptions;
use super::shape::Ray;
use super::tree::{Hit, Tree};
use super::walk::Pose;

/// A measured point.
pub(crate) struct Sample {
    pub(crate) position: Vec3,
    pub(crate) seen: Seen,
    /// What the lens leaves of the light, in `0..=1`.
    pub(crate) vignette: f32,
}

/// What a pixel's ray met.
#[derive(Clone, Copy)]
struct Pixel {
    direction: Vec3,
    /// Depth of a ray of length 1.
    cosine: f32,
    hit: Option<Hit>,
    noise: f32,
    luck: f32,
}

impl Pixel {
    fn depth(&self) -> Option<f32> {
        self.hit.map(|hit| hit.distance * self.cosine)
    }
}

/// The points of one picture, row by row.
///
/// A depth is mixed with its neighbour's at some of the edges (flying pixels), moved by noise that grows with the
/// square of the distance (Nguyen, Izadi and Lovell, "Modeling Kinect sensor noise", 2012) and rounded in disparity;
/// it is lost in the shadow of the projector, in patches on dark and glossy things, at grazing angles and on glass.
pub(crate) fn take_picture(
    room: &Room,
    tree: &Tree,
    pose: &Pose,
    options: &ScannerOptions,
    dice: &mut Dice,
) -> Vec<Sample> {
    let (width, height) = (options.width, options.height);
    let salt = dice.below(1 << 24) as u32;
    let pixels = cast(tree, pose, options, dice);
    let mut samples = Vec::new();
    for row in 0..height {
        let line = &pixels[row * width..(row + 1) * width];
        let shadowed = shadows(line, options);
        for (column, pixel) in line.iter().enumerate() {
            let Some(hit) = pixel.hit else { continue };
            let surface = &room.surfaces[hit.surface];
            let mut normal = surface.frame.outward(hit.normal);
            let facing = -normal.dot(pixel.direction);
            if facing < 0.0 {
                normal = -normal;
            }
            let patch = blotch(column, row, 9, salt);
            if shadowed[column] || is_lost(&surface.material, facing.abs(), pixel.luck, patch, options.holes) {
                continue;
            }
            let mut depth = hit.distance * pixel.cosine;
            let beside = if column + 1 < width { line.get(column + 1) } else { None };
            let below = pixels.get((row + 1) * width + column);
            for other in [beside, below].into_iter().flatten().filter_map(Pixel::depth) {
                let is_edge = (other - depth).abs() > 0.03 + 0.03 * depth;
                // The second digits of the pixel's luck serve for whether and how far it flies.
                let (whether, far) = ((pixel.luck * 64.0).fract(), (pixel.luck * 4096.0).fract());
                if is_edge && whether < options.flying {
                    depth += (other - depth) * far;
                    break;
                }
            }
            let deviation = options.noise * (0.4 + 0.6 * depth * depth);
            // Half of the noise is a block's own: stereo matching looks at windows.
            let common = 2.4 * (blotch(column, row, 4, salt ^ 0x5a5a) - 0.5);
            depth += deviation * (0.75 * pixel.noise + 0.9 * common);
            if options.disparity_step > 0.0 {
                let steps = (1.0 / (depth.max(0.05) * options.disparity_step)).round().max(1.0);
                depth = 1.0 / (steps * options.disparity_step);
            }
            let at = pose.frame.origin + pixel.direction * hit.distance;
            let local = surface.frame.inward(at - surface.frame.origin);
            samples.push(Sample {
                position: pose.frame.origin + pixel.direction * (depth / pixel.cosine) + pose.shift,
                seen: Seen { surface: hit.surface, local, local_normal: hit.normal, at, normal },
                vignette: 1.0 - options.vignette * (1.0 - pixel.cosine * pixel.cosine),
            });
        }
    }
    samples
}

/// The rays of all pixels, row by row.
fn cast(tree: &Tree, pose: &Pose, options: &ScannerOptions, dice: &mut Dice) -> Vec<Pixel> {
    let (width, height) = (options.width, options.height);
    let pixel = 2.0 * options.half_width / width.max(1) as f32;
    let mut pixels = Vec::with_capacity(width * height);
    for row in 0..height {
        for column in 0..width {
            let (right, down) = if options.jitter { (dice.unit(), dice.unit()) } else { (0.5, 0.5) };
            let x = (column as f32 + right - width as f32 / 2.0) * pixel;
            let y = (height as f32 / 2.0 - row as f32 - down) * pixel;
            let local = Vec3::new(x, y, -1.0).normalize();
            let direction = pose.frame.outward(local);
            let ray = Ray { origin: pose.frame.origin, direction };
            // The same number of choices for every pixel, so that one change in a room stays one change in its scan.
            let (noise, luck) = (dice.normal(), dice.unit());
            let hit = tree.hit(&ray, options.range[1]).filter(|hit| hit.distance > options.range[0]);
            pixels.push(Pixel { direction, cosine: -local.z, hit, noise, luck });
        }
    }
    pixels
}

/// Which pixels of a line the projector, to the right of the lens, does not reach: those left of something near.
fn shadows(line: &[Pixel], options: &ScannerOptions) -> Vec<bool> {
    let mut shadowed = vec![false; line.len()];
    if options.baseline <= 0.0 {
        return shadowed;
    }
    // Pixels that the projector's view of a point at a depth of 1 m lies aside of the lens's.
    let aside = options.baseline * line.len() as f32 / (2.0 * options.half_width);
    let mut least = f32::INFINITY;
    for (column, pixel) in line.iter().enumerate().rev() {
        let Some(depth) = pixel.depth() else { continue };
        let projected = column as f32 - aside / depth;
        shadowed[column] = projected > least + 0.6;
        least = least.min(projected);
    }
    shadowed
}

/// Whether a return is lost: `facing` is the cosine of the angle to the surface, `luck` and `patch` are in `0..1`.
fn is_lost(material: &Material, facing: f32, luck: f32, patch: f32, holes: f32) -> bool {
    let darkness = 1.0 - material.color.iter().sum::<f32>() / 3.0;
    let grazing = 1.0 - (facing / 0.22).min(1.0);
    let absorbed = 0.5 * material.gloss * darkness * darkness;
    let glass = if material.is_glass { 0.93 } else { 0.01 };
    let torn = holes * (0.25 + darkness * darkness + material.gloss + 0.5 * grazing);
    luck < absorbed.max(grazing).max(glass) || patch > 1.0 - torn
}

/// Noise in `0..1` that is one value per block of `size` pixels, blended into the next.
fn blotch(column: usize, row: usize, size: usize, salt: u32) -> f32 {
    let (i, j) = ((column / size) as i32, (row / size) as i32);
    let (s, t) = ((column % size) as f32 / size as f32, (row % size) as f32 / size as f32);
    let low = lattice(i, j, salt) * (1.0 - s) + lattice(i + 1, j, salt) * s;
    let high = lattice(i, j + 1, salt) * (1.0 - s) + lattice(i + 1, j + 1, salt) * s;
    low * (1.0 - t) + high * t
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen_at(depths: &[f32]) -> Vec<Pixel> {
        let hit = |distance| Hit { distance, surface: 0, normal: Vec3::Z };
        let pixel = |&depth| Pixel { direction: Vec3::X, cosine: 1.0, hit: Some(hit(depth)), noise: 0.0, luck: 0.5 };
        depths.iter().map(pixel).collect()
    }

    #[test]
    fn what_stands_before_a_wall_casts_the_projectors_shadow_to_its_left() {
        // A post at 1 m, 10 pixels wide, before a wall at 2 m; 100 pixels see 90 degrees, a baseline of 0.1 m.
        let depths: Vec<f32> = (0..100).map(|i| if (50..60).contains(&i) { 1.0 } else { 2.0 }).collect();
        let options = ScannerOptions { baseline: 0.1, half_width: 1.0, ..ScannerOptions::default() };
        let shadowed = shadows(&seen_at(&depths), &options);
        // The projector sees the post's left edge 50 × 0.1 / 1 = 5 pixels aside and the wall 2.5: 2.5 are hidden.
        let hidden: Vec<usize> = (0..100).filter(|&i| shadowed[i]).collect();
        assert!(hidden.iter().all(|i| (47..50).contains(i)), "{hidden:?}");
        assert!((1..=3).contains(&hidden.len()), "{hidden:?}");
        let level = shadows(&seen_at(&[2.0; 100]), &options);
        assert!(!level.contains(&true));
    }
}
