//! Parameters on a device, and the layers they form.

use super::{
    config::Config,
    context::Context,
    differentiable::{layer_norm_layer, linear_layer},
    parameters::Parameter,
    pipelines::Pipelines,
    tape::{ParameterId, Var},
    tensor_file::{Dtype, HostTensor},
    weights::{Missing, ModelFile},
};
use crate::{
    Error, Result,
    device::{DType, Device, Tensor},
    kernels::{
        Activation,
        basis_mix::Bases,
        layer_norm::Norm,
        linear::Layer,
        weight::Weight,
        weight_layout::{Direction, weight_layout},
    },
};
use std::{cell::RefCell, collections::HashMap, ops::Range};

/// Brings parameters from a model file to a device, one tensor at a time.
pub(super) struct Loader<'a> {
    device: &'a Device,
    file: &'a ModelFile,
    /// Parameters that the file lacks and the caller allowed to start at random.
    absent: HashMap<String, Parameter>,
    seed: u64,
    training: Option<Training<'a>>,
    pub(super) pipelines: Pipelines,
}

/// A parameter, or a part of one, that is trained.
#[derive(Clone, Debug)]
pub(crate) struct Trained {
    /// Its name in the state dict.
    pub(crate) name: String,
    /// Its shape there.
    pub(crate) shape: Vec<usize>,
    /// The columns of it that this is, where layers share it out.
    pub(crate) columns: Option<Range<usize>>,
    /// f32 in the reference's layout, rows apart from the rest; what the optimizer moves.
    pub(crate) value: Tensor,
}

/// Tells by its name whether a parameter is trained.
pub(crate) type Trains<'a> = dyn Fn(&str) -> bool + 'a;

struct Training<'a> {
    trains: &'a Trains<'a>,
    /// The place of every parameter in the forward pass.
    places: HashMap<String, usize>,
    /// The place of the first that is trained: gradients go back no further.
    first: usize,
    /// Those that are trained and were loaded, by [`ParameterId`].
    trained: RefCell<Vec<Trained>>,
}

impl<'a> Training<'a> {
    fn new(config: &Config, trains: &'a Trains<'a>) -> Self {
        // The order of registration is that of the forward pass, but for the head, which is registered first.
        let (head, backbone): (Vec<_>, Vec<_>) =
            config.parameters().into_iter().partition(|parameter| parameter.name.starts_with("seg_head"));
        let names: Vec<String> = backbone.into_iter().chain(head).map(|parameter| parameter.name).collect();
        let first = names.iter().position(|name| trains(name)).unwrap_or(names.len());
        let places = names.into_iter().enumerate().map(|(place, name)| (name, place)).collect();
        Self { trains, places, first, trained: RefCell::default() }
    }

    /// Gives a parameter that is trained its place.
    fn enlist(&self, name: &str, shape: &[usize], columns: Option<Range<usize>>, value: &Tensor) -> ParameterId {
        let mut trained = self.trained.borrow_mut();
        trained.push(Trained { name: name.to_owned(), shape: shape.to_vec(), columns, value: value.clone() });
        ParameterId(trained.len() - 1)
    }

    /// Whether gradients pass a weight on their way to a parameter before it.
    fn is_passed(&self, name: &str) -> bool {
        self.places.get(name).is_none_or(|place| *place > self.first)
    }
}

impl<'a> Loader<'a> {
    pub(super) fn new(
        device: &'a Device,
        file: &'a ModelFile,
        config: &Config,
        missing: &Missing,
        seed: u64,
        trains: Option<&'a Trains<'a>>,
    ) -> Self {
        let parameters = config.parameters().into_iter();
        let absent = parameters.filter(|p| missing.names.contains(&p.name)).map(|p| (p.name.clone(), p)).collect();
        let training = trains.map(|trains| Training::new(config, trains));
        Self { device, file, absent, seed, training, pipelines: Pipelines::new(device) }
    }

    /// Whether what it loads will be trained.
    pub(super) fn trains(&self) -> bool {
        self.training.is_some()
    }

    /// What was loaded and is trained, in the order of [`ParameterId`]s.
    pub(super) fn into_trained(self) -> Vec<Trained> {
        self.pipelines.prepare();
        self.training.map_or_else(Vec::new, |training| training.trained.into_inner())
    }

    fn host(&self, name: &str) -> Result<HostTensor> {
        self.absent.get(name).map_or_else(|| self.file.read(name), |parameter| Ok(parameter.initial(self.seed)))
    }

    /// A weight `[rows, taps, everything else]`.
    pub(super) fn matrix(&self, name: &str, rows: usize, taps: usize) -> Result<Matrix> {
        let (dtype, tensor) = self.stored(name)?;
        self.lay_out(name, None, rows, taps, dtype, &tensor)
    }

    /// Columns of a weight `[rows, columns]`, widened: the head is small.
    pub(super) fn matrix_columns(&self, name: &str, columns: Range<usize>) -> Result<Matrix> {
        let tensor = self.host(name)?;
        let (rows, width, size) = (tensor.shape[0], tensor.shape[1], tensor.dtype.size());
        let part = HostTensor {
            bytes: tensor
                .bytes
                .chunks_exact(width * size)
                .flat_map(|row| &row[columns.start * size..columns.end * size])
                .copied()
                .collect(),
            ..tensor
        };
        let wide = part.to_f32()?;
        let part = HostTensor { bytes: bytemuck::cast_slice(&wide).to_vec(), dtype: Dtype::F32, ..part };
        self.lay_out(name, Some(columns), rows, 1, DType::F32, &part)
    }

    fn lay_out(
        &self,
        name: &str,
        columns: Option<Range<usize>>,
        rows: usize,
        taps: usize,
        dtype: DType,
        tensor: &HostTensor,
    ) -> Result<Matrix> {
        let frozen = |backward: bool| -> Result<Matrix> {
            let forward = Weight::from_bytes(self.device, rows, taps, dtype, &tensor.bytes)?;
            self.pipelines.weight(&forward);
            let backward = backward.then(|| Weight::transposed(self.device, rows, taps, dtype, &tensor.bytes));
            Ok(Matrix { forward, backward: backward.transpose()?, id: None })
        };
        let Some(training) = &self.training else { return frozen(false) };
        if !(training.trains)(name) {
            return frozen(training.is_passed(name));
        }
        let wide = tensor.to_f32()?;
        let value = Tensor::from_slice(self.device, &[rows, wide.len() / rows.max(1)], &wide)?;
        let forward = weight_layout(&value, taps, Direction::Forward)?;
        self.pipelines.weight(&forward);
        let backward = training.is_passed(name).then(|| weight_layout(&value, taps, Direction::Backward));
        let id = training.enlist(name, &tensor.shape, columns, &value);
        Ok(Matrix { forward, backward: backward.transpose()?, id: Some(id) })
    }

    /// The `count` linear layers that start with `prefix`, weight `[count, o, i]` and bias `[count, o]`.
    pub(super) fn bases(&self, prefix: &str, count: usize) -> Result<Bases> {
        let (dtype, tensor) = self.stored(&format!("{prefix}.weight"))?;
        let bias = self.vector(&format!("{prefix}.bias"))?.value;
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
    pub(super) fn vector(&self, name: &str) -> Result<Vector> {
        let tensor = self.host(name)?;
        let count = tensor.bytes.len() / tensor.dtype.size();
        let value = Tensor::from_slice(self.device, &[count], &tensor.to_f32()?)?;
        let training = self.training.as_ref().filter(|training| (training.trains)(name));
        let id = training.map(|training| training.enlist(name, &tensor.shape, None, &value));
        Ok(Vector { value, id })
    }
}

/// A weight matrix, `[outputs, taps · inner]`.
pub(super) struct Matrix {
    /// From inputs to outputs.
    forward: Weight,
    /// From gradients of outputs to those of inputs; only where something before it is trained.
    backward: Option<Weight>,
    id: Option<ParameterId>,
}

impl Matrix {
    pub(super) fn forward(&self) -> &Weight {
        &self.forward
    }

    pub(super) fn backward(&self) -> Result<&Weight> {
        self.backward.as_ref().ok_or_else(|| Error::Argument {
            what: "gradient".into(),
            problem: format!("{:?} was loaded without a way back", self.forward),
            advice: "Load the model with the parameters to train".into(),
        })
    }

    pub(super) fn id(&self) -> Option<ParameterId> {
        self.id
    }
}

/// A bias, a norm's scale or shift, or another parameter that kernels read as it is, in f32.
pub(super) struct Vector {
    value: Tensor,
    id: Option<ParameterId>,
}

impl Vector {
    pub(super) fn value(&self) -> &Tensor {
        &self.value
    }

    pub(super) fn id(&self) -> Option<ParameterId> {
        self.id
    }
}

/// A layer's side of a parameter that is trained.
pub(super) enum Slot<'a> {
    /// Of a [`Matrix`].
    Matrix(&'a mut Matrix),
    /// Of a [`Vector`].
    Vector(&'a mut Vector),
}

impl Slot<'_> {
    pub(super) fn id(&self) -> Option<ParameterId> {
        match self {
            Self::Matrix(matrix) => matrix.id,
            Self::Vector(vector) => vector.id,
        }
    }

    /// Takes another value, f32 in the reference's layout, and lays it out for the products that read it.
    pub(super) fn set(self, value: &Tensor) -> Result<()> {
        match self {
            Self::Matrix(matrix) => {
                let taps = matrix.forward.taps();
                matrix.forward = weight_layout(value, taps, Direction::Forward)?;
                if matrix.backward.is_some() {
                    matrix.backward = Some(weight_layout(value, taps, Direction::Backward)?);
                }
            }
            Self::Vector(vector) => vector.value = value.clone(),
        }
        Ok(())
    }
}

/// `nn.Linear`: weight `[o, i]`, bias `[o]`; also a sparse convolution's.
pub(super) struct Linear {
    pub(super) weight: Matrix,
    pub(super) bias: Option<Vector>,
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
            weight: loader.matrix(&format!("{prefix}.weight"), outputs, taps)?,
            bias: if bias { Some(loader.vector(&format!("{prefix}.bias"))?) } else { None },
        })
    }

    /// Its parameters, for kernels that fuse it.
    pub(super) fn layer(&self) -> Layer<'_> {
        Layer { weight: self.weight.forward(), bias: self.bias.as_ref().map(Vector::value) }
    }

    /// `[n, i]` → `[n, o]`.
    pub(super) fn forward<'a>(
        &'a self,
        context: &mut Context<'a>,
        x: &Var,
        activation: Activation,
        residual: Option<&Var>,
    ) -> Result<Var> {
        linear_layer(context, None, self, x, None, activation, residual)
    }

    /// Whether it has a parameter that is trained.
    pub(super) fn trains(&self) -> bool {
        self.weight.id().is_some() || self.bias.as_ref().is_some_and(|bias| bias.id().is_some())
    }

    /// Its parameters that are trained.
    pub(super) fn slots<'a>(&'a mut self, slots: &mut Vec<Slot<'a>>) {
        self.weight.slots(slots);
        if let Some(bias) = &mut self.bias {
            bias.slots(slots);
        }
    }
}

/// `nn.LayerNorm` over the channels.
pub(super) struct LayerNorm {
    pub(super) gamma: Vector,
    pub(super) beta: Vector,
}

impl LayerNorm {
    /// The layer whose parameters start with `prefix`.
    pub(super) fn load(loader: &Loader<'_>, prefix: &str) -> Result<Self> {
        let gamma = loader.vector(&format!("{prefix}.weight"))?;
        loader.pipelines.norm(gamma.value());
        Ok(Self { gamma, beta: loader.vector(&format!("{prefix}.bias"))? })
    }

    /// Its parameters, for kernels that fuse it.
    pub(super) fn norm(&self) -> Norm<'_> {
        Norm { gamma: self.gamma.value(), beta: self.beta.value() }
    }

    /// `[n, c]` → `[n, c]`.
    pub(super) fn forward<'a>(
        &'a self,
        context: &mut Context<'a>,
        x: &Var,
        activation: Activation,
        residual: Option<&Var>,
    ) -> Result<Var> {
        layer_norm_layer(context, self, x, activation, residual)
    }

    /// Whether it has a parameter that is trained.
    pub(super) fn trains(&self) -> bool {
        self.gamma.id.is_some() || self.beta.id.is_some()
    }

    /// Its parameters that are trained.
    pub(super) fn slots<'a>(&'a mut self, slots: &mut Vec<Slot<'a>>) {
        self.gamma.slots(slots);
        self.beta.slots(slots);
    }
}

impl Vector {
    /// Its place for the optimizer, if it is trained.
    pub(super) fn slots<'a>(&'a mut self, slots: &mut Vec<Slot<'a>>) {
        if self.id.is_some() {
            slots.push(Slot::Vector(self));
        }
    }
}

impl Matrix {
    /// Its place for the optimizer, if it is trained.
    pub(super) fn slots<'a>(&'a mut self, slots: &mut Vec<Slot<'a>>) {
        if self.id.is_some() {
            slots.push(Slot::Matrix(self));
        }
    }
}
