//! Checkpoints as PyTorch writes them.

use super::testing::Writer;
use crate::Error;
use crate::model::adapter_settings::AdapterSettings;
use crate::model::config::{AdapterConfig, Backbone, Config, Curve};
use crate::model::preset::AdapterChoice;
use crate::model::tensor_file::{Dtype, HostTensor, TensorFile};
use crate::model::weights::{Missing, ModelFile};

/// Two stages that keep to what is assumed of a network where its weights do not say it.
pub(super) fn conventional(adapter: AdapterChoice, has_decoder: bool) -> Config {
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

pub(super) fn plain() -> Vec<HostTensor> {
    weights(&conventional(AdapterChoice::None, false))
}

fn renamed(tensors: &[HostTensor], rename: impl Fn(&str) -> Option<String>) -> Vec<HostTensor> {
    let renamed = tensors.iter().filter_map(|t| Some(HostTensor { name: rename(&t.name)?, ..t.clone() }));
    renamed.collect()
}

pub(super) fn open(bytes: Vec<u8>) -> Result<ModelFile, Error> {
    ModelFile::from_bytes("model.pth", bytes)
}

/// Both layouts of a checkpoint.
pub(super) fn layouts(writer: &Writer) -> [Vec<u8>; 2] {
    [writer.zip(), writer.legacy()]
}

#[track_caller]
pub(super) fn holds(file: &ModelFile, config: &Config, tensors: &[HostTensor]) {
    assert_eq!(file.config(), config);
    assert_eq!(file.check_against(config, false).unwrap(), Missing::default());
    for tensor in tensors {
        assert_eq!(&file.read(&tensor.name).unwrap(), tensor, "{}", tensor.name);
    }
}

#[track_caller]
pub(super) fn refused(result: Result<ModelFile, Error>, parts: &[&str]) {
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
        assert_eq!(checkpoint.left_out, ["best_metric_value", "epoch", "optimizer", "scheduler"]);
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

/// As `facebook/sonata` is laid out: `config` has every argument of the network's constructor, in plain types.
#[test]
fn sonata_as_published_is_read_with_every_field_of_its_configuration() {
    let mut config = conventional(AdapterChoice::None, false);
    config.backbone.mask_token = true;
    config.backbone.drop_path = 0.3;
    config.num_classes = 1;
    let encoder = weights(&config).into_iter().filter(|tensor| tensor.name.starts_with("backbone."));
    let encoder: Vec<HostTensor> = encoder.collect();
    let bare = renamed(&encoder, |name| name.strip_prefix("backbone.").map(str::to_owned));
    assert!(bare.iter().any(|tensor| tensor.name == "embedding.mask_token"));
    let mut writer = Writer::default();
    writer.raw(b"}(").text("config").raw(b"}(").text("in_channels").int(9).text("order").raw(b"(");
    writer.text("z").text("z-trans").text("hilbert").text("hilbert-trans").raw(b"t");
    let sizes: [(&str, &[i64]); 8] = [
        ("stride", &[2]),
        ("enc_depths", &[1, 2]),
        ("enc_channels", &[16, 32]),
        ("enc_num_head", &[1, 2]),
        ("enc_patch_size", &[1024; 2]),
        ("dec_depths", &[3; 4]),
        ("dec_channels", &[96, 96, 192, 384]),
        ("dec_patch_size", &[1024; 4]),
    ];
    for (name, sizes) in sizes {
        writer.text(name).ints(sizes);
    }
    writer.text("mlp_ratio").int(4).text("qk_scale").raw(b"N").text("layer_scale").raw(b"N");
    for (name, value) in [("attn_drop", 0.0_f64), ("proj_drop", 0.0), ("drop_path", 0.3)] {
        writer.text(name).raw(b"G").raw(&value.to_be_bytes());
    }
    for name in ["qkv_bias", "pre_norm", "shuffle_orders", "enable_flash", "mask_token", "enc_mode"] {
        writer.text(name).raw(b"\x88");
    }
    for name in ["enable_rpe", "upcast_attention", "upcast_softmax", "traceable", "freeze_encoder"] {
        writer.text(name).raw(b"\x89");
    }
    writer.raw(b"u").text("state_dict").state_dict("", &bare).raw(b"u");
    let file = open(writer.zip()).unwrap();
    assert_eq!(file.config(), &config);
    assert_eq!(file.check_against(&config, true).unwrap().names, ["seg_head.weight", "seg_head.bias"]);
    for tensor in &encoder {
        assert_eq!(&file.read(&tensor.name).unwrap(), tensor);
    }
    assert_eq!(file.tensors().checkpoint().unwrap().left_out, Vec::<String>::new());
}

/// Of an adapter's configuration what its weights do not show; the rest follows the windows that the checkpoint gives.
#[test]
fn a_configuration_in_the_checkpoint_says_how_its_adapter_is_used() {
    let mut config = conventional(AdapterChoice::LowRank, false);
    let tensors = weights(&config);
    let bare = renamed(&tensors, |name| name.strip_prefix("backbone.").map(str::to_owned));
    let mut writer = Writer::default();
    writer.raw(b"}(").text("config").raw(b"}(").text("enc_patch_size").ints(&[64, 32]).text("adapter");
    writer.raw(b"}(").text("rank").int(99).text("alpha").raw(b"G").raw(&3.0_f64.to_be_bytes()).raw(b"uu");
    writer.text("state_dict").state_dict("", &bare).raw(b"u");
    let file = open(writer.zip()).unwrap();
    config.backbone.enc_patch_size = vec![64, 32];
    let Some(AdapterConfig::LowRank { alpha, window, stride, .. }) = &mut config.backbone.adapter else { panic!() };
    (*alpha, *window, *stride) = (3.0, 64, 32);
    assert_eq!(file.config().backbone, config.backbone);
    let note = file.info().note.clone().unwrap_or_default();
    assert!(note.contains("gave adapter.alpha") || note.contains(", adapter.alpha"), "{note}");
    assert!(!note.contains("adapter.alpha =") && note.contains("adapter.window = 64 points"), "{note}");
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
fn weights_of_64_bits_are_rounded_to_32_and_it_is_said() {
    let wide = |tensor: &HostTensor, value: &dyn Fn(f64) -> f64| {
        let values = tensor.to_f64().unwrap().into_iter().flat_map(|v| value(v).to_le_bytes());
        HostTensor { dtype: Dtype::F64, bytes: values.collect(), ..tensor.clone() }
    };
    let (config, mut tensors) = (conventional(AdapterChoice::None, false), plain());
    // Less than half of a 32-bit float's last place more: rounding takes it away again.
    let stored: Vec<HostTensor> = tensors.iter().map(|tensor| wide(tensor, &|v| v * (1.0 + 1e-9))).collect();
    let mut writer = Writer::default();
    writer.state_dict("module.", &stored);
    for bytes in layouts(&writer) {
        let file = open(bytes).unwrap();
        holds(&file, &config, &tensors);
        let note = file.info().note.clone().unwrap_or_default();
        assert!(
            note.ends_with(&format!(" {} tensors of 64-bit floats were rounded to 32 bits.", tensors.len())),
            "{note}"
        );
    }
    tensors[0] = wide(&tensors[0], &|_| 1e39);
    let mut writer = Writer::default();
    writer.state_dict("", &tensors);
    let error = open(writer.zip()).unwrap().read(&tensors[0].name).unwrap_err().to_string();
    assert!(error.contains("holds 1e39, which is too large for F32"), "{error}");
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
