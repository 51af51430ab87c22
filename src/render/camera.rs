//! From metres to pixels.

/// From where a scan is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// From above a corner.
    Iso,
    /// From above; x to the right, y up.
    Top,
    /// Along y; x to the right, z up.
    Front,
}

/// Unit vectors of a view.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axes {
    pub(super) right: [f32; 3],
    pub(super) up: [f32; 3],
    pub(super) towards_viewer: [f32; 3],
}

/// An orthographic projection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Camera {
    pub(super) axes: Axes,
    /// Pixels per metre.
    pub(super) scale: f32,
    /// Metres along right and up of the middle of the picture.
    middle: [f32; 2],
    size: (usize, usize),
}

/// Share of the picture that is left free on every side.
const MARGIN: f32 = 0.03;
/// Stray points beyond this share of the points on either side may fall outside the picture.
const STRAY: f64 = 0.001;
/// At least this many metres fill the picture.
const LEAST_EXTENT: f32 = 0.01;

impl View {
    pub(super) fn axes(self) -> Axes {
        match self {
            Self::Iso => {
                // From the side of low x and low y, turned a little so that the walls are not alike.
                let (azimuth, elevation) = (-118f32.to_radians(), 40f32.to_radians());
                let (flat, high) = (elevation.cos(), elevation.sin());
                let (x, y) = (azimuth.cos(), azimuth.sin());
                Axes {
                    right: [-y, x, 0.0],
                    up: [-x * high, -y * high, flat],
                    towards_viewer: [x * flat, y * flat, high],
                }
            }
            Self::Top => Axes { right: [1.0, 0.0, 0.0], up: [0.0, 1.0, 0.0], towards_viewer: [0.0, 0.0, 1.0] },
            Self::Front => Axes { right: [1.0, 0.0, 0.0], up: [0.0, 0.0, 1.0], towards_viewer: [0.0, -1.0, 0.0] },
        }
    }
}

impl Axes {
    /// Direction to a lamp at the viewer's upper left.
    pub(super) fn lamp(&self) -> [f32; 3] {
        let mixed: [f32; 3] = std::array::from_fn(|a| self.towards_viewer[a] + 0.5 * self.up[a] - 0.35 * self.right[a]);
        let length = dot(mixed, mixed).sqrt();
        mixed.map(|v| v / length)
    }
}

impl Camera {
    /// The largest projection that has the points `drawn` in a picture of `size` pixels.
    pub(super) fn fitted(axes: Axes, positions: &[[f32; 3]], drawn: &[u32], size: (usize, usize)) -> Self {
        let range = |axis: [f32; 3]| {
            let mut places: Vec<f32> = drawn.iter().map(|i| dot(positions[*i as usize], axis)).collect();
            if places.is_empty() {
                return (0.0, 0.0);
            }
            places.sort_unstable_by(f32::total_cmp);
            let stray = (places.len() as f64 * STRAY) as usize;
            (places[stray], places[places.len() - 1 - stray])
        };
        let (across, along) = (range(axes.right), range(axes.up));
        let room = |pixels: usize, (low, high): (f32, f32)| {
            pixels as f32 * (1.0 - 2.0 * MARGIN) / (high - low).max(LEAST_EXTENT)
        };
        Self {
            axes,
            scale: room(size.0, across).min(room(size.1, along)),
            middle: [f32::midpoint(across.0, across.1), f32::midpoint(along.0, along.1)],
            size,
        }
    }

    /// Pixel column and row, from the upper left, and depth in metres, growing away from the viewer.
    pub(super) fn project(&self, position: [f32; 3]) -> (f32, f32, f32) {
        let x = (dot(position, self.axes.right) - self.middle[0]) * self.scale + self.size.0 as f32 / 2.0;
        let y = self.size.1 as f32 / 2.0 - (dot(position, self.axes.up) - self.middle[1]) * self.scale;
        (x, y, -dot(position, self.axes.towards_viewer))
    }
}

pub(super) fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_orthonormal_and_right_handed() {
        for view in [View::Iso, View::Top, View::Front] {
            let Axes { right, up, towards_viewer: out } = view.axes();
            for (a, b, expected) in [
                (right, right, 1.0),
                (up, up, 1.0),
                (out, out, 1.0),
                (right, up, 0.0),
                (up, out, 0.0),
                (right, out, 0.0),
            ] {
                assert!((dot(a, b) - expected).abs() < 1e-6, "{view:?}");
            }
            let cross = [
                right[1] * up[2] - right[2] * up[1],
                right[2] * up[0] - right[0] * up[2],
                right[0] * up[1] - right[1] * up[0],
            ];
            assert!(dot(cross, out) > 0.999, "{view:?}");
        }
    }

    #[test]
    fn points_fill_the_picture_but_for_the_margin() {
        let positions = [[0.0, 0.0, 0.0], [4.0, 2.0, 1.0]];
        let camera = Camera::fitted(View::Top.axes(), &positions, &[0, 1], (200, 200));
        let (low, high) = (camera.project(positions[0]), camera.project(positions[1]));
        assert!((low.0 - 6.0).abs() < 1e-3 && (high.0 - 194.0).abs() < 1e-3, "{low:?} {high:?}");
        // y grows upwards, rows downwards; what is higher is nearer.
        assert!(low.1 > high.1 && low.2 > high.2);
        assert!((f32::midpoint(low.1, high.1) - 100.0).abs() < 1e-3);
    }
}
