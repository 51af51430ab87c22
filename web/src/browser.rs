//! What the browser says of its WebGPU adapter: wgpu passes on the description alone, which browsers leave empty.

use js_sys::{Function, Promise, Reflect};
use pointtpa::device::names_software;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// The adapter that a page gets.
pub(crate) struct Adapter {
    /// Vendor, architecture, device, description: as many of them as there are.
    pub(crate) name: String,
    /// Whether it is a program on the CPU.
    pub(crate) software: bool,
}

/// `None` without WebGPU, or without an adapter.
pub(crate) async fn adapter() -> Option<Adapter> {
    let gpu = get(&get(&js_sys::global(), "navigator"), "gpu");
    let request: Function = get(&gpu, "requestAdapter").dyn_into().ok()?;
    let promise: Promise = request.call0(&gpu).ok()?.dyn_into().ok()?;
    let adapter = JsFuture::from(promise).await.ok().filter(JsValue::is_object)?;
    let info = get(&adapter, "info");
    let words = ["vendor", "architecture", "device", "description"].map(|field| get(&info, field).as_string());
    let words: Vec<String> = words.into_iter().flatten().filter(|word| !word.is_empty()).collect();
    let name = words.join(" ");
    let software = get(&info, "isFallbackAdapter").is_truthy() || names_software(&name);
    Some(Adapter { name, software })
}

fn get(value: &JsValue, field: &str) -> JsValue {
    // Of what is no object there is no field.
    Reflect::get(value, &field.into()).unwrap_or(JsValue::UNDEFINED)
}
