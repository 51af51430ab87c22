//! A bounding volume hierarchy over a room's surfaces.

use glam::Vec3;

use super::room::Surface;
use super::shape::{Frame, Ray, Shape};

/// Surfaces in a leaf.
const LEAF: usize = 3;
/// Places at which a split is tried, by the surface area heuristic.
const SLICES: usize = 12;
/// Below this depth surfaces are halved, so that no walk through the tree needs a deeper stack than `STACK`.
const DEEPEST: usize = 30;
const STACK: usize = 64;

/// A box along the room's axes.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    low: Vec3,
    high: Vec3,
}

impl Bounds {
    const NONE: Self = Self { low: Vec3::INFINITY, high: Vec3::NEG_INFINITY };

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

    fn middle(&self) -> Vec3 {
        (self.low + self.high) / 2.0
    }

    /// Half the area of its faces: how likely a ray is to meet it. 0 if there is nothing in it.
    fn area(&self) -> f32 {
        let sides = (self.high - self.low).max(Vec3::ZERO);
        sides.x * sides.y + sides.y * sides.z + sides.z * sides.x
    }

    /// How far along a ray it is entered, if it is nearer than `nearest`.
    fn entered(&self, origin: Vec3, inverse: Vec3, nearest: f32) -> Option<f32> {
        let (a, b) = ((self.low - origin) * inverse, (self.high - origin) * inverse);
        let (enter, leave) = (a.min(b).max_element(), a.max(b).min_element());
        (enter <= leave && leave > 0.0 && enter < nearest).then_some(enter)
    }
}

#[derive(Debug)]
struct Node {
    bounds: Bounds,
    /// Of a leaf, the first of its surfaces; of a branch, the second child. The first child follows its parent.
    at: u32,
    /// Surfaces of a leaf; 0 for a branch.
    count: u32,
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

/// The hierarchy, with the solids in the order of its leaves.
#[derive(Debug)]
pub(crate) struct Tree {
    solids: Vec<(Shape, Frame, usize)>,
    nodes: Vec<Node>,
}

impl Tree {
    pub(crate) fn new(surfaces: &[Surface]) -> Self {
        let bounds: Vec<Bounds> = surfaces.iter().map(Bounds::of).collect();
        let mut order: Vec<usize> = (0..surfaces.len()).collect();
        let mut nodes = Vec::new();
        if !surfaces.is_empty() {
            split(&mut nodes, &bounds, &mut order, 0, 0);
        }
        let solids = order.iter().map(|&index| (surfaces[index].shape, surfaces[index].frame, index)).collect();
        Self { solids, nodes }
    }

    /// The first surface a ray meets within `reach` metres.
    pub(crate) fn hit(&self, ray: &Ray, reach: f32) -> Option<Hit> {
        self.search(ray, reach, false)
    }

    /// Whether nothing solid stands between two points.
    pub(crate) fn sees(&self, from: Vec3, to: Vec3) -> bool {
        let way = to - from;
        let length = way.length();
        let ray = Ray { origin: from, direction: way / length };
        length < 0.02 || self.search(&ray, length - 0.01, true).is_none()
    }

    /// The nearest hit, or any at all.
    fn search(&self, ray: &Ray, reach: f32, any: bool) -> Option<Hit> {
        let inverse = ray.direction.recip();
        let mut best: Option<Hit> = None;
        let mut nearest = reach;
        let mut stack = [(0u32, 0.0f32); STACK];
        let mut height = 0;
        if self.nodes.first()?.bounds.entered(ray.origin, inverse, nearest).is_some() {
            height = 1;
        }
        while height > 0 {
            height -= 1;
            let (index, entered) = stack[height];
            if entered >= nearest {
                continue;
            }
            let node = &self.nodes[index as usize];
            let leaf = if node.count > 0 { &self.solids[node.at as usize..][..node.count as usize] } else { &[] };
            for (shape, frame, surface) in leaf {
                let origin = frame.inward(ray.origin - frame.origin);
                let local = Ray { origin, direction: frame.inward(ray.direction) };
                if let Some((distance, normal)) = shape.hit(&local).filter(|(found, _)| *found < nearest) {
                    nearest = distance;
                    best = Some(Hit { distance, surface: *surface, normal });
                    if any {
                        return best;
                    }
                }
            }
            if node.count == 0 {
                let child = |index: u32| {
                    let bounds = &self.nodes[index as usize].bounds;
                    bounds.entered(ray.origin, inverse, nearest).map(|entered| (index, entered))
                };
                let (first, second) = (child(index + 1), child(node.at));
                // The nearer one is looked at first, and so goes on top.
                let is_swapped = matches!((first, second), (Some((_, a)), Some((_, b))) if a < b);
                let pair = if is_swapped { [second, first] } else { [first, second] };
                for child in pair.into_iter().flatten() {
                    stack[height] = child;
                    height += 1;
                }
            }
        }
        best
    }
}

/// Appends the node of `part`, whose first surface is number `first` in the order, and all below it.
fn split(nodes: &mut Vec<Node>, bounds: &[Bounds], part: &mut [usize], first: usize, depth: usize) {
    let whole = part.iter().fold(Bounds::NONE, |sum, &index| sum.join(bounds[index]));
    let node = nodes.len();
    nodes.push(Node { bounds: whole, at: first as u32, count: part.len() as u32 });
    if part.len() <= LEAF {
        return;
    }
    let (low, high) = part.iter().fold((Vec3::INFINITY, Vec3::NEG_INFINITY), |(low, high), &index| {
        let middle = bounds[index].middle();
        (low.min(middle), high.max(middle))
    });
    let axis = (high - low).max_position();
    let width = (high[axis] - low[axis]).max(1e-6);
    let slice =
        |index: usize| (((bounds[index].middle()[axis] - low[axis]) / width * SLICES as f32) as usize).min(SLICES - 1);
    part.sort_by(|&a, &b| bounds[a].middle()[axis].total_cmp(&bounds[b].middle()[axis]).then(a.cmp(&b)));
    let half = if depth < DEEPEST { cheapest(bounds, part, slice) } else { None };
    let half = half.unwrap_or(part.len() / 2);
    let (left, right) = part.split_at_mut(half);
    nodes[node].count = 0;
    split(nodes, bounds, left, first, depth + 1);
    nodes[node].at = nodes.len() as u32;
    split(nodes, bounds, right, first + half, depth + 1);
}

/// After how many of the sorted surfaces a cut between two slices costs least, if any cut parts them.
fn cheapest(bounds: &[Bounds], part: &[usize], slice: impl Fn(usize) -> usize) -> Option<usize> {
    let mut boxes = [(Bounds::NONE, 0usize); SLICES];
    for &index in part {
        let (sum, count) = &mut boxes[slice(index)];
        *sum = sum.join(bounds[index]);
        *count += 1;
    }
    let cost = |boxes: &[(Bounds, usize)]| {
        let whole = boxes.iter().fold(Bounds::NONE, |sum, (other, _)| sum.join(*other));
        let count = boxes.iter().map(|(_, count)| count).sum::<usize>();
        (count, whole.area() * count as f32)
    };
    let cuts = (1..SLICES).map(|cut| {
        let (left, right) = (cost(&boxes[..cut]), cost(&boxes[cut..]));
        (left.0, left.1 + right.1)
    });
    let parting = cuts.filter(|(left, _)| (1..part.len()).contains(left));
    parting.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(left, _)| left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::{Options, Room, dice::Dice};

    #[test]
    fn the_tree_finds_what_asking_every_surface_finds() {
        let room = Room::generate(&Options::default(), 3);
        let tree = Tree::new(&room.surfaces);
        let mut dice = Dice::new(1, 1);
        let middle = room.plan.extent().center().extend(1.3);
        for _ in 0..2000 {
            let way = Vec3::new(dice.normal(), dice.normal(), dice.normal());
            let ray = Ray { origin: middle, direction: way.normalize_or(Vec3::X) };
            let meets = |surface: &Surface| {
                let frame = &surface.frame;
                let origin = frame.inward(ray.origin - frame.origin);
                surface.shape.hit(&Ray { origin, direction: frame.inward(ray.direction) }).map(|(distance, _)| distance)
            };
            let expected = room.surfaces.iter().filter_map(meets).min_by(f32::total_cmp).filter(|d| *d < 6.0);
            assert_eq!(tree.hit(&ray, 6.0).map(|hit| hit.distance), expected);
            let to = middle + ray.direction * 3.0;
            assert_eq!(tree.sees(middle, to), expected.is_none_or(|distance| distance >= 2.99));
        }
    }
}
