//! Adapters: weights that differ from patch to patch.

use super::Case;
use crate::{
    Device, Result,
    device::Tensor,
    doctor::operands::Operands,
    geometry::patches::{PatchRule, PatchTable, Patches},
    kernels::{
        Activation,
        basis_mix::basis_mix,
        basis_mix_backward::basis_mix_backward,
        low_rank_delta::{LowRank, PatchOf, low_rank_delta},
        low_rank_delta_backward::low_rank_delta_backward,
    },
};

pub(super) const CASES: &[Case] = &[
    Case { kernel: "basis_mix", what: "4 bases, 14 patches", tolerance: 1e-6, run: mix },
    // Gradients of a patch's gate are sums over up to 110 points of 20 channels.
    Case { kernel: "basis_mix_backward", what: "4 bases, 14 patches", tolerance: 2e-5, run: mix_backward },
    Case { kernel: "low_rank_delta", what: "rank 3, 14 patches", tolerance: 1e-6, run: delta },
    Case { kernel: "low_rank_delta_backward", what: "rank 3, 14 patches", tolerance: 2e-5, run: delta_backward },
];

const POINTS: usize = 1025;
const CHANNELS: usize = 20;
const BASES: usize = 4;
const RANK: usize = 3;

/// Two scenes of seven patches each, in a random order.
struct Place {
    table: PatchTable,
    patches: usize,
    orders: Tensor,
    inverses: Tensor,
}

impl Place {
    fn new(make: &mut Operands<'_>) -> Result<Self> {
        let patches = Patches::new(PatchRule::Num(7), &[800, POINTS])?;
        let [orders, inverses] = make.order(POINTS)?;
        Ok(Self { table: patches.upload(make.device)?, patches: patches.ranges.len(), orders, inverses })
    }

    fn patch_of(&self) -> PatchOf<'_> {
        PatchOf { inverse: &self.inverses, row: 1, patch_of_rank: &self.table.patch_of_rank }
    }
}

fn mix(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let place = Place::new(&mut make)?;
    let (t, gate) = (make.floats(&[POINTS, BASES * CHANNELS])?, make.floats(&[place.patches, BASES])?);
    Ok(vec![basis_mix(&t, &gate, place.patch_of(), Activation::Relu)?])
}

fn mix_backward(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let place = Place::new(&mut make)?;
    let (t, gate) = (make.floats(&[POINTS, BASES * CHANNELS])?, make.floats(&[place.patches, BASES])?);
    let dy = make.floats(&[POINTS, CHANNELS])?;
    let (starts, activation) = (&place.table.starts, Activation::None);
    let gradients = basis_mix_backward(&t, &gate, place.patch_of(), &place.orders, starts, activation, &dy)?;
    Ok(vec![gradients.t, gradients.gate])
}

fn delta(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let place = Place::new(&mut make)?;
    let (z, a) = (make.floats(&[POINTS, RANK])?, make.floats(&[place.patches, CHANNELS, RANK])?);
    let delta = LowRank { z: &z, a: &a, patches: Some(place.patch_of()), scale: 1.5 };
    Ok(vec![low_rank_delta(&make.floats(&[POINTS, CHANNELS])?, delta, Activation::Relu)?])
}

fn delta_backward(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let place = Place::new(&mut make)?;
    let (z, a) = (make.floats(&[POINTS, RANK])?, make.floats(&[place.patches, CHANNELS, RANK])?);
    let delta = LowRank { z: &z, a: &a, patches: Some(place.patch_of()), scale: 1.5 };
    let dy = make.floats(&[POINTS, CHANNELS])?;
    let gradient = low_rank_delta_backward(&dy, delta, Some(&place.orders))?;
    Ok(vec![gradient.z, gradient.a])
}
