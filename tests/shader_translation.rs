//! Every permutation of every shader in the languages that drivers are given: SPIR-V for Vulkan, Metal's and DirectX's
//! languages, and GLSL ES 3.1. SPIR-V is validated where `spirv-val` is installed (Debian's `spirv-tools`), which says
//! more than a driver that happens to take it.

#![allow(unreachable_pub, dead_code, missing_docs, reason = "the build script is compiled here as a module")]

#[path = "../build.rs"]
mod build;

use naga::back::{glsl, hlsl, msl, spv};
use naga::proc::BoundsCheckPolicies;
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{Module, ShaderStage};
use std::fmt::Display;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

/// A permutation, parsed and validated as `build.rs` does.
struct Shader {
    name: String,
    module: Module,
    info: ModuleInfo,
}

impl Shader {
    /// Writes every entry point with `write`, and requires that something comes of each.
    fn translate<T, E: Display>(&self, language: &str, write: impl Fn(&Self, &str) -> Result<T, E>) -> Vec<T> {
        let entries = self.module.entry_points.iter();
        entries
            .map(|entry| {
                write(self, &entry.name).unwrap_or_else(|error| panic!("{} as {language}: {error}", self.name))
            })
            .collect()
    }
}

fn shaders() -> Vec<Shader> {
    let sources = build::sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders")).unwrap();
    assert!(sources.len() > 80, "{} permutations", sources.len());
    let shader = |(kernel, permutation, source): (String, String, String)| {
        let name = format!("{kernel}.{permutation}");
        let module = naga::front::wgsl::parse_str(&source).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut validator = Validator::new(ValidationFlags::all(), Capabilities::SHADER_FLOAT16_IN_FLOAT32);
        let info = validator.validate(&module).unwrap_or_else(|error| panic!("{name}: {error}"));
        Shader { name, module, info }
    };
    sources.into_iter().map(shader).collect()
}

#[test]
fn every_shader_is_valid_spir_v() {
    // As wgpu asks for on Vulkan 1.1.
    let options = spv::Options { lang_version: (1, 3), ..spv::Options::default() };
    let write = |shader: &Shader, entry: &str| {
        let pipeline = spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: entry.to_owned() };
        spv::write_vec(&shader.module, &shader.info, &options, Some(&pipeline))
    };
    let has_validator = Command::new("spirv-val").arg("--version").output().is_ok_and(|run| run.status.success());
    if !has_validator {
        println!("SPIR-V is written but not validated: there is no spirv-val, which Debian has in spirv-tools");
    }
    let folder = tempfile::tempdir().unwrap();
    for shader in shaders() {
        for words in shader.translate("SPIR-V", write) {
            if has_validator {
                let file = folder.path().join("shader.spv");
                std::fs::write(&file, bytemuck::cast_slice::<u32, u8>(&words)).unwrap();
                validate(&shader.name, &file);
            }
        }
    }
}

fn validate(name: &str, file: &Path) {
    let run = Command::new("spirv-val").args(["--target-env", "vulkan1.1"]).arg(file).stdin(Stdio::null()).output();
    match run {
        Ok(run) => assert!(
            run.status.success(),
            "{name}: {}",
            String::from_utf8_lossy(&run.stdout).to_string() + &String::from_utf8_lossy(&run.stderr)
        ),
        Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{name}: {error}"),
    }
}

#[test]
fn every_shader_can_be_written_for_metal() {
    // The version of macOS 10.15 and iOS 13, the oldest that wgpu runs on.
    let options = msl::Options { lang_version: (2, 2), ..msl::Options::default() };
    for shader in shaders() {
        let texts = shader.translate("MSL", |shader, entry| {
            let entry_point = Some((ShaderStage::Compute, entry.to_owned()));
            let pipeline = msl::PipelineOptions { entry_point, ..msl::PipelineOptions::default() };
            let (text, written) = msl::write_string(&shader.module, &shader.info, &options, &pipeline)?;
            // One name for the entry point that was asked for, or what is wrong with it.
            written.entry_point_names.into_iter().try_for_each(|name| name.map(drop))?;
            Ok::<_, Box<dyn std::error::Error>>(text)
        });
        assert!(texts.iter().all(|text| text.contains("kernel void")), "{}", shader.name);
    }
}

#[test]
fn every_shader_can_be_written_for_directx() {
    // The oldest shader model that DirectX 12 has.
    let options = hlsl::Options::default();
    for shader in shaders() {
        let texts = shader.translate("HLSL", |shader, entry| {
            let entry_point = Some((ShaderStage::Compute, entry.to_owned()));
            let pipeline = hlsl::PipelineOptions { entry_point };
            let mut text = String::new();
            let mut writer = hlsl::Writer::new(&mut text, &options, &pipeline);
            let written = writer.write(&shader.module, &shader.info, None)?;
            written.entry_point_names.into_iter().try_for_each(|name| name.map(drop))?;
            Ok::<_, Box<dyn std::error::Error>>(text)
        });
        assert!(texts.iter().all(|text| text.contains("[numthreads(")), "{}", shader.name);
    }
}

#[test]
fn every_shader_can_be_written_as_glsl_es() {
    let options = glsl::Options { version: glsl::Version::new_gles(310), ..glsl::Options::default() };
    for shader in shaders() {
        let texts = shader.translate("GLSL ES", |shader, entry| {
            let (shader_stage, entry_point) = (ShaderStage::Compute, entry.to_owned());
            let pipeline = glsl::PipelineOptions { shader_stage, entry_point, multiview: None };
            let mut text = String::new();
            let policies = BoundsCheckPolicies::default();
            glsl::Writer::new(&mut text, &shader.module, &shader.info, &options, &pipeline, policies)?.write()?;
            Ok::<_, glsl::Error>(text)
        });
        assert!(texts.iter().all(|text| text.starts_with("#version 310 es")), "{}", shader.name);
    }
}
