//! Validation and reflection of one permutation through naga.

use naga::{AddressSpace, ShaderStage, StorageAccess, TypeInner, valid};
use std::fmt;

/// One member of the uniform `Params` struct: its name, WGSL type and byte offset.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Field {
    name: String,
    kind: String,
    offset: u32,
}

/// One compute entry point: its workgroup size, and for each storage binding it uses the index and access.
pub(crate) struct Entry {
    name: String,
    workgroup: [u32; 3],
    storage: Vec<(u32, bool)>,
    workgroup_bytes: u32,
}

pub(crate) struct Module {
    pub(crate) params: Vec<Field>,
    pub(crate) entries: Vec<Entry>,
}

// `Debug` prints the Rust expression that the generated table holds.
impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Field {{ name: {:?}, kind: {:?}, offset: {} }}", self.name, self.kind, self.offset)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let storage: Vec<String> = self
            .storage
            .iter()
            .map(|(binding, writes)| format!("Binding {{ index: {binding}, writes: {writes} }}"))
            .collect();
        write!(
            f,
            "Entry {{ name: {:?}, workgroup: {:?}, storage: &[{}], workgroup_bytes: {} }}",
            self.name,
            self.workgroup,
            storage.join(", "),
            self.workgroup_bytes
        )
    }
}

/// Parses, validates and reflects `source`.
pub(crate) fn reflect(kernel: &str, variant: &str, source: &str) -> Result<Module, String> {
    let file = format!("shaders/{kernel}.wgsl");
    let module = naga::front::wgsl::parse_str(source)
        .map_err(|e| format!("variant {variant}: {}", e.emit_to_string_with_path(source, &file)))?;
    // No capability beyond WebGPU's core, where `unpack2x16float` is a plain built-in: what passes here is portable.
    let capabilities = valid::Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    let mut validator = valid::Validator::new(valid::ValidationFlags::all(), capabilities);
    let info = validator
        .validate(&module)
        .map_err(|e| format!("variant {variant}: {}", e.emit_to_string_with_path(source, &file)))?;
    let mut layouter = naga::proc::Layouter::default();
    layouter.update(module.to_ctx()).map_err(|e| format!("{file}: {e}"))?;

    let mut params = Vec::new();
    for (_, variable) in module.global_variables.iter() {
        if variable.space != AddressSpace::Uniform {
            continue;
        }
        let TypeInner::Struct { members, .. } = &module.types[variable.ty].inner else {
            return Err(format!("{file}: the uniform must be a struct `Params`"));
        };
        if variable.binding.is_none_or(|b| (b.group, b.binding) != (0, 0)) {
            return Err(format!("{file}: the uniform must be @group(0) @binding(0)"));
        }
        for member in members {
            let kind = match module.types[member.ty].inner {
                TypeInner::Scalar(naga::Scalar { kind: naga::ScalarKind::Uint, width: 4 }) => "u32",
                TypeInner::Scalar(naga::Scalar { kind: naga::ScalarKind::Sint, width: 4 }) => "i32",
                TypeInner::Scalar(naga::Scalar { kind: naga::ScalarKind::Float, width: 4 }) => "f32",
                _ => return Err(format!("{file}: Params.{:?} must be u32, i32 or f32", member.name)),
            };
            params.push(Field {
                name: member.name.clone().unwrap_or_default(),
                kind: kind.to_owned(),
                offset: member.offset,
            });
        }
    }

    let mut entries = Vec::new();
    for (index, entry) in module.entry_points.iter().enumerate() {
        if entry.stage != ShaderStage::Compute {
            return Err(format!("{file}: entry point {} is not a compute shader", entry.name));
        }
        let usage = info.get_entry_point(index);
        let mut storage = Vec::new();
        let mut workgroup_bytes = 0;
        for (handle, variable) in module.global_variables.iter() {
            if usage[handle].is_empty() {
                continue;
            }
            match variable.space {
                AddressSpace::Storage { access } => {
                    let binding = variable.binding.ok_or_else(|| format!("{file}: storage without @binding"))?;
                    if binding.group != 0 || binding.binding == 0 {
                        return Err(format!("{file}: storage buffers live in group 0 from binding 1"));
                    }
                    storage.push((binding.binding, access.contains(StorageAccess::STORE)));
                }
                AddressSpace::WorkGroup => workgroup_bytes += layouter[variable.ty].size,
                _ => {}
            }
        }
        storage.sort_unstable();
        if storage.len() > 8 {
            return Err(format!(
                "{file}: {} binds {} storage buffers, at most 8 are portable",
                entry.name,
                storage.len()
            ));
        }
        if workgroup_bytes > 16 * 1024 {
            return Err(format!(
                "{file}: {} uses {workgroup_bytes} bytes of workgroup memory, at most 16384 are portable",
                entry.name
            ));
        }
        let size = entry.workgroup_size;
        if size[0] * size[1] * size[2] > 256 {
            return Err(format!("{file}: {} has {size:?} invocations, at most 256 are portable", entry.name));
        }
        entries.push(Entry { name: entry.name.clone(), workgroup: size, storage, workgroup_bytes });
    }
    if entries.is_empty() {
        return Err(format!("{file}: no compute entry point"));
    }
    Ok(Module { params, entries })
}
