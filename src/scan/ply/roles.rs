//! What the properties of a vertex mean.

use ply_rs_bw::ply::{PropertyType, ScalarType};

use super::header::Element;
use super::rows::Slot;
use crate::scan::columns::{COLOR, ColorKind, Columns, NORMAL, POSITION, SLOTS, slots_of};

/// Which property of the vertex element fills which slot.
#[derive(Debug, Clone)]
pub(crate) struct Roles([Option<usize>; SLOTS]);

impl Roles {
    pub(crate) fn of(element: &Element) -> Self {
        // A list is no value of a point, whatever it is called.
        let names = element.properties.iter().map(|property| match property.data_type {
            PropertyType::Scalar(_) => property.name.as_str(),
            PropertyType::List(..) => "",
        });
        Self(slots_of(&names.collect::<Vec<_>>()))
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

    /// The slot that a property fills.
    pub(super) fn slot_of(&self, property: usize) -> Option<usize> {
        self.0.iter().position(|own| *own == Some(property))
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

    /// Empty columns for what the element has.
    pub(crate) fn columns(&self, element: &Element) -> Columns {
        let scalar = |slot: usize| match &element.properties.get(self.0[slot]?)?.data_type {
            PropertyType::Scalar(scalar) => Some(scalar),
            PropertyType::List(..) => None,
        };
        let color_kind = match scalar(COLOR) {
            Some(ScalarType::UChar) => ColorKind::Byte,
            Some(ScalarType::Float | ScalarType::Double) => ColorKind::Float,
            _ => ColorKind::Integer,
        };
        let has_doubles = (POSITION..POSITION + 3).any(|slot| scalar(slot) == Some(&ScalarType::Double));
        Columns::new(self.0.map(|slot| slot.is_some()), has_doubles, color_kind)
    }
}
