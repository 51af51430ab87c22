//! Turns `shaders/` into the shader table of `src/device/shader_table.rs`.
//!
//! Every permutation named in `shaders/permutations` is preprocessed, parsed and validated by naga and reflected.
//! The build fails, naming file and line, when a shader does not validate, has no Rust file in `src/kernels/`,
//! or breaks the conventions of the table (binding 0 is the uniform `params: Params`, storage buffers follow from 1).

#[path = "build/preprocess.rs"]
mod preprocess;
#[path = "build/reflect.rs"]
mod reflect;

use std::{collections::BTreeMap, env, fmt::Write as _, fs, path::Path, process::ExitCode};

fn main() -> ExitCode {
    println!("cargo:rerun-if-changed=shaders");
    println!("cargo:rerun-if-changed=build");
    println!("cargo:rerun-if-changed=src/kernels");
    // A model built into the library, where the checkout has one; see src/model/bundled.rs.
    println!("cargo:rerun-if-changed=assets");
    println!("cargo::rustc-check-cfg=cfg(bundled_rooms)");
    if Path::new("assets/models/rooms.safetensors").is_file() {
        println!("cargo::rustc-cfg=bundled_rooms");
    }
    match generate(Path::new("shaders"), Path::new("src/kernels")) {
        Ok(table) => {
            let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
            fs::write(Path::new(&out).join("shader_table.rs"), table).expect("OUT_DIR is writable");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            for line in problem.lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

/// The generated source: one module per kernel, one `static Variant` per permutation.
pub fn generate(shaders: &Path, kernels: &Path) -> Result<String, String> {
    let permutations = read_permutations(&shaders.join("permutations"))?;
    for entry in fs::read_dir(shaders).map_err(|e| format!("shaders/: {e}"))? {
        let path = entry.map_err(|e| format!("shaders/: {e}"))?.path();
        if path.extension().is_some_and(|e| e == "wgsl") {
            let kernel = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if !permutations.contains_key(&kernel) {
                return Err(format!("shaders/{kernel}.wgsl has no line in shaders/permutations"));
            }
            if !kernels.join(format!("{kernel}.rs")).is_file() {
                return Err(format!("shaders/{kernel}.wgsl has no Rust file src/kernels/{kernel}.rs"));
            }
        }
    }
    let mut table = String::new();
    let mut all = Vec::new();
    for (kernel, variants) in &permutations {
        writeln!(table, "/// `shaders/{kernel}.wgsl`\npub(crate) mod {kernel} {{\n    use super::{{Binding, Entry, Field, Variant}};").unwrap();
        let mut params: Option<Vec<reflect::Field>> = None;
        for variant in variants {
            let source = preprocess::preprocess(shaders, kernel, &variant.defines)?;
            if source.contains("/*") {
                return Err(format!("shaders/{kernel}.wgsl: block comments are not supported, use `//`"));
            }
            let module = reflect::reflect(kernel, &variant.name, &source)?;
            if params.as_ref().is_some_and(|p| *p != module.params) {
                return Err(format!("shaders/{kernel}.wgsl: variant {} has other Params than the first", variant.name));
            }
            params.get_or_insert(module.params);
            let source = without_comments(&source);
            let ident = variant.name.to_uppercase();
            writeln!(table, "    /// Permutation `{}`.", variant.name).unwrap();
            writeln!(
                table,
                "    pub(crate) static {ident}: Variant = Variant {{ kernel: {kernel:?}, name: {:?}, source: {source:?}, entries: &{:?} }};",
                variant.name, module.entries
            )
            .unwrap();
            all.push(format!("&{kernel}::{ident}"));
        }
        writeln!(
            table,
            "    /// The uniform struct, as reflected.\n    pub(crate) static PARAMS: &[Field] = &{:?};\n}}",
            params.unwrap_or_default()
        )
        .unwrap();
    }
    writeln!(
        table,
        "/// Every permutation of every kernel.\npub(crate) static ALL: &[&Variant] = &[{}];",
        all.join(", ")
    )
    .unwrap();
    Ok(table)
}

/// The WGSL of every permutation as the table has it: `(kernel, permutation, source)`. For those who translate it.
#[allow(dead_code, reason = "tests compile this script as a module")]
pub fn sources(shaders: &Path) -> Result<Vec<(String, String, String)>, String> {
    let mut sources = Vec::new();
    for (kernel, variants) in read_permutations(&shaders.join("permutations"))? {
        for Permutation { name, defines } in variants {
            let source = preprocess::preprocess(shaders, &kernel, &defines)?;
            sources.push((kernel.clone(), name, without_comments(&source)));
        }
    }
    Ok(sources)
}

/// What a browser has to load of a shader: its lines without comments and indentation. They keep their numbers.
fn without_comments(source: &str) -> String {
    // WGSL has no texts in which two slashes could stand, and block comments are refused.
    source.lines().map(|line| line.split("//").next().unwrap_or_default().trim().to_owned() + "\n").collect()
}

struct Permutation {
    name: String,
    defines: Vec<(String, Option<String>)>,
}

/// Lines of `kernel variant [NAME[=VALUE] …]`; `#` starts a comment.
fn read_permutations(path: &Path) -> Result<BTreeMap<String, Vec<Permutation>>, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut permutations: BTreeMap<String, Vec<Permutation>> = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(kernel) = words.next() else { continue };
        let Some(name) = words.next() else {
            return Err(format!("shaders/permutations:{}: expected `kernel variant [NAME[=VALUE] …]`", number + 1));
        };
        let defines = words
            .map(|word| match word.split_once('=') {
                Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                None => (word.to_owned(), None),
            })
            .collect();
        permutations.entry(kernel.to_owned()).or_default().push(Permutation { name: name.to_owned(), defines });
    }
    Ok(permutations)
}
