//! Everything the program computes in a recorded run, under the golden files' names.

use super::{floats, integers, recorded_specs};
use crate::{
    Result,
    device::{DType, Tensor},
    geometry::pyramid::{Pyramid, Stage},
    kernels::segment_mean::{Segments, segment_mean},
    model::{Context, Model, tensor_file::TensorFile},
};
use std::collections::HashMap;

/// A computed tensor.
pub(super) enum Value {
    /// f32, or words that are compared as integers.
    Floats(Tensor),
    /// `[.., 2]` words of 64-bit codes.
    Codes(Tensor),
    /// Integers that live on the host.
    Host(Vec<i64>),
}

impl Value {
    pub(super) fn is_float(&self) -> bool {
        matches!(self, Self::Floats(tensor) if tensor.dtype() == DType::F32)
    }

    /// The first `rows` rows.
    pub(super) async fn floats(&self, rows: usize) -> Result<Vec<f32>> {
        match self {
            Self::Floats(tensor) => tensor.rows_to_vec(0..rows.min(tensor.rows())).await,
            _ => Ok(Vec::new()),
        }
    }

    pub(super) async fn integers(&self) -> Result<Vec<i64>> {
        Ok(match self {
            Self::Host(values) => values.clone(),
            Self::Codes(tensor) => {
                let words: Vec<u32> = tensor.to_vec().await?;
                words.chunks_exact(2).map(|w| i64::from(w[0]) << 32 | i64::from(w[1])).collect()
            }
            Self::Floats(tensor) if tensor.dtype() == DType::I32 => {
                tensor.to_vec::<i32>().await?.into_iter().map(i64::from).collect()
            }
            Self::Floats(tensor) => tensor.to_vec::<u32>().await?.into_iter().map(i64::from).collect(),
        })
    }
}

/// A run of the program.
pub(super) struct Computed {
    /// Values by name; logits are there twice, from the pass as users run it and from the recording one.
    values: HashMap<String, Vec<Value>>,
    /// Where the scenes end, stage by stage.
    pub(super) offsets: Vec<Vec<usize>>,
}

impl Computed {
    pub(super) async fn run(model: &Model, file: &TensorFile, offsets: &[usize]) -> Result<Self> {
        let device = model.device();
        let grid: Vec<i32> = integers(file, "in.grid_coord")?;
        let n = grid.len() / 3;
        let ends = offsets.iter().enumerate();
        let batch: Vec<u32> = ends
            .scan(0, |start, (scene, end)| {
                let count = end.saturating_sub(*start);
                *start = *end;
                Some(std::iter::repeat_n(scene as u32, count.min(n)))
            })
            .flatten()
            .collect();
        let grid = Tensor::from_slice(device, &[n, 3], &grid)?;
        let batch = Tensor::from_slice(device, &[batch.len()], &batch)?;
        let pyramid = Pyramid::build(&grid, &batch, offsets, &recorded_specs(model, file)?).await?;
        let features = floats(device, file, "in.feat")?;

        let offsets = pyramid.stages.iter().map(|stage| stage.offsets.clone()).collect();
        let mut computed = Self { values: HashMap::new(), offsets };
        let logits = model.forward(&mut Context::default(), &pyramid, &features)?;
        computed.insert("out.logits".into(), Value::Floats(logits));
        let mut context = Context::recording();
        model.forward(&mut context, &pyramid, &features)?;
        for (name, tensor) in context.into_record() {
            computed.insert(name, Value::Floats(tensor));
        }
        for (s, stage) in pyramid.stages.into_iter().enumerate() {
            computed.insert_stage(s, stage);
        }
        if file.shape("in.coord").is_some() {
            computed.insert("stage0.coord".into(), Value::Floats(floats(device, file, "in.coord")?));
            computed.insert_coords(model.config().backbone.stages())?;
        }
        Ok(computed)
    }

    pub(super) fn get(&self, name: &str) -> Option<&[Value]> {
        self.values.get(name).map(Vec::as_slice)
    }

    fn insert(&mut self, name: String, value: Value) {
        self.values.entry(name).or_default().push(value);
    }

    fn insert_stage(&mut self, s: usize, stage: Stage) {
        let host = |values: Vec<u32>| Value::Host(values.into_iter().map(i64::from).collect());
        let mut insert = |part: &str, value| self.insert(format!("stage{s}.{part}"), value);
        insert("pad", host(stage.windows.pad()));
        insert("unpad", host(stage.windows.unpad()));
        insert("cu_seqlens", host(stage.windows.cu_seqlens()));
        insert("offset", Value::Host(stage.offsets.iter().map(|end| *end as i64).collect()));
        insert("grid_coord", Value::Floats(stage.grid_coord));
        insert("batch", Value::Floats(stage.batch));
        insert("serialized_code", Value::Codes(stage.codes));
        insert("serialized_order", Value::Floats(stage.orders));
        insert("serialized_inverse", Value::Floats(stage.inverses));
        if let Some(pooling) = stage.pooling {
            insert("cluster", Value::Floats(pooling.cluster));
            insert("members", Value::Floats(pooling.members));
            insert("idx_ptr", Value::Floats(pooling.starts));
        }
    }

    /// Pooled coordinates: the mean over each cell. The network does not read them.
    fn insert_coords(&mut self, stages: usize) -> Result<()> {
        for s in 1..stages {
            let tensor = |name: &str| match self.get(name) {
                Some([Value::Floats(tensor), ..]) => Some(tensor),
                _ => None,
            };
            let fine = tensor(&format!("stage{}.coord", s - 1));
            let (members, starts) = (tensor(&format!("stage{s}.members")), tensor(&format!("stage{s}.idx_ptr")));
            let (Some(fine), Some(members), Some(starts)) = (fine, members, starts) else { break };
            let coord = segment_mean(fine, members, 0, Segments::Runs(starts))?;
            self.insert(format!("stage{s}.coord"), Value::Floats(coord));
        }
        Ok(())
    }
}
