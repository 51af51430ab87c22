//! Labelled points as comma-separated text.

use std::io::{self, Write};
use std::ops::Range;

use csv::Writer;

use crate::scan::columns::{COLOR, POSITION};
use crate::scan::kept::{Kept, LABELS};
use crate::scan::ply::Labels;
use crate::scan::values::Value;

/// The column with the names of classes, which are none of the numbers that PLY has.
const CLASS_NAME: &str = "class_name";

/// Writes names and a line per point: x y z, the other `values` in order, label, the class's name (empty without a class) and
/// confidence. Floats have the digits that tell them from their neighbours. Given `colors` stand in place of the points' own.
pub(super) fn write(
    out: &mut dyn Write,
    values: &[Value],
    labels: &Labels,
    colors: Option<&[[u8; 3]]>,
) -> io::Result<()> {
    let is_new = |column: &Kept| LABELS.contains(&column.name.as_str()) || column.name == CLASS_NAME;
    let (places, others): (Vec<&Value>, Vec<&Value>) = values
        .iter()
        .filter(|value| !is_new(&value.column))
        .partition(|value| within(value, &(POSITION..POSITION + 3)));
    let values = [places, others].concat();
    let has_colors = values.iter().any(|value| within(value, &(COLOR..COLOR + 3)));
    // Colours of points that had none stand behind the others.
    let appended = colors.filter(|_| !has_colors);
    let mut writer = Writer::from_writer(out);
    let names = values.iter().map(|value| value.column.name.as_str());
    let painted = ["red", "green", "blue"].into_iter().filter(|_| appended.is_some());
    writer.write_record(names.chain(painted).chain(["label", CLASS_NAME, "confidence"]))?;
    let mut text = Vec::new();
    for (index, &label) in labels.ids.iter().enumerate() {
        for value in &values {
            text.clear();
            match (value.slot, colors) {
                (Some(slot), Some(colors)) if (COLOR..COLOR + 3).contains(&slot) => {
                    write!(text, "{}", colors[index][slot - COLOR])?;
                }
                _ => value.column.write_text(index, &mut text)?,
            }
            writer.write_field(&text)?;
        }
        for channel in appended.iter().flat_map(|colors| colors[index]) {
            writer.write_field(channel.to_string())?;
        }
        writer.write_field(label.to_string())?;
        writer.write_field(labels.set.class(label).map_or("", |class| &class.name))?;
        writer.write_field(labels.confidence[index].to_string())?;
        writer.write_record(None::<&[u8]>)?;
    }
    writer.flush()
}

fn within(value: &Value, slots: &Range<usize>) -> bool {
    value.slot.is_some_and(|slot| slots.contains(&slot))
}
