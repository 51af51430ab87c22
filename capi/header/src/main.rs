//! Makes `capi/include/pointtpa.h` of what `src/ffi/` says. `cargo xtask header` runs it, with `--check` only to compare.

use std::{error::Error, fs, path::Path};

const INTRODUCTION: &str = "\
/* pointtpa: segments 3D scans. Made from src/ffi/ by `cargo xtask header`; do not edit.
 *
 * A function that can fail returns a status; what went wrong stands in pointtpa_last_error(), kept per thread. Where it
 * fails, what its out-parameters point to is left as it was.
 *
 * A handle is made by one function and freed by another, once, when no call uses it any more. Until then any number of
 * threads may use it at once. Handles do not depend on each other's lifetime: a device may be freed before its segmenters.
 *
 * Text is UTF-8 and ends with a zero.
 */";

fn main() -> Result<(), Box<dyn Error>> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = package.join("../include/pointtpa.h");
    let wanted = generated(&package.join("../../src/ffi"))?;
    if std::env::args().nth(1).as_deref() != Some("--check") {
        return Ok(fs::write(path, wanted)?);
    }
    // A checkout may have turned the ends of its lines.
    if fs::read_to_string(path)?.replace("\r\n", "\n") != wanted {
        return Err("capi/include/pointtpa.h is not what src/ffi says: `cargo xtask header` writes it anew".into());
    }
    Ok(())
}

/// The header that the sources ask for.
fn generated(sources: &Path) -> Result<String, Box<dyn Error>> {
    let mut config = cbindgen::Config {
        language: cbindgen::Language::C,
        header: Some(INTRODUCTION.to_owned()),
        include_guard: Some("POINTTPA_H".to_owned()),
        cpp_compat: true,
        documentation_style: cbindgen::DocumentationStyle::C99,
        line_length: 110,
        usize_is_size_t: true,
        ..cbindgen::Config::default()
    };
    config.export.prefix = Some("Pointtpa".to_owned());
    config.enumeration.rename_variants = cbindgen::RenameRule::QualifiedScreamingSnakeCase;
    config.enumeration.prefix_with_name = false;
    config.function.rename_args = cbindgen::RenameRule::SnakeCase;
    // It follows the modules that it names.
    let builder = cbindgen::Builder::new().with_config(config).with_src(sources.join("mod.rs"));
    let mut header = Vec::new();
    builder.generate()?.write(&mut header);
    Ok(String::from_utf8(header)?)
}
