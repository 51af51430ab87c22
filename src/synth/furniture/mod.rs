//! Furniture of random proportions: every function makes another one of its kind.

mod bathroom;
mod clutter;
mod desks;
mod kitchen;
mod seats;
mod storage;
mod tables;
mod workshop;

pub(crate) use bathroom::{bathtub, shower, toilet, vanity, washbasin};
pub(crate) use clutter::{
    appliance, bag, basket, boiler, bottles, box_pile, case, coat_stand, floor_lamp, plant, shoes, table_things,
};
pub(crate) use desks::desk;
pub(crate) use kitchen::{island, kitchen_line, refrigerator};
pub(crate) use seats::{armchair, bed, chair, sofa, stool, swivel_chair};
pub(crate) use storage::{bookshelf, built_in, cabinet, filing_cabinet, nightstand, wall_shelf, wardrobe};
pub(crate) use tables::{low_table, side_table, table};
pub(crate) use workshop::{chest_freezer, rack, utility_sink, workbench};
