//! Compute pipelines.

use super::shader_table::{Entry, Variant};

/// A compute pipeline and the layout of its bindings.
pub(super) struct Pipeline {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
}

/// The pipeline of an entry point, with the bindings that the shader table says it has.
pub(super) fn create_pipeline(device: &wgpu::Device, variant: &Variant, entry: &Entry) -> Pipeline {
    let label = format!("{}.{}.{}", variant.kernel, variant.name, entry.name);
    let layout_entry = |binding, ty, has_dynamic_offset| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
        count: None,
    };
    let mut entries = vec![layout_entry(0, wgpu::BufferBindingType::Uniform, true)];
    entries.extend(entry.storage.iter().map(|binding| {
        layout_entry(binding.index, wgpu::BufferBindingType::Storage { read_only: !binding.writes }, false)
    }));
    let layout = device
        .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(variant.kernel), entries: &entries });
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(variant.kernel),
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 0,
    });
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(&label),
        source: wgpu::ShaderSource::Wgsl(variant.source.into()),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(&label),
        layout: Some(&pipeline_layout),
        module: &module,
        entry_point: Some(entry.name),
        compilation_options: wgpu::PipelineCompilationOptions {
            // Every kernel writes its workgroup memory before it reads it.
            zero_initialize_workgroup_memory: false,
            ..Default::default()
        },
        cache: None,
    });
    Pipeline { pipeline, layout }
}
