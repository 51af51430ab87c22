//! Parameters on a device, and the layers they form.

use super::{
    config::Config,
    parameters::Parameter,
    pipelines::Pipelines,
    tensor_file::{Dtype, HostTensor},
    weights::{Missing, ModelFile},
};
use crate::{
    Error, Result,
    device::{DType, Device, Tensor},
    kernels::{
        Activation,
        basis_mix::Bases,
        layer_norm::{Norm, layer_norm},
        linear::{Epilogue, Layer, linear},
        low_rank_delta::LowRank,
        weight::Weight,
    },
};
use std::collections::HashMap;

/// Brings parameters from a model file to a device, one tensor at a time.
pub(super) struct Loader<'a> {
    device: &'a Device,
    file: &'a ModelFile,
    /// Parameters that the file lacks and the caller allowed to start at random.
    absent: HashMap<String, Parameter>,
    seed: u64,
    pub(super) pipelines: Pipelines,
}

impl<'a> Loader<'a> {
    pub(super) fn new(device: &'a Device, file: &'a ModelFile, config: &Config, missing: &Missing, seed: u64) -> Self {
        let parameters = config.parameters().into_iter();
        let absent = parameters.filter(|p| missing.names.contains(&p.name)).map(|p| (p.name.clone(), p)).collect();
        Self { device, file, absent, seed, pipelines: Pipelines::new(device) }
    }

    fn host(&self, name: &str) -> Result<HostTensor> {
        self.absent.get(name).map_or_else(|| self.file.read(name), |parameter| Ok(parameter.initial(self.seed)))
    }

    /// A weight `[rows, taps, everything else]`.
    pub(super) fn weight(&self, name: &str, rows: usize, taps: usize) -> Result<Weight> {
        let (dtype, tensor) = self.stored(name)?;
        let weight = Weight::from_bytes(self.device, rows, taps, dtype, &tensor.bytes)?;
        self.pipelines.weight(&weight);
        Ok(weight)
    }

    /// The `count` linear layers that start with `prefix`, weight `[count, o, i]` and bias `[count, o]`.
    pub(super) fn bases(&self, prefix: &str, count: usize) -> Result<Bases> {
        let (dtype, tensor) = self.stored(&format!("{prefix}.weight"))?;
        let bias = self.vector(&format!("{prefix}.bias"))?;
        let bases = Bases::from_bytes(self.device, count, dtype, &tensor.bytes, bias)?;
        if let Some(stacked) = bases.stacked() {
            self.pipelines.weight(stacked);
        }
        Ok(bases)
    }

    /// A weight as it is stored.
    fn stored(&self, name: &str) -> Result<(DType, HostTensor)> {
        let tensor = self.host(name)?;
        let dtype = match tensor.dtype {
            Dtype::F32 => DType::F32,
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            _ => {
                return Err(Error::Model {
                    path: self.file.path().to_owned(),
                    problem: format!("{name} is stored as {}", tensor.dtype.name()),
                    advice: "Store weights as F32, F16 or BF16".into(),
                });
            }
        };
        Ok((dtype, tensor))
    }

    /// A parameter widened to f32: vectors are small, and kernels read them as they are.
    pub(super) fn vector(&self, name: &str) -> Result<Tensor> {
        let tensor = self.host(name)?;
        Tensor::from_slice(self.device, &[tensor.bytes.len() / tensor.dtype.size()], &tensor.to_f32()?)
    }

    /// Columns of a weight `[rows, columns]`, widened: the head is small.
    pub(super) fn weight_columns(&self, name: &str, columns: std::ops::Range<usize>) -> Result<Weight> {
        let tensor = self.host(name)?;
        let (rows, width, size) = (tensor.shape[0], tensor.shape[1], tensor.dtype.size());
        let part = HostTensor {
            bytes: tensor
                .bytes
                .chunks_exact(width * size)
                .flat_map(|row| &row[columns.start * size..columns.end * size])
                .copied()
                .collect(),
            shape: vec![rows, columns.len()],
            ..tensor
        };
        let weight = Weight::from_slice(self.device, rows, 1, &part.to_f32()?)?;
        self.pipelines.weight(&weight);
        Ok(weight)
    }
}

/// `nn.Linear`: weight `[o, i]`, bias `[o]`; also a sparse convolution's.
pub(super) struct Linear {
    pub(super) weight: Weight,
    pub(super) bias: Option<Tensor>,
}

impl Linear {
    /// The layer whose parameters start with `prefix`.
    pub(super) fn load(loader: &Loader<'_>, prefix: &str, outputs: usize, bias: bool) -> Result<Self> {
        Self::load_taps(loader, prefix, outputs, 1, bias)
    }

    /// [`Self::load`] of a convolution, which has a matrix for each of its taps.
    pub(super) fn load_taps(
        loader: &Loader<'_>,
        prefix: &str,
        outputs: usize,
        taps: usize,
        bias: bool,
    ) -> Result<Self> {
        Ok(Self {
            weight: loader.weight(&format!("{prefix}.weight"), outputs, taps)?,
            bias: if bias { Some(loader.vector(&format!("{prefix}.bias"))?) } else { None },
        })
    }

    /// Its parameters, for kernels that fuse it.
    pub(super) fn layer(&self) -> Layer<'_> {
        Layer { weight: &self.weight, bias: self.bias.as_ref() }
    }

    /// `[n, i]` → `[n, o]`.
    pub(super) fn forward(&self, x: &Tensor, activation: Activation, residual: Option<&Tensor>) -> Result<Tensor> {
        self.forward_with(x, None, activation, residual)
    }

    /// [`Self::forward`] with a weight delta.
    pub(super) fn forward_with(
        &self,
        x: &Tensor,
        delta: Option<LowRank<'_>>,
        activation: Activation,
        residual: Option<&Tensor>,
    ) -> Result<Tensor> {
        linear(x, &self.weight, Epilogue { bias: self.bias.as_ref(), delta, activation, residual })
    }
}

/// `nn.LayerNorm` over the channels.
pub(super) struct LayerNorm {
    gamma: Tensor,
    beta: Tensor,
}

impl LayerNorm {
    /// The layer whose parameters start with `prefix`.
    pub(super) fn load(loader: &Loader<'_>, prefix: &str) -> Result<Self> {
        let gamma = loader.vector(&format!("{prefix}.weight"))?;
        loader.pipelines.norm(&gamma);
        Ok(Self { gamma, beta: loader.vector(&format!("{prefix}.bias"))? })
    }

    /// Its parameters, for kernels that fuse it.
    pub(super) fn norm(&self) -> Norm<'_> {
        Norm { gamma: &self.gamma, beta: &self.beta }
    }

    /// `[n, c]` → `[n, c]`.
    pub(super) fn forward(&self, x: &Tensor, activation: Activation, residual: Option<&Tensor>) -> Result<Tensor> {
        layer_norm(x, &self.gamma, &self.beta, activation, residual)
    }
}
