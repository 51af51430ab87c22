//! The names that a pickle may refer to. Nothing is ever looked up or called: a name on this list stands for a meaning
//! that this program gives it, and any other name is refused.

use safetensors::Dtype;

/// What a name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    /// Makes a tensor: storage, offset, size, stride.
    RebuildTensor,
    /// A tensor that is trained; the tensor itself comes first.
    RebuildParameter,
    /// A dictionary.
    OrderedDict,
    /// Type of the elements of a storage; untyped ones count bytes.
    Storage(Dtype),
    /// An attribute of something inert, which is inert as well: schedulers keep one of their methods.
    Attribute,
    /// Something whose value is of no interest, nor that of anything made with it.
    Inert,
}

/// The meaning of `module.name`, or `None` if it is not on the list.
pub(super) fn find(module: &str, name: &str) -> Option<Global> {
    use Global::{Attribute, Inert, OrderedDict, RebuildParameter, RebuildTensor, Storage};
    match (module, name) {
        ("torch._utils", "_rebuild_tensor_v2") => Some(RebuildTensor),
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Some(RebuildParameter),
        ("collections", "OrderedDict") => Some(OrderedDict),
        ("torch", "UntypedStorage") | ("torch.storage", "UntypedStorage" | "TypedStorage") => Some(Storage(Dtype::U8)),
        ("torch", name) if name.ends_with("Storage") => storage(name).map(Storage),
        ("builtins" | "__builtin__", "getattr") => Some(Attribute),
        _ => is_inert(module, name).then_some(Inert),
    }
}

fn is_inert(module: &str, name: &str) -> bool {
    match module {
        "torch" => is_dtype(name) || matches!(name, "Size" | "device"),
        // The best score may be a numpy number; old protocols write its bytes as text that is to be encoded.
        "numpy.core.multiarray" | "numpy._core.multiarray" => name == "scalar",
        "numpy" => name == "dtype",
        "numpy.dtypes" => name.ends_with("DType"),
        "_codecs" => name == "encode",
        // What a scheduler's state consists of: PyTorch 1 keeps a method in it, and with it scheduler and optimizer.
        "collections" => matches!(name, "Counter" | "defaultdict"),
        "builtins" | "__builtin__" => {
            matches!(name, "object" | "set" | "frozenset" | "dict" | "list" | "int" | "float")
        }
        "copyreg" | "copy_reg" => name == "_reconstructor",
        "pointcept.utils.scheduler" => true,
        module => module.starts_with("torch.optim."),
    }
}

fn storage(name: &str) -> Option<Dtype> {
    Some(match name.strip_suffix("Storage")? {
        "Double" => Dtype::F64,
        "Float" => Dtype::F32,
        "Half" => Dtype::F16,
        "BFloat16" => Dtype::BF16,
        "Long" => Dtype::I64,
        "Int" => Dtype::I32,
        "Short" => Dtype::I16,
        "Char" => Dtype::I8,
        "Byte" => Dtype::U8,
        "Bool" => Dtype::BOOL,
        _ => return None,
    })
}

fn is_dtype(name: &str) -> bool {
    const DTYPES: [&str; 10] =
        ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"];
    DTYPES.contains(&name)
}
