//! The shader preprocessor: `#import NAME`, `#ifdef NAME` / `#else` / `#endif`, and constants.
//!
//! A define with a value becomes a module constant (`HEAD_DIM=16` → `const HEAD_DIM: u32 = 16u;`), so that tile
//! sizes can be array lengths. Removed lines stay as blank lines: naga's line numbers are those of the file.

use std::{fmt::Write as _, fs, path::Path};

/// The WGSL of `shaders/{kernel}.wgsl` under `defines`, with imports appended.
pub(crate) fn preprocess(shaders: &Path, kernel: &str, defines: &[(String, Option<String>)]) -> Result<String, String> {
    let file = format!("{kernel}.wgsl");
    let mut imports = Vec::new();
    let mut out = expand(shaders, &file, defines, &mut imports)?;
    let mut done = 0;
    while done < imports.len() {
        let import = format!("shared/{}.wgsl", imports[done]);
        done += 1;
        out += &expand(shaders, &import, defines, &mut imports)?;
    }
    for (name, value) in defines {
        if let Some(value) = value {
            writeln!(out, "const {name}: u32 = {value}u;").expect("a String takes everything");
        }
    }
    Ok(out)
}

fn expand(
    shaders: &Path,
    file: &str,
    defines: &[(String, Option<String>)],
    imports: &mut Vec<String>,
) -> Result<String, String> {
    let path = shaders.join(file);
    let text = fs::read_to_string(&path).map_err(|e| format!("shaders/{file}: {e}"))?;
    let mut out = String::new();
    // One entry per open #ifdef: whether its current branch is kept.
    let mut branches: Vec<bool> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let at = || format!("shaders/{file}:{}", number + 1);
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("#import"), Some(name)) => {
                let wanted = branches.iter().all(|kept| *kept) && !imports.iter().any(|i| i == name);
                imports.extend(wanted.then(|| name.to_owned()));
            }
            (Some("#ifdef"), Some(name)) => branches.push(defines.iter().any(|(d, _)| d == name)),
            (Some("#else"), None) => {
                let kept = branches.last_mut().ok_or_else(|| format!("{}: #else without #ifdef", at()))?;
                *kept = !*kept;
            }
            (Some("#endif"), None) => {
                branches.pop().ok_or_else(|| format!("{}: #endif without #ifdef", at()))?;
            }
            (Some(word), _) if word.starts_with('#') => return Err(format!("{}: unknown directive {word}", at())),
            _ if branches.iter().all(|kept| *kept) => out += line,
            _ => {}
        }
        out.push('\n');
    }
    if branches.is_empty() { Ok(out) } else { Err(format!("shaders/{file}: #ifdef without #endif")) }
}
