//! An application's own wgpu device: the library computes on it, and the labels are read by the application's commands.

use pointtpa::{
    Device, Error, LabelsOnDevice, PointCloud, SegmentOptions, Segmenter,
    device::Tensor,
    model::bundled,
    scan,
    wgpu::{self, util::DeviceExt},
};
use std::path::Path;

/// A device as an application opens it, with WebGPU's default limits; `None` without an adapter.
fn application() -> Option<(wgpu::Device, wgpu::Queue)> {
    application_with(wgpu::Limits::default())
}

fn application_with(required_limits: wgpu::Limits) -> Option<(wgpu::Device, wgpu::Queue)> {
    let wanted = std::env::var("POINTTPA_TEST_DEVICE").unwrap_or_default().to_lowercase();
    pollster::block_on(async {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let adapters = instance.enumerate_adapters(wgpu::Backends::PRIMARY).await;
        let Some(adapter) = adapters.into_iter().find(|a| a.get_info().name.to_lowercase().contains(&wanted)) else {
            println!("skipped: no adapter");
            return None;
        };
        let descriptor = wgpu::DeviceDescriptor { required_limits, ..Default::default() };
        Some(adapter.request_device(&descriptor).await.unwrap())
    })
}

/// The elements of a tensor, copied by commands of the application.
fn copied(device: &wgpu::Device, queue: &wgpu::Queue, tensor: &Tensor) -> Vec<u32> {
    let binding = tensor.wgpu_binding().unwrap();
    let size = binding.size.unwrap().get();
    let contents = vec![0; size as usize];
    let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
    let target =
        device.create_buffer_init(&wgpu::util::BufferInitDescriptor { label: None, contents: &contents, usage });
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    encoder.copy_buffer_to_buffer(binding.buffer, binding.offset, &target, 0, size);
    queue.submit([encoder.finish()]);
    target.slice(..).map_async(wgpu::MapMode::Read, |mapped| mapped.unwrap());
    device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    bytemuck::pod_collect_to_vec(&target.slice(..).get_mapped_range().unwrap())
}

fn scene() -> PointCloud {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/scenes/living_room.ply");
    let mut cloud = scan::read(&path).unwrap().cloud;
    // A part of the room is enough.
    let n = 3000;
    cloud.positions.truncate(n);
    cloud.labels = None;
    cloud.colors.as_mut().unwrap().truncate(n);
    cloud.normals.as_mut().unwrap().truncate(n);
    cloud
}

fn segmenter(device: &Device) -> Segmenter {
    Segmenter::open(device, &bundled::rooms().expect("the checkout brings its model").unwrap(), None).unwrap().0
}

#[test]
fn labels_on_the_device_are_the_labels_on_the_host() {
    let Some((device, queue)) = application() else { return };
    let shared = Device::from_wgpu(device.clone(), queue.clone(), u64::MAX).unwrap();
    let segmenter = segmenter(&shared);
    let whole = scene();
    let mut holed = whole.clone();
    holed.positions[7][1] = f32::NAN;
    for cloud in [whole, holed] {
        let options = SegmentOptions::default();
        let expected = segmenter.segment_blocking(&cloud, &options).unwrap();
        let found = pollster::block_on(segmenter.segment_on_device(&cloud, &options)).unwrap();
        assert_eq!((found.voxels, found.warnings), (expected.voxels, expected.warnings));
        let labels: Vec<u32> = expected.labels.iter().map(|label| *label as u32).collect();
        assert_eq!(copied(&device, &queue, &found.labels), labels);
        assert_eq!(labels.iter().filter(|label| **label == LabelsOnDevice::NONE).count(), expected.skipped);
        let confidence: Vec<u32> = expected.confidence.iter().map(|value| value.to_bits()).collect();
        assert_eq!(copied(&device, &queue, &found.confidence), confidence);
    }
}

#[test]
fn the_cpu_has_labels_and_no_binding() {
    let device = Device::cpu();
    let found = pollster::block_on(segmenter(&device).segment_on_device(&scene(), &SegmentOptions::default())).unwrap();
    assert!(found.labels.wgpu_binding().is_none() && device.wgpu().is_none());
    let labels: Vec<u32> = pollster::block_on(found.labels.to_vec()).unwrap();
    assert!(labels.iter().all(|label| *label < 21));
}

#[test]
fn a_device_with_too_little_is_refused_with_what_is_needed() {
    let Some((device, queue)) = application_with(wgpu::Limits::downlevel_webgl2_defaults()) else { return };
    let error = Device::from_wgpu(device, queue, u64::MAX).unwrap_err();
    assert!(matches!(error, Error::Adapter { .. }), "{error}");
    assert!(error.to_string().contains("storage buffers per stage are required, it has 0"), "{error}");
}

#[test]
fn a_loss_that_the_application_hears_of_ends_runs() {
    let Some((device, queue)) = application() else { return };
    let shared = Device::from_wgpu(device.clone(), queue, u64::MAX).unwrap();
    let segmenter = segmenter(&shared);
    shared.report_lost("unplugged");
    device.destroy();
    let error = segmenter.segment_blocking(&scene(), &SegmentOptions::default()).unwrap_err();
    assert!(matches!(&error, Error::DeviceLost { reason } if reason == "unplugged"), "{error}");
}
