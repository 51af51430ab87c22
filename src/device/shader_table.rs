//! The shader table: every permutation of every kernel, preprocessed, validated and reflected by `build.rs`.

/// One permutation of one kernel.
#[derive(Debug)]
pub(crate) struct Variant {
    /// The kernel, as in `shaders/{kernel}.wgsl`.
    pub(crate) kernel: &'static str,
    /// The permutation's name in `shaders/permutations`.
    pub(crate) name: &'static str,
    /// Preprocessed WGSL.
    pub(crate) source: &'static str,
    /// Its compute entry points.
    pub(crate) entries: &'static [Entry],
}

/// One compute entry point of a permutation.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The function's name.
    pub(crate) name: &'static str,
    /// Invocations per workgroup.
    pub(crate) workgroup: [u32; 3],
    /// The storage buffers it uses, by binding index.
    pub(crate) storage: &'static [Binding],
    /// Bytes of workgroup memory.
    pub(crate) workgroup_bytes: u32,
}

/// One storage buffer of an entry point.
#[derive(Debug)]
pub(crate) struct Binding {
    /// `@binding` in group 0.
    pub(crate) index: u32,
    /// Whether the variable is `read_write`.
    pub(crate) writes: bool,
}

/// One member of a shader's uniform `Params`.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) offset: u32,
}

include!(concat!(env!("OUT_DIR"), "/shader_table.rs"));

/// Whether a Rust struct's members (`(name, type, offset)`) are the reflected ones; evaluated while compiling.
pub(crate) const fn same_layout(reflected: &[Field], fields: &[(&str, &str, usize)]) -> bool {
    if reflected.len() != fields.len() {
        return false;
    }
    let mut i = 0;
    while i < fields.len() {
        let (name, kind, offset) = fields[i];
        if !same_text(reflected[i].name, name) || !same_text(reflected[i].kind, kind) {
            return false;
        }
        if reflected[i].offset as usize != offset {
            return false;
        }
        i += 1;
    }
    true
}

const fn same_text(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// Declares a kernel's `Params` and proves, while compiling, that it has the members of the WGSL struct.
macro_rules! params {
    ($kernel:ident { $($field:ident: $kind:ident),+ $(,)? }) => {
        #[repr(C)]
        #[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
        struct Params {
            $($field: $kind),+
        }

        const _: () = assert!(
            $crate::device::shader_table::same_layout(
                $crate::device::shader_table::$kernel::PARAMS,
                &[$((stringify!($field), stringify!($kind), std::mem::offset_of!(Params, $field))),+],
            ),
            concat!("Params differs from the struct in shaders/", stringify!($kernel), ".wgsl"),
        );
    };
}
pub(crate) use params;
