//! A writer of checkpoints for the tests: as much of pickle and zip as `torch.save` uses.

use crate::model::tensor_file::{Dtype, HostTensor};

/// A checkpoint in the making.
#[derive(Default)]
pub(super) struct Writer {
    pub(super) pickle: Vec<u8>,
    /// Bytes of an element, and the elements.
    pub(super) storages: Vec<(usize, Vec<u8>)>,
}

/// Name of PyTorch's storage for a type.
fn class(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F64 => "DoubleStorage",
        Dtype::F32 => "FloatStorage",
        Dtype::F16 => "HalfStorage",
        Dtype::BF16 => "BFloat16Storage",
        Dtype::I64 => "LongStorage",
        Dtype::I32 => "IntStorage",
        Dtype::U8 => "ByteStorage",
        Dtype::Bool => "BoolStorage",
    }
}

impl Writer {
    pub(super) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.pickle.extend_from_slice(bytes);
        self
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.raw(b"X").raw(&(text.len() as u32).to_le_bytes()).raw(text.as_bytes())
    }

    pub(super) fn int(&mut self, number: i64) -> &mut Self {
        self.raw(&[0x8a, 8]).raw(&number.to_le_bytes())
    }

    pub(super) fn ints(&mut self, numbers: &[i64]) -> &mut Self {
        self.raw(b"(");
        for &number in numbers {
            self.int(number);
        }
        self.raw(b"t")
    }

    pub(super) fn global(&mut self, module: &str, name: &str) -> &mut Self {
        self.raw(format!("c{module}\n{name}\n").as_bytes())
    }

    pub(super) fn storage(&mut self, key: &str, dtype: Dtype, elements: i64) -> &mut Self {
        self.raw(b"(").text("storage").global("torch", class(dtype)).text(key).text("cpu").int(elements).raw(b"tQ")
    }

    /// A tensor over a storage that is there already or comes later.
    pub(super) fn view(
        &mut self,
        key: &str,
        dtype: Dtype,
        elements: i64,
        offset: i64,
        shape: &[i64],
        strides: &[i64],
    ) -> &mut Self {
        self.global("torch._utils", "_rebuild_tensor_v2").raw(b"(").storage(key, dtype, elements);
        self.int(offset).ints(shape).ints(strides).raw(b"\x89").global("collections", "OrderedDict").raw(b")RtR")
    }

    pub(super) fn tensor(&mut self, tensor: &HostTensor) -> &mut Self {
        let key = self.storages.len().to_string();
        let elements = tensor.bytes.len() / tensor.dtype.size();
        let shape: Vec<i64> = tensor.shape.iter().map(|&size| size as i64).collect();
        let strides: Vec<i64> = (1..=shape.len()).map(|i| shape[i..].iter().product()).collect();
        self.storages.push((tensor.dtype.size(), tensor.bytes.clone()));
        self.view(&key, tensor.dtype, elements as i64, 0, &shape, &strides)
    }

    /// An `OrderedDict` of tensors, with the attribute that PyTorch gives it.
    pub(super) fn state_dict(&mut self, prefix: &str, tensors: &[HostTensor]) -> &mut Self {
        self.global("collections", "OrderedDict").raw(b")R(");
        for tensor in tensors {
            self.text(&format!("{prefix}{}", tensor.name)).tensor(tensor);
        }
        self.raw(b"u}").text("_metadata").global("collections", "OrderedDict").raw(b")Rsb")
    }

    pub(super) fn zip(&self) -> Vec<u8> {
        let pickle = [b"\x80\x02", &self.pickle[..], b"."].concat();
        let mut entries = vec![("model/data.pkl".to_owned(), pickle), ("model/byteorder".into(), b"little".to_vec())];
        let storages = self.storages.iter().enumerate();
        entries.extend(storages.map(|(key, (_, bytes))| (format!("model/data/{key}"), bytes.clone())));
        entries.push(("model/version".to_owned(), b"3\n".to_vec()));
        zip(&entries, 0)
    }

    pub(super) fn legacy(&self) -> Vec<u8> {
        let mut keys = Self::default();
        keys.raw(b"\x80\x02](");
        for key in 0..self.storages.len() {
            keys.text(&key.to_string());
        }
        self.legacy_with_keys(keys.raw(b"e.").pickle.as_slice())
    }

    /// With a pickle of the storages' keys that need not be theirs.
    pub(super) fn legacy_with_keys(&self, keys: &[u8]) -> Vec<u8> {
        let mut file = Self::default();
        file.raw(b"\x80\x02\x8a\x0a").raw(&super::pickle::LEGACY_MAGIC).raw(b".\x80\x02M\xe9\x03.\x80\x02}(");
        file.text("protocol_version").raw(b"M\xe9\x03").text("little_endian").raw(b"\x88u.\x80\x02");
        file.raw(&self.pickle).raw(b".").raw(keys);
        for (size, bytes) in &self.storages {
            file.raw(&((bytes.len() / size) as u64).to_le_bytes()).raw(bytes);
        }
        file.pickle
    }
}

/// A zip archive whose entries say that they are packed by `method`, and lie on multiples of 64 bytes as PyTorch's do.
pub(super) fn zip(entries: &[(String, Vec<u8>)], method: u16) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in entries {
        let start = file.len() as u32;
        let common = |extra: u16| {
            let sizes = [0, bytes.len() as u32, bytes.len() as u32].map(u32::to_le_bytes).concat();
            let lengths = [name.len() as u16, extra].map(u16::to_le_bytes).concat();
            [&[0, 0, 0, 0][..], &method.to_le_bytes(), &[0; 4], &sizes, &lengths].concat()
        };
        let padding = 64 - (start as usize + 30 + name.len() + 4) % 64;
        file.extend([b"PK\x03\x04", &common(padding as u16 + 4)[..], name.as_bytes(), b"FB"].concat());
        file.extend((padding as u16).to_le_bytes());
        file.resize(file.len() + padding, b'Z');
        file.extend(bytes);
        directory.extend([b"PK\x01\x02\0\0", &common(0)[..], &[0; 10], &start.to_le_bytes(), name.as_bytes()].concat());
    }
    let (start, length) = (file.len() as u32, directory.len() as u32);
    file.extend(directory);
    let count = (entries.len() as u16).to_le_bytes();
    file.extend(
        [b"PK\x05\x06\0\0\0\0", &count[..], &count, &length.to_le_bytes(), &start.to_le_bytes(), &[0; 2]].concat(),
    );
    file
}
