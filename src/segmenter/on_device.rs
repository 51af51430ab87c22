//! Labels that stay where they were computed, for an application that draws them.

use super::{Run, SegmentOptions, Segmentation, Segmenter};
use crate::{
    Device, PointCloud, Result,
    device::{DType, Tensor},
    kernels::gather_rows::gather_rows,
};

/// The labels of a scan, on the device of its [`Segmenter`].
#[derive(Clone, Debug)]
pub struct LabelsOnDevice {
    /// `[n]`, u32: the class of every input point, in input order; [`Self::NONE`] where the coordinates are not finite.
    pub labels: Tensor,
    /// `[n]`, f32: softmax probability of the label, 0 to 1; 0 without a label.
    pub confidence: Tensor,
    /// Voxels that the network saw.
    pub voxels: usize,
    /// What a user should know about this run.
    pub warnings: Vec<String>,
}

impl LabelsOnDevice {
    /// The label of a point without one.
    pub const NONE: u32 = u32::MAX;

    /// Brings labels that were on the host to a device.
    fn upload(device: &Device, found: &Segmentation) -> Result<Self> {
        let n = found.labels.len();
        Ok(Self {
            // -1 is the same bits as `NONE`.
            labels: Tensor::from_bytes(device, &[n], DType::U32, bytemuck::cast_slice(&found.labels))?,
            confidence: Tensor::from_slice(device, &[n], &found.confidence)?,
            voxels: found.voxels,
            warnings: found.warnings.clone(),
        })
    }
}

impl Segmenter {
    /// [`Self::segment`], with labels that stay on the device. On a GPU they have not been computed yet when this returns, but
    /// their commands are submitted: what is submitted to the same queue afterwards reads them ([`Tensor::wgpu_binding`]).
    ///
    /// A scan with points that have no finite coordinates, and one seen in many views ([`SegmentOptions::tta`]), goes
    /// through the host.
    ///
    /// # Errors
    /// As [`Self::segment`].
    pub async fn segment_on_device(&self, cloud: &PointCloud, options: &SegmentOptions<'_>) -> Result<LabelsOnDevice> {
        let device = self.model().device();
        let options = SegmentOptions { details: false, ..*options };
        let found = if options.tta {
            self.segment(cloud, &options).await?
        } else {
            let mut run = Run::new(&options);
            let answer = self.answer(cloud, &mut run).await?;
            if answer.finite.len() == cloud.len() {
                let labels = gather_rows(&answer.cell_of_point, &answer.label)?;
                let confidence = gather_rows(&answer.cell_of_point, &answer.confidence)?;
                device.submit()?;
                return Ok(LabelsOnDevice { labels, confidence, voxels: answer.voxels, warnings: run.warnings });
            }
            self.read(cloud, answer, run).await?
        };
        LabelsOnDevice::upload(device, &found)
    }
}
