//! An application with a renderer of its own: library and renderer share one `wgpu` device, and the labels that the one
//! computes are drawn by the other without ever leaving the GPU. The picture, a view from above, is written as PPM.
//!
//! ```sh
//! cargo run --release --example share_device -- assets/scenes/living_room.ply labels.ppm
//! ```
//!
//! `POINTTPA_TEST_DEVICE` names the adapter to take, else the first one is taken.

use pointtpa::{
    Device, LabelsOnDevice, PointCloud, SegmentOptions, Segmenter,
    model::bundled,
    scan::{self, write_whole},
    wgpu::{self, util::DeviceExt},
};
use std::error::Error;

/// Pixels of a side. A row of them is a multiple of 256 bytes, as copies from textures want it.
const SIZE: u32 = 512;

const SHADER: &str = "
@group(0) @binding(0) var<storage, read> labels: array<u32>;
@group(0) @binding(1) var<storage, read> colors: array<vec4f>;
@group(0) @binding(2) var<uniform> box: vec4f; // lowest corner, scale, height

struct Corner { @builtin(position) place: vec4f, @location(0) color: vec4f }

@vertex fn corner(@builtin(vertex_index) point: u32, @location(0) position: vec3f) -> Corner {
    let label = min(labels[point], arrayLength(&colors) - 1u); // the last colour is that of points without a label
    let flat = (position.xy - box.xy) * box.z * 2.0 - 1.0;
    return Corner(vec4f(flat.x, flat.y, 1.0 - position.z / box.w, 1.0), colors[label]);
}

@fragment fn pixel(seen: Corner) -> @location(0) vec4f { return seen.color; }
";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [scan, out] = &arguments[..] else { return Err("share_device SCAN OUT.ppm".into()) };
    pollster::block_on(run(scan, out))
}

async fn run(path: &str, out: &str) -> Result<(), Box<dyn Error>> {
    // What every application with a renderer has already.
    let (device, queue) = open_device().await?;

    let shared = Device::from_wgpu(device.clone(), queue.clone(), u64::MAX)?;
    let lost = shared.clone();
    device.set_device_lost_callback(move |_, reason| lost.report_lost(&reason));
    let (segmenter, _) = Segmenter::open(&shared, &bundled::rooms().expect("the checkout brings its model")?, None)?;

    let cloud = scan::read(path.as_ref())?.cloud;
    let labels = segmenter.segment_on_device(&cloud, &SegmentOptions::default()).await?;
    let mut colors: Vec<[f32; 4]> = Vec::new();
    for class in &segmenter.model().info().labels.classes {
        let [red, green, blue] = class.color.map(|part| f32::from(part) / 255.0);
        colors.push([red, green, blue, 1.0]);
    }
    colors.push([0.2, 0.2, 0.2, 1.0]);

    let pixels = draw(&device, &queue, &cloud, &labels, &colors)?;
    write_whole(out.as_ref(), |file| {
        write!(file, "P6\n{SIZE} {SIZE}\n255\n")?;
        pixels.chunks_exact(4).try_for_each(|pixel| file.write_all(&pixel[..3]))
    })?;
    println!("{} points in {} voxels, drawn to {out}", cloud.len(), labels.voxels);
    Ok(())
}

async fn open_device() -> Result<(wgpu::Device, wgpu::Queue), Box<dyn Error>> {
    let wanted = std::env::var("POINTTPA_TEST_DEVICE").unwrap_or_default().to_lowercase();
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapters = instance.enumerate_adapters(wgpu::Backends::PRIMARY).await;
    let found = adapters.into_iter().find(|adapter| adapter.get_info().name.to_lowercase().contains(&wanted));
    // WebGPU's default limits suffice.
    Ok(found.ok_or("there is no adapter")?.request_device(&wgpu::DeviceDescriptor::default()).await?)
}

/// The points seen from above, each in the colour of its label, as RGBA.
fn draw(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    cloud: &PointCloud,
    labels: &LabelsOnDevice,
    colors: &[[f32; 4]],
) -> Result<Vec<u8>, Box<dyn Error>> {
    let buffer =
        |contents, usage| device.create_buffer_init(&wgpu::util::BufferInitDescriptor { label: None, contents, usage });
    let (low, high) = cloud.bounds().ok_or("the scan has no points")?;
    let scale = 1.0 / (high[0] - low[0]).max(high[1] - low[1]);
    let positions = buffer(bytemuck::cast_slice(&cloud.positions), wgpu::BufferUsages::VERTEX);
    let colors = buffer(bytemuck::cast_slice(colors), wgpu::BufferUsages::STORAGE);
    let bounds = buffer(bytemuck::cast_slice(&[low[0], low[1], scale, high[2]]), wgpu::BufferUsages::UNIFORM);
    let pipeline = pipeline(device);
    let labels = labels.labels.wgpu_binding().ok_or("the labels are not on a GPU")?;
    let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[
            wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(labels) },
            wgpu::BindGroupEntry { binding: 1, resource: colors.as_entire_binding() },
            wgpu::BindGroupEntry { binding: 2, resource: bounds.as_entire_binding() },
        ],
    });

    let target = device.create_texture(&wgpu::TextureDescriptor {
        label: None,
        size: wgpu::Extent3d { width: SIZE, height: SIZE, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba8Unorm,
        usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
        view_formats: &[],
    });
    let view = target.create_view(&wgpu::TextureViewDescriptor::default());
    let pixels = device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: u64::from(SIZE * SIZE * 4),
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    {
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: &view,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations { load: wgpu::LoadOp::Clear(wgpu::Color::BLACK), store: wgpu::StoreOp::Store },
            })],
            ..Default::default()
        });
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.set_vertex_buffer(0, positions.slice(..));
        pass.draw(0..cloud.len() as u32, 0..1);
    }
    encoder.copy_texture_to_buffer(
        target.as_image_copy(),
        wgpu::TexelCopyBufferInfo {
            buffer: &pixels,
            layout: wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(SIZE * 4), rows_per_image: None },
        },
        target.size(),
    );
    // The commands that compute the labels lie before it in the queue.
    queue.submit([encoder.finish()]);
    pixels.slice(..).map_async(wgpu::MapMode::Read, |_| {});
    device.poll(wgpu::PollType::wait_indefinitely())?;
    Ok(pixels.slice(..).get_mapped_range()?.to_vec())
}

fn pipeline(device: &wgpu::Device) -> wgpu::RenderPipeline {
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: None,
        source: wgpu::ShaderSource::Wgsl(SHADER.into()),
    });
    device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
        label: None,
        layout: None,
        vertex: wgpu::VertexState {
            module: &module,
            entry_point: None,
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            buffers: &[Some(wgpu::VertexBufferLayout {
                array_stride: 12,
                step_mode: wgpu::VertexStepMode::Vertex,
                attributes: &wgpu::vertex_attr_array![0 => Float32x3],
            })],
        },
        primitive: wgpu::PrimitiveState { topology: wgpu::PrimitiveTopology::PointList, ..Default::default() },
        depth_stencil: None,
        multisample: wgpu::MultisampleState::default(),
        fragment: Some(wgpu::FragmentState {
            module: &module,
            entry_point: None,
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            targets: &[Some(wgpu::TextureFormat::Rgba8Unorm.into())],
        }),
        multiview_mask: None,
        cache: None,
    })
}
