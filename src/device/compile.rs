//! Whether an adapter, and the browser or driver before it, takes the shaders.

use super::Device;
use super::pipeline::create_pipeline;
use super::shader_table;

/// What came of compiling every shader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// Entry points of all permutations; none on the CPU.
    pub entry_points: usize,
    /// `kernel.permutation.entry: what was wrong` of those that failed.
    pub problems: Vec<String>,
}

impl Device {
    /// Compiles every permutation of every kernel, also those that this device would not be given.
    pub async fn compile_shaders(&self) -> Compiled {
        let mut compiled = Compiled { entry_points: 0, problems: Vec::new() };
        let Self::Gpu(gpu) = self else { return compiled };
        let (device, _) = gpu.handles();
        for variant in shader_table::ALL {
            for entry in variant.entries {
                // What a driver cannot compile, it calls internal.
                let internal = device.push_error_scope(wgpu::ErrorFilter::Internal);
                let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
                create_pipeline(device, variant, entry);
                compiled.entry_points += 1;
                let errors = [validation.pop().await, internal.pop().await];
                for error in errors.into_iter().flatten() {
                    let name = format!("{}.{}.{}", variant.kernel, variant.name, entry.name);
                    compiled.problems.push(format!("{name}: {error}"));
                }
            }
        }
        compiled
    }
}
