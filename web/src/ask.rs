//! What the page asks with, checked.

use js_sys::{Array, Int32Array, Reflect, Uint8Array};
use pointtpa::Error;
use wasm_bindgen::{JsCast, JsValue};

use crate::engine::Painted;
use crate::failure::Failure;

/// A field that is text.
pub(crate) fn text(ask: &JsValue, field: &str) -> Result<String, Failure> {
    get(ask, field).as_string().ok_or_else(|| wrong(field, "text"))
}

/// A field that is a number, or null for none.
pub(crate) fn number(ask: &JsValue, field: &str) -> Result<Option<f64>, Failure> {
    let value = get(ask, field);
    if value.is_null() || value.is_undefined() {
        return Ok(None);
    }
    value.as_f64().map(Some).ok_or_else(|| wrong(field, "a number or null"))
}

/// A field that is a whole number, not negative.
pub(crate) fn index(ask: &JsValue, field: &str) -> Result<usize, Failure> {
    let whole = |value: &f64| *value >= 0.0 && value.fract() == 0.0 && *value <= f64::from(u32::MAX);
    get(ask, field).as_f64().filter(whole).map(|value| value as usize).ok_or_else(|| wrong(field, "a whole number"))
}

/// A field that is true or false; false if it is not there.
pub(crate) fn flag(ask: &JsValue, field: &str) -> Result<bool, Failure> {
    let value = get(ask, field);
    if value.is_undefined() { Ok(false) } else { value.as_bool().ok_or_else(|| wrong(field, "true or false")) }
}

/// A field that is an `ArrayBuffer`, copied into the module's memory.
pub(crate) fn bytes(ask: &JsValue, field: &str) -> Result<Vec<u8>, Failure> {
    let value = get(ask, field);
    if !value.is_instance_of::<js_sys::ArrayBuffer>() {
        return Err(wrong(field, "an ArrayBuffer"));
    }
    Ok(Uint8Array::new(&value).to_vec())
}

/// A lesson.
pub(crate) fn painted(ask: &JsValue) -> Result<Painted, Failure> {
    let labels = get(ask, "labels").dyn_into::<Int32Array>().map_err(|_| wrong("labels", "an Int32Array"))?.to_vec();
    let class = |value: JsValue| {
        let name = get(&value, "name").as_string()?;
        let color: Vec<u8> =
            Array::from(&get(&value, "color")).iter().filter_map(|v| Some(v.as_f64()? as u8)).collect();
        Some((name, color.try_into().ok()?))
    };
    let added = Array::from(&get(ask, "added")).iter().map(class).collect::<Option<Vec<_>>>();
    let added = added.ok_or_else(|| wrong("added", "a list of names and colours"))?;
    let seconds = number(ask, "seconds")?.filter(|seconds| seconds.is_finite());
    let seconds = seconds.ok_or_else(|| wrong("seconds", "a number"))?;
    Ok(Painted { labels, added, seconds, grid_size: number(ask, "gridSize")? })
}

fn get(ask: &JsValue, field: &str) -> JsValue {
    // Only of what is no object, and then it lacks the field.
    Reflect::get(ask, &field.into()).unwrap_or(JsValue::UNDEFINED)
}

/// An error in a field.
pub(crate) fn wrong(field: &str, expected: &str) -> Failure {
    Failure::from(Error::Argument {
        what: field.to_owned(),
        problem: format!("it is not {expected}"),
        advice: "Use a page and a module of the same version".into(),
    })
}
