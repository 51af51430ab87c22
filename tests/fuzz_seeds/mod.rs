//! Makes the seeds of `fuzz/`: small files of every layout that the parsers know.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use e57::{E57Writer, Record, RecordValue};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use las::point::{Classification, Format};
use las::{Builder, Point, Transform, Vector, Version, Vlr};
use laz::{LasZipCompressor, LazItemRecordBuilder, LazVlr};
use pointtpa::LabelSet;
use pointtpa::model::config::Config;
use pointtpa::model::preset::{AdapterChoice, Preset};
use rawzip::{CompressionMethod, ZipArchiveWriter};

/// Points of every seed.
const POINTS: u8 = 12;

/// Writes all of them, into a folder of each target.
pub(crate) fn write(folder: &Path) {
    let all: Vec<(&str, Vec<u8>)> = vec![
        ("ply/ascii_mesh.ply", ascii_ply()),
        ("ply/little.ply", binary_ply(true)),
        ("ply/big.ply", binary_ply(false)),
        ("pcd/ascii.pcd", pcd("ascii")),
        ("pcd/binary.pcd", pcd("binary")),
        ("pcd/compressed.pcd", pcd("binary_compressed")),
        ("las/format2.las", las(2, false)),
        ("las/format2.laz", las(2, true)),
        ("las/format7.laz", las(7, true)),
        ("text/named.csv", b"x,y,z,r,g,b,label\n1,2,3,10,20,30,4\n-1.5,nan,2e3,0,0,0,-1\n".to_vec()),
        ("text/counted.pts", b"2\n1 2 3 -812 10 20 30\n4 5 6 0.5 40 50 60\n".to_vec()),
        ("text/comments.xyz", b"//X Y Z Nx Ny Nz\n# more\n0 0 0 0 -1 0\n1 1 1 1 0 0\n".to_vec()),
        ("e57/cartesian.bin", e57(false)),
        ("e57/spherical.bin", e57(true)),
        ("npy/points.npy", npy("<f4", 6)),
        ("npy/points.npz", npz()),
        ("gzip/ascii.ply.gz", gzip(&ascii_ply())),
        ("gzip/text.xyz.gz", gzip(b"1 2 3\n4 5 6\n")),
        ("safetensors/header.json", header()),
        ("safetensors/config.json", config().into_bytes()),
        ("safetensors/model.safetensors", [&(header().len() as u64).to_le_bytes(), &header()[..]].concat()),
        ("checkpoint/archive.pth", archive()),
        ("checkpoint/legacy.pth", legacy()),
    ];
    for (name, bytes) in all {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

fn ascii_ply() -> Vec<u8> {
    let head = "ply\nformat ascii 1.0\ncomment class 0 wall 174 199 232\nobj_info made\nelement vertex 4\nproperty float x\n\
                property double y\nproperty float z\nproperty uchar red\nproperty uchar green\nproperty uchar blue\n\
                property list uchar int more\nelement face 2\nproperty list uchar int vertex_indices\nend_header\n";
    let body = "0 0 0 1 2 3 0\n1 0 0 4 5 6 1 7\n0 1 0 nan 8 9 2 1 2\n".replace("nan", "7")
        + "nan 1 -inf 10 11 12 0\n3 0 1 2\n4 0 1 2 3\n";
    (head.to_owned() + &body).into_bytes()
}

fn binary_ply(is_little: bool) -> Vec<u8> {
    let order = if is_little { "little" } else { "big" };
    let mut out = format!(
        "ply\nformat binary_{order}_endian 1.0\nelement vertex {POINTS}\nproperty float x\nproperty float y\n\
         property float z\nproperty float nx\nproperty float ny\nproperty float nz\nproperty ushort red\n\
         property ushort green\nproperty ushort blue\nproperty int label\nelement tristrips 1\n\
         property list uchar int vertex_indices\nend_header\n"
    )
    .into_bytes();
    for i in 0..POINTS {
        for value in [f32::from(i), 0.5, -1.0, 0.0, 0.0, 1.0] {
            out.extend(if is_little { value.to_le_bytes() } else { value.to_be_bytes() });
        }
        for value in [u16::from(i) * 257, 0, 65535] {
            out.extend(if is_little { value.to_le_bytes() } else { value.to_be_bytes() });
        }
        out.extend(if is_little { i32::from(i).to_le_bytes() } else { i32::from(i).to_be_bytes() });
    }
    out.push(5);
    for corner in [0i32, 1, 2, -1, 3] {
        out.extend(if is_little { corner.to_le_bytes() } else { corner.to_be_bytes() });
    }
    out
}

fn pcd(data: &str) -> Vec<u8> {
    let mut out = format!(
        "# .PCD v0.7\nVERSION 0.7\nFIELDS x y z rgb intensity\nSIZE 4 4 4 4 2\nTYPE F F F U U\nCOUNT 1 1 1 1 1\n\
         WIDTH {POINTS}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {POINTS}\nDATA {data}\n"
    )
    .into_bytes();
    let point = |i: u8| ([f32::from(i), 0.5, -1.0], u32::from(i) << 16, u16::from(i) * 100);
    match data {
        "ascii" => (0..POINTS).for_each(|i| {
            let ([x, y, z], rgb, intensity) = point(i);
            out.extend(format!("{x} {y} {z} {rgb} {intensity}\n").into_bytes());
        }),
        "binary" => (0..POINTS).for_each(|i| {
            let (position, rgb, intensity) = point(i);
            out.extend(position.map(f32::to_le_bytes).as_flattened());
            out.extend(rgb.to_le_bytes());
            out.extend(intensity.to_le_bytes());
        }),
        _ => {
            // Field by field, and as literal runs of LZF, each of up to 32 bytes.
            let mut fields = Vec::new();
            (0..3).for_each(|axis| (0..POINTS).for_each(|i| fields.extend(point(i).0[axis].to_le_bytes())));
            (0..POINTS).for_each(|i| fields.extend(point(i).1.to_le_bytes()));
            (0..POINTS).for_each(|i| fields.extend(point(i).2.to_le_bytes()));
            let packed: Vec<u8> =
                fields.chunks(32).flat_map(|run| [&[run.len() as u8 - 1][..], run].concat()).collect();
            out.extend((packed.len() as u32).to_le_bytes());
            out.extend((fields.len() as u32).to_le_bytes());
            out.extend(packed);
        }
    }
    out
}

fn las(format_id: u8, is_compressed: bool) -> Vec<u8> {
    let mut builder = Builder::default();
    builder.version = if format_id > 5 { Version::new(1, 4) } else { Version::new(1, 2) };
    builder.point_format = Format::new(format_id).unwrap();
    let axis = |offset| Transform { scale: 0.001, offset };
    builder.transforms = Vector { x: axis(500_000.0), y: axis(0.0), z: axis(0.0) };
    let vlr = LazVlr::from_laz_items(LazItemRecordBuilder::default_for_point_format_id(format_id, 0).unwrap());
    if is_compressed {
        let mut data = Vec::new();
        vlr.write_to(&mut data).unwrap();
        let (user_id, record_id) = (LazVlr::USER_ID.into(), LazVlr::RECORD_ID);
        builder.vlrs = vec![Vlr { user_id, record_id, description: String::new(), data }];
    }
    let mut header = builder.into_header().unwrap();
    let mut records = Vec::new();
    for i in 0..POINTS {
        let point = Point {
            x: 500_000.0 + f64::from(i),
            intensity: u16::from(i),
            classification: Classification::new(2).unwrap(),
            gps_time: (format_id > 5).then_some(f64::from(i)),
            color: Some(las::Color::new(u16::from(i) * 256, 1, 2)),
            ..Point::default()
        };
        header.add_point(&point);
        let raw = point.into_raw(header.transforms()).unwrap();
        raw.write_to(&mut records, header.point_format()).unwrap();
    }
    let mut raw = header.clone().into_raw().unwrap();
    raw.point_data_record_format |= if is_compressed { 0x80 } else { 0 };
    let mut out = Cursor::new(Vec::new());
    raw.write_to(&mut out).unwrap();
    header.vlrs().iter().for_each(|vlr| vlr.clone().into_raw(false).unwrap().write_to(&mut out).unwrap());
    if is_compressed {
        let mut compressor = LasZipCompressor::new(&mut out, vlr).unwrap();
        compressor.compress_many(&records).unwrap();
        compressor.done().unwrap();
    } else {
        out.write_all(&records).unwrap();
    }
    out.into_inner()
}

/// Without the checksums, which the entry function adds.
fn e57(is_spherical: bool) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    let mut writer = E57Writer::new(&mut out, "file").unwrap();
    let place = if is_spherical {
        [Record::SPHERICAL_RANGE_F32, Record::SPHERICAL_AZIMUTH_F32, Record::SPHERICAL_ELEVATION_F32]
    } else {
        [Record::CARTESIAN_X_F32, Record::CARTESIAN_Y_F32, Record::CARTESIAN_Z_F32]
    };
    let colors = [Record::COLOR_RED_U8, Record::COLOR_GREEN_U8, Record::COLOR_BLUE_U8, Record::INTENSITY_U16];
    let state = if is_spherical { Record::SPHERICAL_INVALID_STATE } else { Record::CARTESIAN_INVALID_STATE };
    let prototype = place.into_iter().chain(colors).chain([state]).collect();
    let mut scan = writer.add_pointcloud("scan", prototype).unwrap();
    for i in 0..POINTS {
        let place = [f32::from(i), 0.5, 1.0].map(RecordValue::Single);
        let rest = [i64::from(i), 100, 255, 40_000, i64::from(i % 3)].map(RecordValue::Integer);
        scan.add_point(place.into_iter().chain(rest).collect()).unwrap();
    }
    scan.finalize().unwrap();
    writer.finalize().unwrap();
    drop(writer);
    out.into_inner().chunks(1024).flat_map(|page| page[..1020].to_vec()).collect()
}

fn npy(descr: &str, columns: usize) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({POINTS}, {columns}), }}\n");
    let start = [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes()].concat();
    let values = (0..usize::from(POINTS) * columns).flat_map(|i| match descr {
        "|u1" => vec![i as u8],
        "<i2" => (i as i16 - 1).to_le_bytes().to_vec(),
        _ => (i as f32 * 0.25).to_le_bytes().to_vec(),
    });
    start.into_iter().chain(values).collect()
}

fn npz() -> Vec<u8> {
    let arrays = [("coord.npy", npy("<f4", 3)), ("color.npy", npy("|u1", 3)), ("segment.npy", npy("<i2", 1))];
    let mut out = Vec::new();
    let mut zip = ZipArchiveWriter::new(&mut out);
    for (name, array) in arrays {
        let file = zip.new_file(name).compression_method(CompressionMethod::DEFLATE);
        let (mut entry, config) = file.start().unwrap();
        let mut writer = config.wrap(DeflateEncoder::new(&mut entry, Compression::default()));
        writer.write_all(&array).unwrap();
        let (encoder, descriptor) = writer.finish().unwrap();
        encoder.finish().unwrap();
        entry.finish(descriptor).unwrap();
    }
    zip.finish().unwrap();
    out
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn config() -> String {
    Config::preset(Preset::Rooms, AdapterChoice::LowRank, 21).unwrap().to_json().unwrap()
}

/// The header of a model file without tensors.
fn header() -> Vec<u8> {
    let classes = serde_json::to_string(&LabelSet::rooms().classes).unwrap();
    let metadata = serde_json::json!({"format": "pt", "config": config(), "classes": classes, "grid_size": "0.06"});
    serde_json::json!({"__metadata__": metadata}).to_string().into_bytes()
}

/// The pickle of a state dict `{"backbone.embedding.stem.conv.weight": [2, 3]}`, as `torch.save` writes one.
fn state_dict() -> Vec<u8> {
    let text = |text: &str| [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
    let storage =
        [b"(", &text("storage")[..], b"ctorch\nFloatStorage\n", &text("0"), &text("cpu"), b"K\x06tQ"].concat();
    let tensor =
        [b"ctorch._utils\n_rebuild_tensor_v2\n(", &storage[..], b"K\0(K\x02K\x03t(K\x03K\x01t\x89}tR"].concat();
    [b"\x80\x02}(", &text("backbone.embedding.stem.conv.weight")[..], &tensor, b"u."].concat()
}

fn legacy() -> Vec<u8> {
    let magic = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
    let text = |text: &str| [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
    let about =
        [b"\x80\x02}(", &text("protocol_version")[..], b"M\xe9\x03", &text("little_endian"), b"\x88u."].concat();
    let keys = [b"\x80\x02](", &text("0")[..], b"e."].concat();
    let start = [b"\x80\x02\x8a\x0a", &magic[..], b".\x80\x02M\xe9\x03."].concat();
    [start, about, state_dict(), keys, 6u64.to_le_bytes().to_vec(), vec![0; 24]].concat()
}

fn archive() -> Vec<u8> {
    let entries =
        [("model/data.pkl", state_dict()), ("model/byteorder", b"little".to_vec()), ("model/data/0", vec![0; 24])];
    let mut out = Vec::new();
    let mut zip = ZipArchiveWriter::new(&mut out);
    for (name, content) in entries {
        let file = zip.new_file(name).compression_method(CompressionMethod::STORE);
        let (mut entry, config) = file.start().unwrap();
        let mut writer = config.wrap(&mut entry);
        writer.write_all(&content).unwrap();
        let descriptor = writer.finish().unwrap().1;
        entry.finish(descriptor).unwrap();
    }
    zip.finish().unwrap();
    out
}
