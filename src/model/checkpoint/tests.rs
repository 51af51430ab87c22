//! Checkpoints as PyTorch writes them, and as nobody should.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::testing::{Writer, zip};
use crate::Error;
use crate::model::adapter_settings::AdapterSettings;
use crate::model::config::{Backbone, Config, Curve};
use crate::model::preset::AdapterChoice;
use crate::model::tensor_file::{Dtype, HostTensor, TensorFile};
use crate::model::weights::{Missing, ModelFile};

/// Two stages that keep to what is assumed of a network where its weights do not say it.
fn conventional(adapter: AdapterChoice, has_decoder: bool) -> Config {
    let mut backbone = Backbone {
        in_channels: 9,
        order: vec![Curve::Z, Curve::ZTrans, Curve::Hilbert, Curve::HilbertTrans],
        stride: vec![2],
        enc_depths: vec![1, 2],
        enc_channels: vec![16, 32],
        enc_num_head: vec![1, 2],
        enc_patch_size: vec![1024; 2],
        dec_patch_size: vec![1024; 4],
        enc_mode: !has_decoder,
        ..Backbone::default()
    };
    if has_decoder {
        backbone.dec_depths = vec![1];
        backbone.dec_channels = vec![32];
        backbone.dec_num_head = vec![2];
        backbone.dec_patch_size = vec![1024];
    }
    let trained = AdapterSettings::default().configure(&mut backbone, adapter).unwrap();
    let config = Config::around(backbone, trained, 5);
    config.validate().unwrap();
    config
}

fn weights(config: &Config) -> Vec<HostTensor> {
    config.parameters().iter().map(|parameter| parameter.initial(7)).collect()
}

fn plain() -> Vec<HostTensor> {
    weights(&conventional(AdapterChoice::None, false))
}

fn renamed(tensors: &[HostTensor], rename: impl Fn(&str) -> Option<String>) -> Vec<HostTensor> {
    let renamed = tensors.iter().filter_map(|t| Some(HostTensor { name: rename(&t.name)?, ..t.clone() }));
    renamed.collect()
}

fn open(bytes: Vec<u8>) -> Result<ModelFile, Error> {
    ModelFile::from_bytes("model.pth", bytes)
}

/// Both layouts of a checkpoint.
fn layouts(writer: &Writer) -> [Vec<u8>; 2] {
    [writer.zip(), writer.legacy()]
}

#[track_caller]
fn holds(file: &ModelFile, config: &Config, tensors: &[HostTensor]) {
    assert_eq!(file.config(), config);
    assert_eq!(file.check_against(config, false).unwrap(), Missing::default());
    for tensor in tensors {
        assert_eq!(&file.read(&tensor.name).unwrap(), tensor, "{}", tensor.name);
    }
}

#[track_caller]
fn refused(result: Result<ModelFile, Error>, parts: &[&str]) {
    let Err(error @ Error::Model { .. }) = result else { panic!("expected a refusal, got {result:?}") };
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "'{part}' is not in: {text}");
    }
}

#[test]
fn every_adapter_comes_back_with_its_configuration_and_its_bits() {
    use AdapterChoice::{BasisMix, Bottleneck, Lora, LowRank};
    for adapter in [AdapterChoice::None, Lora, Bottleneck, LowRank, BasisMix] {
        for has_decoder in [false, true] {
            let config = conventional(adapter, has_decoder);
            let tensors = weights(&config);
            let mut writer = Writer::default();
            writer.state_dict("", &tensors);
            for bytes in layouts(&writer) {
                let file = open(bytes).unwrap();
                holds(&file, &config, &tensors);
                let note = file.info().note.clone().unwrap_or_default();
                assert!(note.contains("1024 points a window"), "{note}");
                assert_eq!(file.info().provenance.as_deref(), Some("PyTorch checkpoint model.pth"));
            }
        }
    }
}

#[test]
fn a_file_is_read_where_it_lies() {
    let mut writer = Writer::default();
    writer.state_dict("", &plain());
    let folder = tempfile::tempdir().unwrap();
    for (i, bytes) in layouts(&writer).into_iter().enumerate() {
        let path = folder.path().join(format!("{i}.pth"));
        std::fs::write(&path, bytes).unwrap();
        holds(&ModelFile::open(&path).unwrap(), &conventional(AdapterChoice::None, false), &plain());
    }
}

#[test]
fn a_trainers_checkpoint_gives_its_model_and_nothing_else() {
    let mut writer = Writer::default();
    let moment = HostTensor::from_f32("exp_avg", &[3], &[1.0; 3]);
    writer.raw(b"}(").text("epoch").int(3).text("state_dict").state_dict("module.", &plain());
    writer.text("optimizer").raw(b"}(").text("state").raw(b"}K\x00}").text("exp_avg").tensor(&moment).raw(b"ssu");
    // A scheduler of PyTorch 1.x, which keeps one of its methods and with it itself.
    writer.text("scheduler").raw(b"}").text("anneal_func").global("__builtin__", "getattr").raw(b"(");
    writer.global("pointcept.utils.scheduler", "OneCycleLR").raw(b")\x81}").text("optimizer");
    writer.global("torch.optim.adamw", "AdamW").raw(b")\x81}bsb").text("_annealing_cos").raw(b"tRs");
    // A numpy number, as protocol 2 has it.
    writer.text("best_metric_value").global("numpy.core.multiarray", "scalar").raw(b"(");
    writer.global("numpy", "dtype").raw(b"(").text("f8").raw(b"\x89\x88tRq\x01(K\x03").text("<").raw(b"NNNtb");
    writer.global("_codecs", "encode").raw(b"(").text("xyz").text("latin1").raw(b"tRtR");
    writer.raw(b"u");
    for bytes in layouts(&writer) {
        let file = open(bytes).unwrap_or_else(|error| panic!("{error}"));
        holds(&file, &conventional(AdapterChoice::None, false), &plain());
        let checkpoint = file.tensors().checkpoint().unwrap();
        assert_eq!(checkpoint.kind, "a trainer's checkpoint");
        assert_eq!(checkpoint.left_out, ["epoch", "optimizer", "scheduler", "best_metric_value"]);
    }
}

#[test]
fn the_student_of_a_pretraining_is_taken() {
    let encoder = renamed(&plain(), |name| name.starts_with("backbone.").then(|| name.to_owned()));
    let student = renamed(&encoder, |name| Some(format!("student.{name}")));
    let mut teacher = renamed(&encoder, |name| Some(format!("teacher.{name}")));
    for tensor in &mut teacher {
        tensor.bytes.fill(9);
    }
    let token = HostTensor::from_f32("student.backbone.embedding.mask_token", &[1, 16], &[0.5; 16]);
    let head = HostTensor::from_f32("student.mask_head.mlp.0.weight", &[2], &[0.0; 2]);
    let mut writer = Writer::default();
    writer
        .raw(b"}")
        .text("state_dict")
        .state_dict("module.", &[student, teacher, vec![token, head]].concat())
        .raw(b"s");
    let file = open(writer.zip()).unwrap();
    for tensor in &encoder {
        assert_eq!(&file.read(&tensor.name).unwrap(), tensor);
    }
    assert!(file.config().backbone.mask_token && file.config().backbone.enc_mode);
    let left_out = &file.tensors().checkpoint().unwrap().left_out;
    assert!(left_out.iter().any(|name| name == "student.mask_head.mlp.0.weight"), "{left_out:?}");
    assert_eq!(left_out.len(), encoder.len() + 1);
    let error = file.check_against(file.config(), false).unwrap_err();
    assert!(
        matches!(&error, Error::Weights { missing, .. } if missing == &["seg_head.weight", "seg_head.bias"]),
        "{error}"
    );
    assert!(file.info().note.as_deref().unwrap_or_default().contains("no head"));
}

#[test]
fn a_published_backbone_brings_its_own_configuration() {
    let bare = renamed(&plain(), |name| name.strip_prefix("backbone.").map(str::to_owned));
    let mut writer = Writer::default();
    writer.raw(b"}(").text("config").raw(b"}(").text("enc_patch_size").ints(&[64, 32]).text("order");
    writer.raw(b"(").text("hilbert").text("z").raw(b"t").text("enc_mode").raw(b"\x88").text("qk_scale").raw(b"N");
    writer.text("drop_path").raw(b"G").raw(&0.25_f64.to_be_bytes()).text("dec_depths").ints(&[2, 2, 2, 2]).raw(b"u");
    writer.text("state_dict").state_dict("", &bare).raw(b"u");
    let file = open(writer.zip()).unwrap();
    let backbone = &file.config().backbone;
    assert_eq!((&backbone.enc_patch_size, &backbone.order), (&vec![64, 32], &vec![Curve::Hilbert, Curve::Z]));
    assert_eq!((backbone.drop_path, backbone.enc_mode), (0.25, true));
    assert_eq!(file.parameter_names().count(), bare.len());
    let note = file.info().note.clone().unwrap_or_default();
    assert!(note.contains("order") && !note.contains("points a window") && note.contains("stride = 2"), "{note}");

    let mut contradicting = Writer::default();
    contradicting.raw(b"}(").text("config").raw(b"}").text("enc_num_head").ints(&[3, 2]).raw(b"s");
    contradicting.text("state_dict").state_dict("", &bare).raw(b"u");
    refused(open(contradicting.zip()), &["config.backbone.enc_channels[0]"]);
}

#[test]
fn views_are_gathered_and_storages_shared() {
    let mut tensors = plain();
    let stem = tensors.iter().position(|t| t.name.ends_with("stem.linear.weight")).unwrap();
    let mut writer = Writer::default();
    writer.raw(b"}(");
    // The stem's weight [16, 9] is stored as its transpose, behind five other elements; its first column serves as bias.
    let values: Vec<f32> = (0..5 + 9 * 16).map(|i| i as f32).collect();
    writer.storages.push((4, values.iter().flat_map(|v| v.to_le_bytes()).collect()));
    for tensor in &mut tensors {
        writer.text(&tensor.name);
        match tensor.name.as_str() {
            "backbone.embedding.stem.linear.weight" => writer.view("0", Dtype::F32, 149, 5, &[16, 9], &[1, 16]),
            "backbone.embedding.stem.linear.bias" => writer.view("0", Dtype::F32, 149, 5, &[16], &[1]),
            _ => writer.tensor(tensor),
        };
    }
    writer.raw(b"u");
    for bytes in layouts(&writer) {
        let file = open(bytes).unwrap();
        let weight = file.read(&tensors[stem].name).unwrap();
        let transposed: Vec<f32> =
            (0..16).flat_map(|row| (0..9).map(move |column| (5 + column * 16 + row) as f32)).collect();
        assert_eq!((weight.to_f32().unwrap(), weight.shape), (transposed, vec![16, 9]));
        assert_eq!(file.tensors().byte_length(&tensors[stem].name), Some(16 * 9 * 4));
        let bias = file.read("backbone.embedding.stem.linear.bias").unwrap().to_f32().unwrap();
        assert_eq!(bias, (5..21).map(|i| i as f32).collect::<Vec<f32>>());
    }
}

#[test]
fn every_type_is_read() {
    use Dtype::{BF16, Bool, F16, F32, F64, I32, I64, U8};
    let of = |dtype: Dtype| HostTensor {
        name: format!("backbone.{}", dtype.name()),
        shape: vec![1, 1],
        dtype,
        bytes: (1..=dtype.size() as u8).collect(),
    };
    let tensors = [F64, F32, F16, BF16, I64, I32, U8, Bool].map(of);
    let mut writer = Writer::default();
    writer.state_dict("", &tensors);
    for bytes in layouts(&writer) {
        let file = TensorFile::from_bytes("model.pth", bytes).unwrap();
        for tensor in &tensors {
            assert_eq!(&file.read(&tensor.name).unwrap(), tensor);
        }
    }
}

#[test]
fn the_first_generation_is_refused_by_name() {
    let mut tensors = plain();
    tensors.push(HostTensor::from_f32("backbone.embedding.stem.norm.running_mean", &[16], &[0.0; 16]));
    let mut writer = Writer::default();
    writer.state_dict("", &tensors);
    refused(open(writer.zip()), &["backbone.embedding.stem.norm.running_mean", "mode 1", "PT-v3m2"]);
    let mut other = Writer::default();
    other.state_dict("", &[HostTensor::from_f32("backbone.conv1.weight", &[1], &[0.0])]);
    refused(open(other.zip()), &["has no backbone.embedding.stem.linear.weight"]);
}

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

/// What PyTorch itself wrote (`tests/interop/pth.py`): parameter `i` of a network of two stages counts up from `i`.
#[test]
fn checkpoints_that_pytorch_wrote_are_read() {
    let config = |file: &ModelFile, classes| {
        let backbone = &file.config().backbone;
        assert_eq!((&backbone.enc_channels, &backbone.enc_depths), (&vec![4, 8], &vec![1, 1]));
        assert_eq!((backbone.in_channels, file.config().num_classes), (6, classes));
    };
    let files: [(&[u8], &str, Dtype); 3] = [
        (include_bytes!("../../../tests/checkpoints/trainer.pth"), "a trainer's checkpoint", Dtype::F32),
        (include_bytes!("../../../tests/checkpoints/legacy.pth"), "a state dict", Dtype::BF16),
        (include_bytes!("../../../tests/checkpoints/sonata.pth"), "a backbone alone", Dtype::F16),
    ];
    for (bytes, kind, dtype) in files {
        let file = open(bytes.to_vec()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(file.tensors().checkpoint().map(|checkpoint| checkpoint.kind), Some(kind));
        let has_head = kind != "a backbone alone";
        config(&file, if has_head { 3 } else { 1 });
        for (i, parameter) in file.config().parameters().iter().enumerate() {
            if parameter.name.starts_with("seg_head.") && !has_head {
                continue;
            }
            let tensor = file.read(&parameter.name).unwrap_or_else(|error| panic!("{error}"));
            let expected: Vec<f32> = (0..parameter.elements()).map(|n| ((i as u64 + n) % 128) as f32).collect();
            assert_eq!((tensor.dtype, &tensor.shape), (dtype, &parameter.shape));
            assert_eq!(tensor.to_f32().unwrap(), expected, "{kind}: {}", parameter.name);
        }
    }
    let own = open(files[2].0.to_vec()).unwrap();
    assert_eq!(own.config().backbone.enc_patch_size, [48, 24]);
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
