//! `pointtpa-bundle MODULE.wasm FOLDER`: makes the JavaScript and the TypeScript types around the browser module.
//!
//! It is what the `wasm-bindgen` program does, as a package of this workspace: its version is the lock file's, and a
//! fresh clone installs nothing.

use std::path::Path;
use std::process::ExitCode;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [module, folder] = &arguments[..] else {
        eprintln!("pointtpa-bundle MODULE.wasm FOLDER");
        return ExitCode::from(2);
    };
    let made = Bindgen::new().input_path(module).web(true).and_then(|bindgen| {
        let bindgen =
            bindgen.typescript(true).out_name("pointtpa_web").remove_producers_section(true).remove_name_section(true);
        // So that the page's build sees which file the JavaScript loads.
        bindgen.omit_default_module_path(false).generate(Path::new(folder))
    });
    match made {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{module}: {problem:#}");
            ExitCode::FAILURE
        }
    }
}
