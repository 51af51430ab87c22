//! Answers as JavaScript values.

use js_sys::{JSON, Object, Reflect};
use serde_json::Value;
use wasm_bindgen::JsValue;

/// A JavaScript value of the same content.
pub(crate) fn object(value: &Value) -> JsValue {
    // What serde_json writes, JSON.parse reads.
    JSON::parse(&value.to_string()).unwrap_or(JsValue::NULL)
}

/// An object's fields, and columns beside them.
pub(crate) fn with_columns(fields: &Value, columns: impl IntoIterator<Item = (&'static str, JsValue)>) -> JsValue {
    let value = object(fields);
    for (name, column) in columns {
        // A plain object takes any field.
        let _ = Reflect::set(&value, &name.into(), &column);
    }
    value
}

/// An object of columns alone.
pub(crate) fn columns(columns: impl IntoIterator<Item = (&'static str, JsValue)>) -> JsValue {
    let value = Object::new();
    for (name, column) in columns {
        let _ = Reflect::set(&value, &name.into(), &column);
    }
    value.into()
}
