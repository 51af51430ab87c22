//! Furniture of random proportions: every function makes another one of its kind.

mod bathroom;
mod clutter;
mod kitchen;
mod seats;
mod storage;
mod tables;

pub(crate) use bathroom::{bathtub, shower, toilet, washbasin};
pub(crate) use clutter::{appliance, basket, boiler, box_pile, floor_lamp, plant, table_things};
pub(crate) use kitchen::{kitchen_line, refrigerator};
pub(crate) use seats::{armchair, bed, chair, sofa, swivel_chair};
pub(crate) use storage::{bookshelf, cabinet, nightstand, wardrobe};
pub(crate) use tables::{desk, low_table, table};
