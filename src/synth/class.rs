//! The labels of the `rooms` label set by name.

pub(crate) const WALL: i32 = 0;
pub(crate) const FLOOR: i32 = 1;
pub(crate) const CABINET: i32 = 2;
pub(crate) const BED: i32 = 3;
pub(crate) const CHAIR: i32 = 4;
pub(crate) const SOFA: i32 = 5;
pub(crate) const TABLE: i32 = 6;
pub(crate) const DOOR: i32 = 7;
pub(crate) const WINDOW: i32 = 8;
pub(crate) const BOOKSHELF: i32 = 9;
pub(crate) const PICTURE: i32 = 10;
pub(crate) const COUNTER: i32 = 11;
pub(crate) const DESK: i32 = 12;
pub(crate) const CURTAIN: i32 = 13;
pub(crate) const REFRIGERATOR: i32 = 14;
pub(crate) const SHOWER_CURTAIN: i32 = 15;
pub(crate) const TOILET: i32 = 16;
pub(crate) const SINK: i32 = 17;
pub(crate) const BATHTUB: i32 = 18;
pub(crate) const OTHER: i32 = 19;
pub(crate) const CEILING: i32 = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::LabelSet;

    #[test]
    fn labels_agree_with_the_rooms_label_set() {
        let set = LabelSet::rooms();
        for (label, name) in [
            (WALL, "wall"),
            (FLOOR, "floor"),
            (CABINET, "cabinet"),
            (BED, "bed"),
            (CHAIR, "chair"),
            (SOFA, "sofa"),
            (TABLE, "table"),
            (DOOR, "door"),
            (WINDOW, "window"),
            (BOOKSHELF, "bookshelf"),
            (PICTURE, "picture"),
            (COUNTER, "counter"),
            (DESK, "desk"),
            (CURTAIN, "curtain"),
            (REFRIGERATOR, "refrigerator"),
            (SHOWER_CURTAIN, "shower curtain"),
            (TOILET, "toilet"),
            (SINK, "sink"),
            (BATHTUB, "bathtub"),
            (OTHER, "otherfurniture"),
            (CEILING, "ceiling"),
        ] {
            assert_eq!(set.id(name), Some(label as u32), "{name}");
        }
    }
}
