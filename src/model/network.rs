//! The whole network in forward order: Point Transformer V3 (mode 2) with an encoder head or a decoder.

use super::{
    block::Block,
    config::{Config, Curve as CurveName},
    context::Context,
    embedding::Embedding,
    head::{Head, joined_features, pooling_into},
    layers::{Loader, Slot, Trained, Trains},
    pooling::{GridPooling, GridUnpooling},
    scene::Scene,
    tape::{ParameterId, Var},
    weights::{Missing, ModelFile, ModelInfo},
};
use crate::{
    Error, Result,
    device::{DType, Device, Tensor},
    geometry::pyramid::{Pyramid, StageSpec},
    kernels::serialize::Curve,
};
use std::cell::Cell;

/// A model on a device.
pub struct Model {
    device: Device,
    config: Config,
    info: ModelInfo,
    embedding: Embedding,
    encoder: Vec<EncoderStage>,
    /// Coarsest first, as they run.
    decoder: Vec<DecoderStage>,
    head: Head,
    /// The parameters that are trained, by [`ParameterId`].
    trained: Vec<Trained>,
}

struct EncoderStage {
    pooling: Option<GridPooling>,
    blocks: Vec<Block>,
}

struct DecoderStage {
    stage: usize,
    unpooling: GridUnpooling,
    blocks: Vec<Block>,
}

impl Model {
    /// Brings a model file's weights to a device. Everything the configuration needs must be there in the right
    /// shape; with `allow_missing`, what is not there starts at random from that seed, and is returned by name.
    pub fn load(device: &Device, file: &ModelFile, allow_missing: Option<u64>) -> Result<(Self, Missing)> {
        Self::load_with(device, file, allow_missing, None)
    }

    /// [`Self::load`] of a model whose parameters that `trains` names will be trained. They are kept in f32; the others
    /// stay as they are stored.
    pub(crate) fn load_to_train(device: &Device, file: &ModelFile, trains: &Trains<'_>) -> Result<Self> {
        Ok(Self::load_with(device, file, None, Some(trains))?.0)
    }

    fn load_with(
        device: &Device,
        file: &ModelFile,
        allow_missing: Option<u64>,
        trains: Option<&Trains<'_>>,
    ) -> Result<(Self, Missing)> {
        let config = file.config().clone();
        let missing = file.check_against(&config, allow_missing.is_some())?;
        let loader = Loader::new(device, file, &config, &missing, allow_missing.unwrap_or(0), trains);
        let backbone = &config.backbone;
        let blocks = |stage, is_decoder| -> Result<Vec<Block>> {
            config.stage_plans(stage, is_decoder).iter().map(|plan| Block::load(&loader, plan)).collect()
        };
        let mut encoder = Vec::new();
        for (stage, channels) in backbone.enc_channels.iter().enumerate() {
            let pooling = if stage > 0 { Some(GridPooling::load(&loader, stage, *channels)?) } else { None };
            encoder.push(EncoderStage { pooling, blocks: blocks(stage, false)? });
        }
        let mut decoder = Vec::new();
        for stage in (0..backbone.decoder_stages()).rev() {
            let unpooling = GridUnpooling::load(&loader, stage, backbone.dec_channels[stage])?;
            decoder.push(DecoderStage { stage, unpooling, blocks: blocks(stage, true)? });
        }
        let model = Self {
            embedding: Embedding::load(&loader, &config)?,
            head: Head::load(&loader, &config)?,
            trained: loader.into_trained(),
            encoder,
            decoder,
            device: device.clone(),
            info: file.info().clone(),
            config,
        };
        Ok((model, missing))
    }

    /// The parameters that are trained, by their places.
    pub(crate) fn trained(&self) -> &[Trained] {
        &self.trained
    }

    /// Gives parameters that are trained the values that `next` returns for them, asked one by one in forward order.
    pub(crate) fn update_trained(
        &mut self,
        mut next: impl FnMut(ParameterId, &Trained) -> Result<Option<Tensor>>,
    ) -> Result<()> {
        let mut trained = std::mem::take(&mut self.trained);
        let result = self.slots().into_iter().try_for_each(|slot| {
            let Some(ParameterId(at)) = slot.id() else { return Ok(()) };
            if let Some(value) = next(ParameterId(at), &trained[at])? {
                slot.set(&value)?;
                trained[at].value = value;
            }
            Ok(())
        });
        self.trained = trained;
        result
    }

    /// The layers' sides of the parameters that are trained, in forward order.
    fn slots(&mut self) -> Vec<Slot<'_>> {
        let mut slots = Vec::with_capacity(self.trained.len());
        self.embedding.slots(&mut slots);
        for stage in &mut self.encoder {
            if let Some(pooling) = &mut stage.pooling {
                pooling.slots(&mut slots);
            }
            stage.blocks.iter_mut().for_each(|block| block.slots(&mut slots));
        }
        for stage in &mut self.decoder {
            stage.unpooling.slots(&mut slots);
            stage.blocks.iter_mut().for_each(|block| block.slots(&mut slots));
        }
        self.head.slots(&mut slots);
        slots
    }

    /// The device it lives on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Its configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Classes, voxel size, input features, licence.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// What a pyramid for this model needs to know of every stage.
    pub fn stage_specs(&self) -> Vec<StageSpec> {
        stage_specs(&self.config)
    }

    /// `features` `[n, in_channels]` of the pyramid's finest points → logits `[n, classes]`.
    pub fn forward<'a>(&'a self, context: &mut Context<'a>, pyramid: &'a Pyramid, features: &Tensor) -> Result<Tensor> {
        Ok(self.logits(context, pyramid, features)?.into_tensor())
    }

    /// [`Self::forward`], with the logits' place on the tape of a training context.
    pub(crate) fn logits<'a>(
        &'a self,
        context: &mut Context<'a>,
        pyramid: &'a Pyramid,
        features: &Tensor,
    ) -> Result<Var> {
        let features = self.backbone(context, pyramid, features)?;
        if context.records() {
            joined_features(context, pyramid, &features)?;
        }
        context.step("head", 1.0)?;
        let logits = self.head.forward(context, pyramid, &features)?;
        context.record(|| "out.logits".into(), &logits);
        Ok(logits)
    }

    /// [`Self::forward`], and the features that the head reads, `[n, channels]`: what "points like this one" are compared by.
    pub fn forward_with_features<'a>(
        &'a self,
        context: &mut Context<'a>,
        pyramid: &'a Pyramid,
        features: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        let features = self.backbone(context, pyramid, features)?;
        let joined = joined_features(context, pyramid, &features)?;
        context.step("head", 1.0)?;
        Ok((self.head.forward(context, pyramid, &features)?.into_tensor(), joined))
    }

    /// The features of every stage that the head reads, finest first.
    fn backbone<'a>(&'a self, context: &mut Context<'a>, pyramid: &'a Pyramid, features: &Tensor) -> Result<Vec<Var>> {
        let finest = pyramid.stages.first().map_or(0, |stage| stage.orders.columns());
        let expected = [finest, self.config.backbone.in_channels];
        if pyramid.stages.len() != self.encoder.len() || features.shape() != expected || features.dtype() != DType::F32
        {
            return Err(Error::Argument {
                what: "features".into(),
                problem: format!(
                    "{features:?} and {} stages do not fit a network of {} stages and {} input channels over {finest} points",
                    pyramid.stages.len(),
                    self.encoder.len(),
                    self.config.backbone.in_channels
                ),
                advice: "Build the pyramid with this model's `stage_specs`".into(),
            });
        }
        let scenes: Vec<Scene<'a>> = pyramid.stages.iter().map(Scene::new).collect();
        let total = self.blocks().max(1);
        let done = Cell::new(0);
        let step = |context: &Context<'a>, name: &str| context.step(name, f64::from(done.get()) / f64::from(total));
        let run = |context: &mut Context<'a>, name: &str, blocks: &'a [Block], scene: &Scene<'a>, mut x: Var| {
            for block in blocks {
                step(context, name)?;
                x = block.forward(context, scene, x)?;
                done.set(done.get() + 1);
            }
            Ok::<_, Error>(x)
        };

        let mut x = self.embedding.forward(context, &Var::constant(features.clone()))?;
        let mut outputs = Vec::new();
        for (stage, encoder) in self.encoder.iter().enumerate() {
            let name = format!("enc{stage}");
            if let Some(pooling) = &encoder.pooling {
                step(context, &name)?;
                x = pooling.forward(context, pooling_into(&pyramid.stages[stage]), &x)?;
            }
            x = run(context, &name, &encoder.blocks, &scenes[stage], x)?;
            context.record(|| format!("{name}.out"), &x);
            outputs.push(x.clone());
        }
        if self.config.backbone.enc_mode || self.decoder.is_empty() {
            return Ok(outputs);
        }
        outputs.pop();
        for decoder in &self.decoder {
            let skip = outputs.pop().expect("one encoder stage for each decoder stage");
            let pooling = pooling_into(&pyramid.stages[decoder.stage + 1]);
            let name = format!("dec{}", decoder.stage);
            step(context, &name)?;
            x = decoder.unpooling.forward(context, pooling, &x, &skip)?;
            drop(skip);
            x = run(context, &name, &decoder.blocks, &scenes[decoder.stage], x)?;
            context.record(|| format!("{name}.out"), &x);
        }
        Ok(vec![x])
    }

    fn blocks(&self) -> u32 {
        let encoder = self.encoder.iter().map(|stage| stage.blocks.len());
        let decoder = self.decoder.iter().map(|stage| stage.blocks.len());
        encoder.chain(decoder).sum::<usize>() as u32
    }
}

/// The curves, windows and strides of a configuration's stages.
pub fn stage_specs(config: &Config) -> Vec<StageSpec> {
    let backbone = &config.backbone;
    let curves: Vec<Curve> = backbone.order.iter().map(|curve| (*curve).into()).collect();
    (0..backbone.stages())
        .map(|stage| StageSpec {
            curves: curves.clone(),
            patch_size: backbone.patch_size(stage).unwrap_or(1),
            stride_to_next: backbone.stride.get(stage).copied(),
        })
        .collect()
}

impl From<CurveName> for Curve {
    fn from(name: CurveName) -> Self {
        match name {
            CurveName::Z => Self::Z,
            CurveName::ZTrans => Self::ZTrans,
            CurveName::Hilbert => Self::Hilbert,
            CurveName::HilbertTrans => Self::HilbertTrans,
        }
    }
}
