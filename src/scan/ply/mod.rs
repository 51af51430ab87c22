//! PLY files: reading into columns, and writing back with labels.
//!
//! The file's bytes are kept with the places of its vertices, so that what is written equals what was read wherever
//! the labels do not touch it: comments, unknown elements, the spelling of ascii numbers, the payload of a NaN.

mod fixed;
mod header;
mod labelled;
mod roles;
mod rows;
mod streamed;
mod values;
mod write;

use std::path::Path;

use ply_rs_bw::ply::{Encoding, PropertyType};

pub(crate) use labelled::{Given, Labels, write_with};
pub use streamed::Streamed;
pub(crate) use write::{Fresh, write_cloud, write_fresh};

use self::fixed::FixedRows;
use self::header::{Element, Header};
use self::roles::Roles;
use self::rows::{Payload, Slot, Spans};
use super::description::{Contents, NormalSource};
use super::mesh_normals::{push_polygon, push_strip, vertex_normals};
use super::source::Source;
use super::warning::Warning;
use super::{Class, LabelSet, PointCloud};
use crate::Result;

/// The elements that may hold the points, best first.
const POINT_ELEMENTS: [&str; 4] = ["vertex", "vertices", "point", "points"];

/// A file as it was read, ready to be written back.
#[derive(Debug, Clone)]
pub(crate) struct Original {
    bytes: Vec<u8>,
    header: Header,
    /// Which element holds the points.
    vertex: usize,
    roles: Roles,
    rows: Spans,
}

impl Original {
    /// The element with the points.
    fn element(&self) -> &Element {
        &self.header.elements[self.vertex]
    }
}

/// Whether a file starts like PLY.
pub(crate) fn is_ply(bytes: &[u8]) -> bool {
    bytes.starts_with(b"ply\n") || bytes.starts_with(b"ply\r") || bytes.starts_with(b"ply ")
}

/// Reads a PLY file from memory; `path` names it in errors.
pub(crate) fn read(path: &Path, bytes: Vec<u8>) -> Result<(PointCloud, Contents, Original)> {
    let source = Source { path, bytes: &bytes };
    let header = Header::parse(&source)?;
    let (vertex, roles) = point_element(&source, &header)?;
    let mut warnings = Vec::new();
    let mut columns = roles.columns(&header.elements[vertex]);
    let mut rows = Spans::Fixed { start: header.body, stride: 0, count: 0 };
    let mut faces = Faces::default();
    let mut payload = Payload::new(source, &header);
    for (index, element) in header.elements.iter().enumerate() {
        if index == vertex {
            let slots = roles.slots(element);
            rows = match FixedRows::of(element, &slots, header.encoding) {
                Some(layout) => payload.fixed(element, &layout, &mut columns)?,
                None => payload.element(element, &slots, true, &mut |row| columns.push(&row.scalars))?,
            };
        } else if let Some(slots) = Faces::slots(element, !roles.has_normals()) {
            let is_strip = element.name.eq_ignore_ascii_case("tristrips");
            let spans = payload.element(element, &slots, false, &mut |row| faces.push(&row.list, is_strip))?;
            faces.count += spans.len();
        } else {
            payload.element(element, &vec![Slot::Ignored; element.properties.len()], false, &mut |_| ())?;
        }
    }
    if payload.long_lines > 0 {
        let message = format!("{} lines hold more values than the header declares", payload.long_lines);
        warnings.push(Warning::new("long-lines", message, ""));
    }
    let trailing = bytes[payload.at..].trim_ascii().len();
    if trailing > 0 {
        let message = format!("{trailing} bytes follow the last element; they are kept but mean nothing");
        warnings.push(Warning::new("trailing-bytes", message, ""));
    }
    let mut cloud = columns.finish(&mut warnings)?;
    let mut normals = if roles.has_normals() { NormalSource::File } else { NormalSource::None };
    if !faces.triangles.is_empty() {
        cloud.normals = Some(vertex_normals(&cloud.positions, &faces.triangles));
        normals = NormalSource::Faces;
    }
    let strays =
        faces.strays + faces.triangles.iter().flatten().filter(|&&index| index as usize >= cloud.len()).count();
    if strays > 0 {
        let message = format!("{strays} corners of faces are no vertex of this file; their faces are passed over");
        warnings.push(Warning::new("stray-faces", message, ""));
    }
    let contents = contents(&header, &header.elements[vertex], faces.count, normals, warnings);
    Ok((cloud, contents, Original { bytes, header, vertex, roles, rows }))
}

/// The element with the points, and what its properties mean.
fn point_element(source: &Source, header: &Header) -> Result<(usize, Roles)> {
    let named = |name: &&str| header.elements.iter().position(|element| element.name.eq_ignore_ascii_case(name));
    let end = || format!("line {}", header.lines.len());
    let Some(index) = POINT_ELEMENTS.iter().find_map(named) else {
        let found: Vec<&str> = header.elements.iter().map(|element| element.name.as_str()).collect();
        let problem = format!("the file declares no `vertex` element (it has: {})", listed(&found));
        return Err(source.error(&end(), &problem, "Choose a file with points"));
    };
    let element = &header.elements[index];
    let roles = Roles::of(element);
    if !roles.has_positions() {
        let found: Vec<&str> = element.properties.iter().map(|property| property.name.as_str()).collect();
        let problem = format!("element `{}` lacks x, y or z (it has: {})", element.name, listed(&found));
        return Err(source.error(&format!("line {}", element.line), &problem, "Export the scan with its coordinates"));
    }
    Ok((index, roles))
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

fn contents(
    header: &Header,
    vertex: &Element,
    faces: usize,
    normals: NormalSource,
    warnings: Vec<Warning>,
) -> Contents {
    let encoding = match header.encoding {
        Encoding::Ascii => "ascii",
        Encoding::BinaryBigEndian => "binary_big_endian",
        Encoding::BinaryLittleEndian => "binary_little_endian",
    };
    Contents {
        format: format!("ply {encoding}"),
        properties: vertex.properties.iter().map(|p| format!("{}:{}", p.name, p.type_name)).collect(),
        elements: header.elements.iter().map(|element| (element.name.clone(), element.count)).collect(),
        comments: header.comments.clone(),
        faces,
        normals,
        warnings,
    }
}

/// Whether an element holds the faces of a mesh.
fn is_faces(element: &Element) -> bool {
    ["face", "faces", "tristrips"].iter().any(|name| element.name.eq_ignore_ascii_case(name))
}

/// Faces while they come in.
#[derive(Debug, Default)]
struct Faces {
    count: usize,
    triangles: Vec<[u32; 3]>,
    /// Lists with a negative index.
    strays: usize,
}

impl Faces {
    /// The slots of a face element, its corners being asked for if they are `wanted`; `None` for other elements.
    fn slots(element: &Element, wanted: bool) -> Option<Vec<Slot>> {
        if !is_faces(element) {
            return None;
        }
        let corners = element.properties.iter().position(|property| {
            matches!(property.data_type, PropertyType::List(..))
                && ["vertex_indices", "vertex_index"].iter().any(|name| property.name.eq_ignore_ascii_case(name))
        });
        let slot = |index| if wanted && Some(index) == corners { Slot::List } else { Slot::Ignored };
        Some((0..element.properties.len()).map(slot).collect())
    }

    fn push(&mut self, indices: &[i64], is_strip: bool) {
        let push = if is_strip { push_strip } else { push_polygon };
        self.strays += usize::from(!push(indices, &mut self.triangles));
    }
}

/// The classes that an earlier labelling wrote into the comments, if they make a label set.
pub(crate) fn classes_of(comments: &[String]) -> Option<LabelSet> {
    let class = |comment: &String| {
        let words: Vec<&str> = comment.split_ascii_whitespace().collect();
        let ["class", id, name @ .., r, g, b] = words.as_slice() else { return None };
        let color = [r.parse().ok()?, g.parse().ok()?, b.parse().ok()?];
        Some(Class { id: id.parse().ok()?, name: name.join(" "), color, las: None })
    };
    let classes: Vec<_> = comments.iter().filter_map(class).collect();
    let in_order = classes.is_sorted_by(|a: &Class, b| a.id < b.id);
    (in_order && !classes.is_empty()).then(|| LabelSet { name: "file".to_owned(), classes })
}
