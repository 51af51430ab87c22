//! From the properties of a vertex to the columns of a [`PointCloud`].

use ply_rs_bw::ply::{PropertyType, ScalarType};

use super::header::Element;
use super::rows::{Row, SLOTS, Slot};
use crate::Result;
use crate::scan::PointCloud;
use crate::scan::color_scale::{self, ColorScale};

/// The names a value goes by, best first, in lower case: x, y, z, normal, colour, label.
const NAMES: [&[&str]; SLOTS] = [
    &["x"],
    &["y"],
    &["z"],
    &["nx", "normal_x", "normalx"],
    &["ny", "normal_y", "normaly"],
    &["nz", "normal_z", "normalz"],
    &["red", "r", "diffuse_red"],
    &["green", "g", "diffuse_green"],
    &["blue", "b", "diffuse_blue"],
    &["label", "class", "scalar_classification", "classification", "scalar_label", "segment"],
];

const POSITION: usize = 0;
const NORMAL: usize = 3;
const COLOR: usize = 6;
const LABEL: usize = 9;

/// Which property of the vertex element fills which slot.
#[derive(Debug, Clone)]
pub(crate) struct Roles([Option<usize>; SLOTS]);

impl Roles {
    pub(crate) fn of(element: &Element) -> Self {
        let find = |name: &&str| {
            element.properties.iter().position(|property| {
                property.name.eq_ignore_ascii_case(name) && matches!(property.data_type, PropertyType::Scalar(_))
            })
        };
        let mut roles = NAMES.map(|names| names.iter().find_map(find));
        for group in [POSITION, NORMAL, COLOR] {
            // Two thirds of a colour or of a normal is none.
            if roles[group..group + 3].contains(&None) {
                roles[group..group + 3].fill(None);
            }
        }
        Self(roles)
    }

    pub(crate) fn has_positions(&self) -> bool {
        self.0[POSITION].is_some()
    }

    pub(crate) fn has_normals(&self) -> bool {
        self.0[NORMAL].is_some()
    }

    /// The properties that hold red, green and blue.
    pub(crate) fn colors(&self) -> Option<[usize; 3]> {
        Some([self.0[COLOR]?, self.0[COLOR + 1]?, self.0[COLOR + 2]?])
    }

    /// The slot of every property of the element.
    pub(crate) fn slots(&self, element: &Element) -> Vec<Slot> {
        let mut slots = vec![Slot::Ignored; element.properties.len()];
        for (slot, property) in self.0.iter().enumerate() {
            if let Some(property) = property {
                slots[*property] = Slot::Scalar(slot);
            }
        }
        slots
    }

    fn scalar<'a>(&self, element: &'a Element, slot: usize) -> Option<&'a ScalarType> {
        match &element.properties.get(self.0[slot]?)?.data_type {
            PropertyType::Scalar(scalar) => Some(scalar),
            PropertyType::List(..) => None,
        }
    }
}

/// The columns of a cloud while its rows come in.
#[derive(Debug)]
pub(crate) struct Columns {
    roles: Roles,
    /// Filled instead of `positions` where a coordinate is a double.
    double_positions: Vec<[f64; 3]>,
    positions: Vec<[f32; 3]>,
    has_doubles: bool,
    colors: Vec<[f32; 3]>,
    color_type: Option<ScalarType>,
    normals: Vec<[f32; 3]>,
    labels: Vec<i32>,
}

impl Columns {
    pub(crate) fn new(element: &Element, roles: &Roles) -> Self {
        Self {
            roles: roles.clone(),
            double_positions: Vec::new(),
            positions: Vec::new(),
            has_doubles: (POSITION..POSITION + 3).any(|slot| roles.scalar(element, slot) == Some(&ScalarType::Double)),
            colors: Vec::new(),
            color_type: roles.scalar(element, COLOR).cloned(),
            normals: Vec::new(),
            labels: Vec::new(),
        }
    }

    /// Takes one vertex.
    pub(crate) fn push(&mut self, row: &Row) {
        let triple = |first: usize| -> [f32; 3] { std::array::from_fn(|i| row.scalars[first + i] as f32) };
        if self.has_doubles {
            self.double_positions.push(std::array::from_fn(|i| row.scalars[POSITION + i]));
        } else {
            self.positions.push(triple(POSITION));
        }
        if self.roles.0[NORMAL].is_some() {
            self.normals.push(triple(NORMAL));
        }
        if self.roles.0[COLOR].is_some() {
            self.colors.push(triple(COLOR));
        }
        if self.roles.0[LABEL].is_some() {
            let label = row.scalars[LABEL];
            self.labels.push(if label.is_finite() { label.round() as i32 } else { -1 });
        }
    }

    /// The cloud, with colours brought to `0..=255`; says in `warnings` what was assumed on the way.
    pub(crate) fn finish(mut self, warnings: &mut Vec<String>) -> Result<PointCloud> {
        let mut origin = [0.0; 3];
        if self.has_doubles {
            (self.positions, origin) = PointCloud::positions_from_f64(&self.double_positions);
            drop(std::mem::take(&mut self.double_positions));
        }
        if let Some(color_type) = &self.color_type {
            scale_colors(&mut self.colors, color_type, warnings);
        }
        let has = |slot: usize| self.roles.0[slot].is_some();
        let (colors, normals, labels) = (has(COLOR), has(NORMAL), has(LABEL));
        PointCloud::new(
            self.positions,
            origin,
            colors.then_some(self.colors),
            normals.then_some(self.normals),
            labels.then_some(self.labels),
        )
    }
}

/// Brings colours of any type to `0..=255`, and says where that was a guess. Bytes stay as they are.
fn scale_colors(colors: &mut [[f32; 3]], color_type: &ScalarType, warnings: &mut Vec<String>) {
    if *color_type == ScalarType::UChar {
        return;
    }
    let is_float = matches!(color_type, ScalarType::Float | ScalarType::Double);
    let ColorScale { highest, is_wide, broken } = color_scale::scale_colors(colors, is_float);
    if is_wide {
        warnings.push(format!("colours go up to {highest}: they are taken as 16-bit values and divided by 257"));
    }
    if broken > 0 {
        warnings.push(format!("{broken} colour values are not finite: they are taken as 0"));
    }
}
