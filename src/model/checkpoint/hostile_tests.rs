//! Files that are damaged, or made to do harm.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::testing::{Writer, zip};
use super::tests::{conventional, holds, layouts, open, plain, refused};
use crate::model::preset::AdapterChoice;
use crate::model::tensor_file::{Dtype, HostTensor, TensorFile};
use crate::model::weights::ModelFile;

/// Pickles that would run something in Python, what of them is named, and where.
#[test]
fn nothing_is_ever_run() {
    let pickles: [(&[u8], &str); 10] = [
        (b"cos\nsystem\n(X\x02\x00\x00\x00lstR.", "byte 2 of the pickle: it asks for os.system"),
        (b"cposix\nsystem\n.", "posix.system"),
        (b"\x8c\x02os\x8c\x06system\x93\x8c\x02ls\x85R.", "os.system"),
        (b"}X\x09\x00\x00\x00optimizerc__builtin__\neval\n(X\x01\x00\x00\x001tRs.", "__builtin__.eval"),
        (b"cbuiltins\nexec\n.", "builtins.exec"),
        (b"ctorch._utils\n_rebuild_tensor_v2\nX\x01\x00\x00\x00aR.", "a call has no arguments"),
        (b"cbuiltins\ngetattr\n(ctorch._utils\n_rebuild_tensor_v2\nX\x01\x00\x00\x00atR.", "builtins.getattr"),
        (b"(ios\nsystem\n.", "opcode 0x69"),
        (b"(cos\nsystem\no.", "os.system"),
        (b"\x82\x01.", "opcode 0x82"),
    ];
    for (pickle, part) in pickles {
        let writer = Writer { pickle: pickle.strip_suffix(b".").unwrap().to_vec(), storages: Vec::new() };
        refused(open(writer.zip()), &[part]);
        assert!(open(writer.legacy()).is_err());
    }
}

#[test]
fn pickles_that_would_grow_are_stopped() {
    let many = |bytes: &[u8]| bytes.repeat(10_000_000 / bytes.len());
    let doubling: Vec<u8> = [b"]q\x00".to_vec(), b"(h\x00h\x00l\x94q\x00".repeat(60), b"0".to_vec()].concat();
    let pickles: Vec<(&str, Vec<u8>)> = vec![
        ("marks", many(b"(")),
        ("tuples", [b"N".to_vec(), many(b"\x85")].concat()),
        ("lists", many(b"]")),
        ("dictionaries", many(b"}")),
        ("copies", [b"N".to_vec(), many(b"2")].concat()),
        ("memo", [b"N".to_vec(), many(b"\x94")].concat()),
        (
            "a memo with gaps",
            [b"N".to_vec(), (0..1_500_000_u32).flat_map(|i| [&b"r"[..], &(i * 2000).to_le_bytes()].concat()).collect()]
                .concat(),
        ),
        ("doubled lists", doubling),
        ("a circle", b"]q\x00h\x00a0}q\x01(h\x01h\x01u".to_vec()),
        (
            "pairs of one list",
            [
                b"](X\x01\x00\x00\x00aN\x86".to_vec(),
                b"2".repeat(300_000),
                b"eq\x00ccollections\nOrderedDict\nq\x01".to_vec(),
                b"h\x01h\x00\x85R0".repeat(1000),
            ]
            .concat(),
        ),
        ("a long integer", b"\x8b\xff\xff\xff\x7f1234".to_vec()),
        ("a negative integer", b"\x8b\xff\xff\xff\xff1234".to_vec()),
        ("a long text", b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff1234".to_vec()),
        ("a longer text", b"X\xff\xff\xff\xff1234".to_vec()),
        ("long bytes", b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f1234".to_vec()),
        ("long line", [b"c".to_vec(), many(b"a")].concat()),
    ];
    for (name, pickle) in pickles {
        let start = Instant::now();
        let writer = Writer { pickle, storages: Vec::new() };
        for bytes in layouts(&writer) {
            assert!(open(bytes).is_err(), "{name}");
        }
        // Milliseconds in truth; a loaded machine is slow.
        assert!(start.elapsed() < Duration::from_secs(20), "{name}: {:?}", start.elapsed());
    }
}

/// One text of the file that is listed as the key of many storages is not kept as often.
#[test]
fn a_storage_is_listed_once() {
    let mut writer = Writer { pickle: Vec::new(), storages: vec![(4, vec![0; 16])] };
    writer.raw(b"}").text("backbone.x").view("0", Dtype::F32, 4, 0, &[4], &[1]).raw(b"s");
    let keys = [&b"\x80\x02](X\x01\x00\x00\x000q\x00"[..], &b"h\x00".repeat(500_000), b"e."].concat();
    refused(open(writer.legacy_with_keys(&keys)), &["lists storage 0 twice"]);
}

/// Shapes without elements cost nothing, so their sizes may be anything.
#[test]
fn sizes_of_empty_tensors_are_no_trap() {
    let mut writer = Writer { pickle: Vec::new(), storages: vec![(4, vec![])] };
    writer.raw(b"}(").text("backbone.embedding.stem.linear.weight");
    writer.view("0", Dtype::F32, 0, 0, &[(1 << 61) - 1, 0], &[1, 1]);
    writer.text("seg_head.weight").view("0", Dtype::F32, 0, 0, &[1 << 62, 0], &[1, 1]).raw(b"u");
    for bytes in layouts(&writer) {
        refused(open(bytes), &["config."]);
    }
    let mut deep = Writer { pickle: Vec::new(), storages: vec![(4, vec![])] };
    deep.raw(b"}").text("backbone.x").view("0", Dtype::F32, 0, 0, &[1 << 62, 4, 0], &[0, 0, 0]).raw(b"s");
    for bytes in layouts(&deep) {
        refused(open(bytes), &["passes the end"]);
    }
}

#[test]
fn two_models_in_one_dictionary_are_refused() {
    let mut twice = plain();
    twice.push(HostTensor { name: format!("module.{}", twice[0].name), ..twice[0].clone() });
    let mut writer = Writer::default();
    writer.state_dict("", &twice);
    refused(open(writer.zip()), &["twice, with and without `module.`"]);
}

/// One key under which many things stand is kept once.
#[test]
fn a_name_is_kept_once() {
    let mut writer = Writer::default();
    writer.raw(b"}(").text("state_dict").state_dict("", &plain()).text(&"n".repeat(4000)).raw(b"q\x07N");
    writer.raw(&b"h\x07N".repeat(300_000)).raw(b"u");
    let file = open(writer.zip()).unwrap();
    assert_eq!(file.tensors().checkpoint().unwrap().left_out, ["n".repeat(4000)]);
}

/// A circle among data that is left out, or made to a configuration, ends.
#[test]
fn circles_end() {
    let mut writer = Writer::default();
    writer.raw(b"}(").text("state_dict").state_dict("", &plain()).text("config").raw(b"}q\x05").text("self");
    writer.raw(b"h\x05s").text("other").raw(b"]q\x06h\x06au");
    for bytes in layouts(&writer) {
        holds(&open(bytes).unwrap(), &conventional(AdapterChoice::None, false), &plain());
    }
}

#[test]
fn tensors_that_are_not_in_the_file_are_refused() {
    type Case = (&'static str, [i64; 2], &'static [i64], &'static [i64], &'static str);
    let cases: [Case; 6] = [
        ("0", [4, 0], &[2, 3], &[3, 1], "passes the end of its storage of 4 elements"),
        ("0", [4, 0], &[1 << 40], &[0], "repeats the 4 elements"),
        ("0", [4, -1], &[2], &[1], "counts backwards"),
        ("0", [5, 0], &[5], &[1], "elements"),
        ("1", [4, 0], &[4], &[1], ""),
        ("0", [i64::MAX, 0], &[i64::MAX], &[1], "elements"),
    ];
    for (key, [elements, offset], shape, strides, part) in cases {
        let mut writer = Writer { pickle: Vec::new(), storages: vec![(4, vec![0; 16])] };
        writer.raw(b"}").text("backbone.x").view(key, Dtype::F32, elements, offset, shape, strides).raw(b"s");
        for bytes in layouts(&writer) {
            refused(open(bytes), &[part]);
        }
    }
}

#[test]
fn other_archives_and_pickles_are_refused_by_what_they_are() {
    let entry = |name: &str, bytes: &[u8]| (name.to_owned(), bytes.to_vec());
    refused(open(zip(&[entry("word/document.xml", b"<a/>")], 0)), &["zip archive without the `data.pkl`"]);
    let program = [entry("m/data.pkl", b"\x80\x02}."), entry("m/constants.pkl", b"\x80\x02).")];
    refused(open(zip(&program, 0)), &["TorchScript", "model.state_dict()"]);
    refused(open(zip(&[entry("m/data.pkl", b"\x80\x02}.")], 8)), &["data.pkl is compressed"]);
    let big = [entry("m/data.pkl", b"\x80\x02}."), entry("m/byteorder", b"big")];
    refused(open(zip(&big, 0)), &["big-endian"]);
    refused(open(b"\x80\x04}.".repeat(20)), &["is a pickle, but none that `torch.save` wrote"]);
    refused(open(zip(&[entry("m/data.pkl", b"\x80\x02K\x01.")], 0)), &["holds no dictionary"]);
    let mut empty = Writer::default();
    empty.raw(b"}").text("weights").raw(b"Ns");
    refused(open(empty.zip()), &["its keys are weights", "state_dict"]);
    refused(open(b"{\"model\": 1, \"of\": \"none\"}".to_vec()), &["no safetensors file", ".pth"]);
}

/// A small checkpoint of both layouts.
fn small() -> [Vec<u8>; 2] {
    let mut writer = Writer::default();
    let tensors = [
        HostTensor::from_f32("backbone.a", &[2, 3], &[1.0; 6]),
        HostTensor::from_f32("seg_head.bias", &[2], &[2.0; 2]),
    ];
    writer.raw(b"}").text("state_dict").state_dict("module.", &tensors).raw(b"s");
    layouts(&writer)
}

fn read_all(bytes: Vec<u8>) {
    if let Ok(file) = TensorFile::from_bytes("model.pth", bytes) {
        for name in file.names() {
            let _ = (file.byte_length(name), file.read(name));
        }
        let _ = ModelFile::from_tensors(file);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_damage_to_a_checkpoint_gives_a_file_or_an_error(
        layout in 0..2_usize, flips in prop::collection::vec((0..1_usize << 16, any::<u8>()), 1..4),
    ) {
        let mut bytes = small()[layout].clone();
        let length = bytes.len();
        for (at, byte) in flips {
            bytes[at % length] = byte;
        }
        read_all(bytes);
    }

    #[test]
    fn any_opcodes_give_a_file_or_an_error(
        pickle in prop::collection::vec(prop::sample::select(b"\x80\x95(012NIJKML\x8a\x8bFGSVTUX\x8c\x8d\x8eBC)t\x85\x86\x87]l}d\x8f\x90\x91aesughjpqr\x94c\x93Rb\x81Q.\n\x00\x01\x02".to_vec()), 0..60),
    ) {
        let writer = Writer { pickle, storages: vec![(4, vec![0; 16])] };
        for bytes in layouts(&writer) {
            read_all(bytes);
        }
    }
}

#[test]
fn a_truncated_checkpoint_is_an_error() {
    for bytes in small() {
        for length in 0..bytes.len() {
            assert!(TensorFile::from_bytes("model.pth", bytes[..length].to_vec()).is_err(), "{length}");
        }
    }
}
