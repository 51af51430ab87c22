//! A bounding volume hierarchy over a room's surfaces.

use glam::Vec3;

use super::room::Surface;
use super::shape::Ray;

/// Surfaces in a leaf.
const LEAF: usize = 4;

/// A box along the room's axes.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    low: Vec3,
    high: Vec3,
}

impl Bounds {
    fn of(surface: &Surface) -> Self {
        let half = surface.shape.half_extent();
        let axes = surface.frame.axes;
        // A hair more, so that flat shapes are not lost to rounding.
        let reach = axes[0].abs() * half.x + axes[1].abs() * half.y + axes[2].abs() * half.z + Vec3::splat(1e-3);
        Self { low: surface.frame.origin - reach, high: surface.frame.origin + reach }
    }

    fn join(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    fn is_met(&self, origin: Vec3, inverse: Vec3, nearest: f32) -> bool {
        let (a, b) = ((self.low - origin) * inverse, (self.high - origin) * inverse);
        let (enter, leave) = (a.min(b).max_element(), a.max(b).min_element());
        enter <= leave && leave > 0.0 && enter < nearest
    }
}

#[derive(Debug)]
enum Node {
    /// Surfaces `first..last` of the order.
    Leaf(Bounds, usize, usize),
    /// The other branch; this one's follows directly.
    Branch(Bounds, usize),
}

/// Where a ray first meets a surface.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hit {
    /// Metres along the ray.
    pub(crate) distance: f32,
    /// Which surface.
    pub(crate) surface: usize,
    /// Outward, in the surface's frame.
    pub(crate) normal: Vec3,
}

/// The hierarchy; borrows the surfaces it was made of.
#[derive(Debug)]
pub(crate) struct Tree<'a> {
    surfaces: &'a [Surface],
    order: Vec<usize>,
    nodes: Vec<Node>,
}

impl<'a> Tree<'a> {
    pub(crate) fn new(surfaces: &'a [Surface]) -> Self {
        let bounds: Vec<Bounds> = surfaces.iter().map(Bounds::of).collect();
        let mut tree = Self { surfaces, order: (0..surfaces.len()).collect(), nodes: Vec::new() };
        if !surfaces.is_empty() {
            tree.split(&bounds, 0, surfaces.len());
        }
        tree
    }

    fn split(&mut self, bounds: &[Bounds], first: usize, last: usize) {
        let part = &mut self.order[first..last];
        let whole = part.iter().map(|&index| bounds[index]).reduce(Bounds::join).unwrap_or(bounds[0]);
        if last - first <= LEAF {
            self.nodes.push(Node::Leaf(whole, first, last));
            return;
        }
        let middle = |index: usize| bounds[index].low + bounds[index].high;
        let spread = part.iter().map(|&index| middle(index));
        let (low, high) = spread.fold((Vec3::INFINITY, Vec3::NEG_INFINITY), |(l, h), m| (l.min(m), h.max(m)));
        let axis = (high - low).max_position();
        part.sort_by(|&a, &b| middle(a)[axis].total_cmp(&middle(b)[axis]).then(a.cmp(&b)));
        let node = self.nodes.len();
        self.nodes.push(Node::Branch(whole, 0));
        let half = first.midpoint(last);
        self.split(bounds, first, half);
        self.nodes[node] = Node::Branch(whole, self.nodes.len());
        self.split(bounds, half, last);
    }

    /// The first surface a ray meets within `reach` metres.
    pub(crate) fn hit(&self, ray: &Ray, reach: f32) -> Option<Hit> {
        let inverse = ray.direction.recip();
        let mut best: Option<Hit> = None;
        let mut nearest = reach;
        let mut stack = vec![0];
        while let Some(index) = stack.pop() {
            match self.nodes.get(index) {
                Some(Node::Branch(bounds, other)) if bounds.is_met(ray.origin, inverse, nearest) => {
                    stack.push(*other);
                    stack.push(index + 1);
                }
                Some(Node::Leaf(bounds, first, last)) if bounds.is_met(ray.origin, inverse, nearest) => {
                    for &surface in &self.order[*first..*last] {
                        let Surface { shape, frame, .. } = &self.surfaces[surface];
                        let origin = frame.inward(ray.origin - frame.origin);
                        let local = Ray { origin, direction: frame.inward(ray.direction) };
                        if let Some((distance, normal)) = shape.hit(&local).filter(|(found, _)| *found < nearest) {
                            nearest = distance;
                            best = Some(Hit { distance, surface, normal });
                        }
                    }
                }
                _ => {}
            }
        }
        best
    }

    /// Whether nothing solid stands between two points.
    pub(crate) fn sees(&self, from: Vec3, to: Vec3) -> bool {
        let way = to - from;
        let length = way.length();
        let ray = Ray { origin: from, direction: way / length };
        length < 0.02 || self.hit(&ray, length - 0.01).is_none()
    }
}
